//go:build !linux

package main

// peakMemory is not known here.
func peakMemory() (bytes int64, ok bool) { return 0, false }

// peakMemoryOf is that of another process.
func peakMemoryOf(int) (bytes int64, ok bool) { return 0, false }
