package gguf

import (
	"bytes"
	"fmt"
	"io"
)

// SameValue reports whether two checkpoints have the same value of a key, however long; known is false where one has none.
func (c *Checkpoint) SameValue(o *Checkpoint, key string) (same, known bool, err error) {
	a, inA := c.shards[0].header.Value(key)
	b, inB := o.shards[0].header.Value(key)
	if !inA || !inB {
		return false, false, nil
	}
	if a.Type != b.Type || a.Of != b.Of || a.Len != b.Len || a.Size != b.Size {
		return false, true, nil
	}
	same, err = sameBytes(io.NewSectionReader(c.shards[0].File, a.Begin, a.Size), io.NewSectionReader(o.shards[0].File, b.Begin, b.Size))
	if err != nil {
		return false, true, fmt.Errorf("compare key %q of %s and %s: %w", key, c.path, o.path, err)
	}
	return same, true, nil
}

// sameBytes compares two readers of as many bytes.
func sameBytes(a, b io.Reader) (bool, error) {
	x, y := make([]byte, windowBytes), make([]byte, windowBytes)
	for {
		n, err := io.ReadFull(a, x)
		if _, err := io.ReadFull(b, y[:n]); err != nil && n > 0 {
			return false, err
		}
		switch {
		case !bytes.Equal(x[:n], y[:n]):
			return false, nil
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return true, nil
		case err != nil:
			return false, err
		}
	}
}
