//go:build !linux

package vec

// guarded returns n bytes, with no guard: see the one for Linux.
func guarded(n int) []byte { return make([]byte, n) }
