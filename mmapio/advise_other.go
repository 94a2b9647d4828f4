//go:build !linux

package mmapio

import "os"

func (*copies) advise(Advice, int64, int64) {}

// Forget does nothing on this system.
func Forget(string) {}

// AvailableMemory is not known on this system.
func AvailableMemory() (bytes int64, ok bool) { return 0, false }

// readAheadStep is how much one call has the system read; there is no such call.
func readAheadStep(*os.File) int64 { return 0 }

// Transferred is not known on this system.
func Transferred() (t Transfers, ok bool) { return Transfers{}, false }
