package mmapio

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Transferred is what this process has had disks read and write until now, its threads together: proc_pid_io(5). Pages that
// were in the cache are not read. ok is false where the system does not say.
func Transferred() (t Transfers, ok bool) { return transferred(os.DirFS("/")) }

func transferred(root fs.FS) (t Transfers, ok bool) {
	text, err := fs.ReadFile(root, "proc/self/io")
	if err != nil {
		return t, false
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		switch {
		case err != nil:
		case key == "read_bytes":
			t.Read, found = n, found+1
		case key == "write_bytes":
			t.Written, found = n, found+1
		}
	}
	return t, found == 2
}
