package mmapio

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A memory cgroup, such as a container's or a job's, has less memory than the machine. Each group that a process
// is in, up to the root, has its limit: cgroups(7), and memory.rst and cgroup-v2.rst of Linux's documentation.

// groupFiles are what the files of a memory cgroup are called.
type groupFiles struct {
	limits []string // the least counts
	usage  string
	stat   string
	cached []string // keys of stat: pages of files, which are dropped when something else wants their place
	ends   string   // a file that holds 0 where groups inside are not counted; "" for none
}

var (
	groupsV1 = groupFiles{[]string{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "memory.stat", []string{"total_inactive_file", "total_active_file"}, "memory.use_hierarchy"}
	groupsV2 = groupFiles{[]string{"memory.max", "memory.high"}, "memory.current", "memory.stat", []string{"inactive_file", "active_file"}, ""}
)

// groupMemory is what the memory cgroups of this process leave to it, the page cache that they would drop for it
// included; ok is false where nothing limits it. root is the root of the file system.
func groupMemory(root fs.FS) (bytes int64, ok bool) {
	bytes = math.MaxInt64
	for _, g := range memoryGroups(root) {
		for dir := g.dir; ; dir = path.Dir(dir) {
			if dir != g.dir && g.endsAt(root, dir) {
				break
			}
			if left, limited := g.left(root, dir); limited {
				bytes, ok = min(bytes, left), true
			}
			if dir == g.top || dir == "." {
				break
			}
		}
	}
	return bytes, ok
}

// memoryGroup is the group of this process in one hierarchy.
type memoryGroup struct {
	groupFiles
	top, dir string // of the hierarchy, and of the group in it or the innermost that can be seen; without a leading slash
}

// memoryGroups finds those that count memory: a system has one of each version at most.
func memoryGroups(root fs.FS) (found []memoryGroup) {
	v1, v2, err := ownGroups(root)
	if err != nil {
		return nil
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		at, what := strings.Fields(before), strings.Fields(after)
		if len(at) < 5 || len(what) < 3 {
			continue
		}
		switch top, shown := unescaped.Replace(at[4]), unescaped.Replace(at[3]); {
		case what[0] == "cgroup2" && v2 != "":
			found = append(found, newMemoryGroup(groupsV2, top, shown, v2))
		case what[0] == "cgroup" && v1 != "" && slices.Contains(strings.Split(what[2], ","), "memory"):
			found = append(found, newMemoryGroup(groupsV1, top, shown, v1))
		}
	}
	return found
}

// unescaped undoes what mountinfo does to names.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// ownGroups are the names of this process's groups in both hierarchies; "" for none.
func ownGroups(root fs.FS) (v1, v2 string, err error) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0" && parts[1] == "":
			v2 = parts[2]
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			v1 = parts[2]
		}
	}
	return v1, v2, nil
}

// newMemoryGroup finds a group by its name below the directory where a part of the hierarchy is shown. A container sees
// its own part only, under the name that the group has outside.
func newMemoryGroup(files groupFiles, top, shown, name string) memoryGroup {
	top = strings.TrimPrefix(top, "/")
	inside, below := strings.CutPrefix(name, strings.TrimSuffix(shown, "/"))
	if !below || inside != "" && inside[0] != '/' || strings.HasPrefix(name, "/..") {
		inside = ""
	}
	return memoryGroup{files, top, path.Join(top, inside)}
}

// endsAt reports whether the group in a directory does not count those inside it.
func (g *memoryGroup) endsAt(root fs.FS, dir string) bool {
	if g.ends == "" {
		return false
	}
	n, ok := groupNumber(root, path.Join(dir, g.ends))
	return ok && n == 0
}

// left is what the group in a directory leaves.
func (g *memoryGroup) left(root fs.FS, dir string) (bytes int64, limited bool) {
	limit := int64(math.MaxInt64)
	for _, name := range g.limits {
		if n, ok := groupNumber(root, path.Join(dir, name)); ok && n < 1<<60 { // "none" is a round number beyond that
			limit, limited = min(limit, n), true
		}
	}
	if !limited {
		return 0, false
	}
	used, ok := groupNumber(root, path.Join(dir, g.usage))
	if !ok {
		return limit, true
	}
	stat, err := fs.ReadFile(root, path.Join(dir, g.stat))
	if err != nil {
		return max(0, limit-used), true
	}
	for line := range strings.Lines(string(stat)) {
		if fields := strings.Fields(line); len(fields) == 2 && slices.Contains(g.cached, fields[0]) {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				used -= n
			}
		}
	}
	return max(0, limit-max(0, used)), true
}

// groupNumber is the number that a file holds; false where it holds none, such as "max".
func groupNumber(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n >= 0
}
