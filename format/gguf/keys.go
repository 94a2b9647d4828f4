package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"weld/format"
)

// Value is that of a key of the metadata, by the first file.
func (c *Checkpoint) Value(key string) (Value, bool) { return c.shards[0].header.Value(key) }

// Keys lists the keys of the metadata, in the order of the first file.
func (c *Checkpoint) Keys() []string {
	pairs := c.shards[0].header.Pairs
	keys := make([]string, len(pairs))
	for i := range pairs {
		keys[i] = pairs[i].Key
	}
	return keys
}

// Whole reads a text of the metadata that may be too long to be held.
func (c *Checkpoint) Whole(v Value) (string, error) {
	if text, ok := v.Text(); ok {
		return text, nil
	}
	if v.Type != String {
		return "", fmt.Errorf("%v is no text", v.Type)
	}
	text := make([]byte, v.Size-8) // not more than a header has
	if _, err := c.shards[0].ReadAt(text, v.Begin+8); err != nil {
		return "", fmt.Errorf("read the metadata of %s: %w", c.path, err)
	}
	return string(text), nil
}

// Each shows the elements of an array of the metadata one by one: their bytes, of a text those behind its length. They are good until the
// next. An error of use ends it.
func (c *Checkpoint) Each(v Value, use func(i int64, element []byte) error) error {
	from := bufio.NewReaderSize(io.NewSectionReader(c.shards[0].File, v.Begin, v.Size), windowBytes)
	element := make([]byte, max(8, v.Of.size()))
	for i := range v.Len {
		n := v.Of.size()
		if v.Of == String {
			if _, err := io.ReadFull(from, element[:8]); err != nil {
				return fmt.Errorf("read the metadata of %s: %w", c.path, err)
			}
			length := binary.LittleEndian.Uint64(element)
			if length > mostName {
				return &format.Error{Path: c.path, Kind: format.KindMetadata, Detail: fmt.Sprintf("a text of %d bytes as element %d of an array", length, i)}
			}
			n = int64(length)
		}
		if n > int64(len(element)) {
			element = make([]byte, n)
		}
		if _, err := io.ReadFull(from, element[:n]); err != nil {
			return fmt.Errorf("read the metadata of %s: %w", c.path, err)
		}
		if err := use(i, element[:n]); err != nil {
			return err
		}
	}
	return nil
}

// Ints are the values of an array of integers, or of one integer; false for another type, or more than are held.
func (v Value) Ints() ([]int64, bool) {
	if v.Type != Array {
		n, ok := v.Int()
		return []int64{n}, ok
	}
	size := v.Of.size()
	if size == 0 || v.Len*size > int64(len(v.Head)) {
		return nil, false
	}
	list := make([]int64, v.Len)
	for i := range list {
		var ok bool
		if list[i], ok = (Value{Type: v.Of, Head: v.Head[int64(i)*size:][:size]}).Int(); !ok {
			return nil, false
		}
	}
	return list, true
}

// Float is the value of a number of floating point, or of an integer.
func (v Value) Float() (float64, bool) {
	switch {
	case v.Type == Float32 && len(v.Head) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.Head))), true
	case v.Type == Float64 && len(v.Head) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.Head)), true
	}
	n, ok := v.Int()
	return float64(n), ok
}

// Truth is the value of a truth value; ok is false for another type.
func (v Value) Truth() (value, ok bool) {
	if v.Type != Bool || len(v.Head) != 1 {
		return false, false
	}
	return v.Head[0] != 0, true
}
