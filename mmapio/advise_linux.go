package mmapio

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leastStep is what one call of fadvise(2) has the system read at most where nobody says how much it would be: the
// read-ahead of a device that nobody has set.
const leastStep = 128 << 10

// advise passes on what is known about a range.
func (c *copies) advise(a Advice, off, n int64) {
	if c.device() == 0 {
		return
	}
	fd := int(c.file.Fd())
	if a == Done {
		if r := c.done.add(off, n); r.n > 0 {
			_ = unix.Fadvise(fd, r.off, r.n, unix.FADV_DONTNEED) // advice may fail
		}
		return
	}
	c.done.wanted(off, n)
	for end := off + n; off < end; off += c.device() {
		_ = unix.Fadvise(fd, off, min(c.device(), end-off), unix.FADV_WILLNEED)
	}
}

// readAheadStep is how much of a file one call has the system read: it cuts what is asked for to the read-ahead of
// the device (force_page_cache_ra of Linux), and says nothing of the rest. It is 0 where there is no device to read from.
func readAheadStep(file *os.File) int64 {
	var on unix.Statfs_t
	if unix.Fstatfs(int(file.Fd()), &on) == nil && (on.Type == unix.TMPFS_MAGIC || on.Type == unix.RAMFS_MAGIC) {
		return 0
	}
	var st unix.Stat_t
	if unix.Fstat(int(file.Fd()), &st) != nil {
		return leastStep
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return leastStep
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return leastStep
	}
	return max(leastStep, min(kib, MaxView>>10)<<10)
}

// Forget drops from the page cache what is there of a file, but for pages that are mapped or not yet
// written. It is advice, too.
func Forget(path string) {
	f, _, err := OpenRegular(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// AvailableMemory is what this process could have of the system's memory, and of that of the memory cgroups that it is in, the
// page cache that would be dropped for it included; ok is false where the system does not say.
func AvailableMemory() (bytes int64, ok bool) {
	root := os.DirFS("/")
	bytes, ok = systemMemory(root)
	if group, limited := groupMemory(root); limited && (!ok || group < bytes) {
		return group, true
	}
	return bytes, ok
}

// systemMemory is what the whole system could give to programs.
func systemMemory(root fs.FS) (bytes int64, ok bool) {
	info, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(info)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
