//go:build !linux

package mmapio

// boundsViews is false on systems without the calls that bound what a mapping keeps
// resident.
const boundsViews = false

func canMap() bool { return true }

// mappings lends nothing.
type mappings struct{}

// mapping has no values.
type mapping struct{ file *File }

func (*mappings) open(*File) error { return nil }
func (*mappings) close() error     { return nil }

func (*mappings) view(*File, int64, int64) (View, error) { panic("mmapio: no mappings here") }

// TakeBack implements [Lender].
func (*mapping) TakeBack([]byte, int64) {}
