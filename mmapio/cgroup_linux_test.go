package mmapio

import (
	"fmt"
	"testing"
	"testing/fstest"
)

// system is a file system with these files.
func system(files map[string]string) fstest.MapFS {
	m := make(fstest.MapFS)
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// What lies below were read on a machine with cgroups of version 1, one of version 2, and in containers of docker, but
// for the numbers.
const (
	mountsV1 = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
38 31 0:41 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	mountsV2       = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	containerV1    = "700 690 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:11 - cgroup cgroup rw,memory\n"
	mountElsewhere = "29 23 0:26 / /mnt/control\\040groups rw - cgroup2 cgroup2 rw\n"
)

// limitedV1 are the files of a group of version 1, in MiB.
func limitedV1(dir string, limit, used, inactive, active int64) map[string]string {
	return map[string]string{
		dir + "/memory.limit_in_bytes": fmt.Sprintln(limit << 20), dir + "/memory.usage_in_bytes": fmt.Sprintln(used << 20),
		dir + "/memory.stat": fmt.Sprintf("cache 1\ninactive_file 1\nhierarchical_memory_limit 5\ntotal_cache 77\ntotal_inactive_file %d\ntotal_active_file %d\n", inactive<<20, active<<20),
	}
}

// limitedV2 are those of version 2.
func limitedV2(dir, limit, high string, used, inactive, active int64) map[string]string {
	return map[string]string{
		dir + "/memory.max": limit + "\n", dir + "/memory.high": high + "\n", dir + "/memory.current": fmt.Sprintln(used << 20),
		dir + "/memory.stat": fmt.Sprintf("anon 4096\nfile 88\ninactive_file %d\nactive_file %d\nslab 5\n", inactive<<20, active<<20),
	}
}

func TestGroupMemory(t *testing.T) {
	const none = 9223372036854771712 >> 20 // what version 1 says where there is no limit
	for name, c := range map[string]struct {
		cgroup, mounts string
		groups         []map[string]string
		want           int64 // MiB; −1 for no limit
	}{
		"version 1":                {"4:memory:/jobs/7\n3:cpu:/\n0::/\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/jobs/7", 400, 150, 60, 30)}, 340},
		"a group above":            {"4:memory:/jobs/7\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/jobs/7", 400, 150, 60, 30), limitedV1("sys/fs/cgroup/memory/jobs", 500, 480, 40, 50)}, 110},
		"one above does not count": {"4:memory:/jobs/7\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/jobs/7", 400, 150, 60, 30), limitedV1("sys/fs/cgroup/memory/jobs", 500, 480, 40, 50), {"sys/fs/cgroup/memory/jobs/memory.use_hierarchy": "0\n"}}, 340},
		"a wider one above":        {"4:memory:/jobs/7\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/jobs/7", 400, 150, 60, 30), limitedV1("sys/fs/cgroup/memory/jobs", 5000, 480, 40, 50)}, 340},
		"none inside counts":       {"4:memory:/jobs/7\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/jobs/7", 400, 150, 60, 30), {"sys/fs/cgroup/memory/jobs/7/memory.use_hierarchy": "0\n"}}, 340},
		"held back later":          {"0::/a\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/a", "536870912", "1073741824", 100, 0, 0)}, 412},
		"no stat, more used":       {"0::/a\n", mountsV2, []map[string]string{{"sys/fs/cgroup/a/memory.max": "104857600\n", "sys/fs/cgroup/a/memory.current": "204857600\n"}}, 0},
		"a negative limit":         {"0::/a\n", mountsV2, []map[string]string{{"sys/fs/cgroup/a/memory.max": "-1\n"}}, -1},
		"no limit":                 {"4:memory:/jobs/7\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/jobs/7", none, 150, 60, 30)}, -1},
		"controllers together":     {"4:cpu,memory:/x\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/x", 400, 100, 0, 0)}, 300},
		"a container, version 1":   {"4:memory:/docker/abc\n", containerV1, []map[string]string{limitedV1("sys/fs/cgroup/memory", 256, 100, 50, 6)}, 212},
		"… a group in it":          {"4:memory:/docker/abc/sub\n", containerV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/sub", 200, 100, 0, 0)}, 100},
		"… another name's begin":   {"4:memory:/docker/abcdef\n", containerV1, []map[string]string{limitedV1("sys/fs/cgroup/memory", 256, 100, 0, 0), limitedV1("sys/fs/cgroup/memory/def", 50, 1, 0, 0)}, 156},
		"version 2":                {"0::/user.slice/a.scope\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/user.slice/a.scope", "1073741824", "max", 900, 500, 100)}, 724},
		"held back earlier":        {"0::/a\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/a", "1073741824", "536870912", 100, 0, 0)}, 412},
		"a slice above":            {"0::/user.slice/a.scope\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/user.slice/a.scope", "max", "max", 900, 500, 100), limitedV2("sys/fs/cgroup/user.slice", "2147483648", "max", 2000, 0, 0)}, 48},
		"version 2, no limit":      {"0::/a\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/a", "max", "max", 900, 500, 100)}, -1},
		"a namespace of its own":   {"0::/\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup", "104857600", "max", 30, 0, 0)}, 70},
		"outside of it":            {"0::/../../b\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup", "104857600", "max", 30, 0, 0)}, 70},
		"a name with a space":      {"0::/a\n", mountElsewhere, []map[string]string{limitedV2("mnt/control groups/a", "104857600", "max", 30, 0, 0)}, 70},
		"more used than allowed":   {"0::/a\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/a", "104857600", "max", 130, 10, 0)}, 0},
		"more cached than used":    {"0::/a\n", mountsV2, []map[string]string{limitedV2("sys/fs/cgroup/a", "104857600", "max", 30, 50, 0)}, 100},
		"no use":                   {"0::/a\n", mountsV2, []map[string]string{{"sys/fs/cgroup/a/memory.max": "104857600\n"}}, 100},
		"no stat":                  {"0::/a\n", mountsV2, []map[string]string{{"sys/fs/cgroup/a/memory.max": "104857600\n", "sys/fs/cgroup/a/memory.current": "10485760\n"}}, 90},
		"both":                     {"4:memory:/a\n0::/b\n", mountsV1, []map[string]string{limitedV1("sys/fs/cgroup/memory/a", 400, 100, 0, 0), limitedV2("sys/fs/cgroup/unified/b", "104857600", "max", 30, 0, 0)}, 70},
		"nonsense":                 {"memory\n::\n4:memory\n", "x\n - \n1 2 3 - cgroup2\n" + mountsV2, nil, -1},
		"nothing":                  {"", "", nil, -1},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"proc/self/cgroup": c.cgroup, "proc/self/mountinfo": c.mounts}
			for _, g := range c.groups {
				for name, text := range g {
					files[name] = text
				}
			}
			got, ok := groupMemory(system(files))
			if ok != (c.want >= 0) || ok && got != c.want<<20 {
				t.Errorf("%d MiB, %v; want %d", got>>20, ok, c.want)
			}
		})
	}
	if _, ok := groupMemory(system(nil)); ok {
		t.Error("a limit without /proc")
	}
}

func TestSystemMemory(t *testing.T) {
	got, ok := systemMemory(system(map[string]string{"proc/meminfo": "MemTotal:       24683652 kB\nMemFree:         2000000 kB\nMemAvailable:   21000000 kB\n"}))
	if got != 21000000<<10 || !ok {
		t.Errorf("%d, %v", got, ok)
	}
	if _, ok := systemMemory(system(map[string]string{"proc/meminfo": "MemTotal:       24683652 kB\n"})); ok {
		t.Error("memory that nobody tells")
	}
}
