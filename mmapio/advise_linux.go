package mmapio

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (c *copies) advise(a Advice, off, n int64) {
	advice := unix.FADV_WILLNEED
	if a == Done {
		advice = unix.FADV_DONTNEED
	}
	_ = unix.Fadvise(int(c.file.Fd()), off, n, advice) // advice may fail
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

// AvailableMemory is what the system could give to programs, the page cache that it
// would drop for them included; ok is false where it does not say.
func AvailableMemory() (bytes int64, ok bool) {
	info, err := os.ReadFile("/proc/meminfo")
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
