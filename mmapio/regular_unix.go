//go:build unix

package mmapio

import "golang.org/x/sys/unix"

// nonblock lets no open wait: a pipe opens at once, even with nobody at its other end. Regular files
// do not know it.
const nonblock = unix.O_NONBLOCK
