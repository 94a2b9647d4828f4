//go:build !linux

package mmapio

func (*copies) advise(Advice, int64, int64) {}

// Forget does nothing on this system.
func Forget(string) {}

// AvailableMemory is not known on this system.
func AvailableMemory() (bytes int64, ok bool) { return 0, false }
