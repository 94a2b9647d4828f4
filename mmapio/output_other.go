//go:build !linux

package mmapio

import (
	"errors"
	"os"
)

// behind leaves it to the system when bytes go to the disk.
type behind struct {
	works bool
	batch int64 // bytes that are copied at a time
}

func newBehind(*os.File, bool) behind            { return behind{batch: writeBehind} }
func (behind) reserve(*os.File, int64) error     { return nil }
func (behind) ahead(*os.File, int64, int64) bool { return false }
func (behind) start(*os.File, fileRange) error   { return nil }
func (behind) finish(*os.File, fileRange) error  { return nil }
func (behind) forget(*os.File)                   {}

func copyRange(*os.File, int64, *os.File, int64, int64) (int64, error) {
	return 0, errors.ErrUnsupported
}
