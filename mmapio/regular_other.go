//go:build !unix

package mmapio

// nonblock is nothing where no name of a file stands for a pipe.
const nonblock = 0
