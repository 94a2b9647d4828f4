package stream

import (
	"os"
	"testing"

	"weld/mmapio"
)

// Temporary files go to memory where there is plenty: the tests run hundreds of
// merges, and each waits for its output to be on the disk.
func TestMain(m *testing.M) {
	const shared, plenty = "/dev/shm", 1 << 30
	if free, ok := mmapio.FreeSpace(shared); ok && free > plenty && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", shared)
	}
	os.Exit(m.Run())
}
