//go:build linux || darwin

package mmapio

import (
	"os"
	"syscall"
)

// setBack reports whether something was done to a file that its size and modification time do not
// show: its change time, which nobody can set, is another, and neither a new name (a hard
// link) nor new permissions explain that.
func setBack(was, now os.FileInfo) bool {
	a, ok := was.Sys().(*syscall.Stat_t)
	b, ok2 := now.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || changeTime(a) == changeTime(b) {
		return false
	}
	return a.Nlink == b.Nlink && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid
}
