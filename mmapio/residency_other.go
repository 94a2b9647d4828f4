//go:build !linux

package mmapio

// Resident is not known on this system.
func Resident(string) (bytes int64, ok bool) { return 0, false }
