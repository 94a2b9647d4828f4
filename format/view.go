package format

import (
	"fmt"

	"weld/mmapio"
)

// CheckView refuses a range that [Checkpoint.View] lends nothing of: one that is not inside tensor i, or is longer than [mmapio.MaxView].
func CheckView(c Checkpoint, i int, off, n int64) error {
	t := &c.Tensors()[i]
	switch size := t.Bytes(); {
	case off < 0 || n < 0 || off > size-n:
		return fmt.Errorf("%s: tensor %q: bytes [%d, %d) are not inside its %d", c.Path(), t.Name, off, off+n, size)
	case n > mmapio.MaxView:
		return fmt.Errorf("%s: tensor %q: a view of %d bytes is over the limit of %d", c.Path(), t.Name, n, int64(mmapio.MaxView))
	}
	return nil
}
