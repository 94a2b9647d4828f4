package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"

	"weld/format"
)

// Layout is where every byte of a file will be written: metadata of another file, with some keys of its own, and tensors in the order that they
// are given in. Vocabularies are copied from the other file when the header is written.
type Layout struct {
	HeaderSize int64  // with what aligns the first tensor
	Size       int64  // of the file
	base       *shard // nil for none
	kept       []Pair // of the base's
	own        []byte // keys and values
	ownCount   int
	n          int
	tensor     func(i int) Described
	begins     []int64 // from HeaderSize on
}

// Described is a tensor that is to be written: in blocks, with the shape of its values, or plainly.
type Described struct {
	Name   string
	DType  format.DType
	Blocks *format.Blocks // nil for none
	Shape  []int64
}

// FileTypeKey is where GGUF says which type most tensors have; a number that only people read.
const FileTypeKey = "general.file_type"

// FileType is that of models whose tensors are plain, by llama.cpp's enum llama_ftype; 1024 says that nobody knows.
func FileType(d format.DType) uint32 {
	switch d {
	case format.F32:
		return 0
	case format.F16:
		return 1
	case format.BF16:
		return 32
	}
	return 1024
}

// Metadata are those of a file that is to be written: a base's, from its first file and without what says that it is a split, but for what is
// said here.
type Metadata struct {
	Base     *Checkpoint           // nil for a file whose metadata are its own
	Own      Pairs                 // where there is no base
	Keep     func(key string) bool // which of the base's stay; nil for all
	Texts    map[string]string     // in the place of the base's
	Numbers  map[string]uint32     // likewise
	FileType int64                 // likewise, if the base has one; negative to leave that
}

// QuantizationVersionKey is where GGUF says which form of blocks a file has; QuantizationVersion is the only one since 2023
// (ggml.h, GGML_QNT_VERSION).
const (
	QuantizationVersionKey = "general.quantization_version"
	QuantizationVersion    = 2
)

// NewLayout lays n tensors out behind metadata.
func NewLayout(m Metadata, n int, tensor func(i int) Described) (*Layout, error) {
	l := &Layout{n: n, tensor: tensor, begins: make([]int64, n), own: slices.Clip(m.Own.raw), ownCount: m.Own.count}
	var pairs []Pair
	alignment := int64(defaultAlignment)
	if m.Base != nil {
		l.base = m.Base.shards[0]
		pairs, alignment = l.base.header.Pairs, l.base.header.Alignment
	}
	for _, key := range slices.Sorted(maps.Keys(m.Texts)) {
		l.own = appendText(binary.LittleEndian.AppendUint32(appendText(l.own, key), uint32(String)), m.Texts[key])
		l.ownCount++
	}
	for _, key := range slices.Sorted(maps.Keys(m.Numbers)) {
		l.own = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(appendText(l.own, key), uint32(Uint32)), m.Numbers[key])
		l.ownCount++
	}
	size := int64(24 + len(l.own))
	for _, p := range pairs {
		_, text := m.Texts[p.Key]
		_, number := m.Numbers[p.Key]
		if text || number || p.Key == splitNumber || p.Key == splitCount || p.Key == splitTensors || m.Keep != nil && !m.Keep(p.Key) {
			continue
		}
		if p.Key == FileTypeKey && m.FileType >= 0 {
			begin := len(l.own)
			l.own = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(appendText(l.own, p.Key), uint32(Uint32)), uint32(m.FileType))
			l.ownCount++
			size += int64(len(l.own) - begin)
			continue
		}
		l.kept = append(l.kept, p)
		size += p.Begin + p.Size - p.From
	}
	end := int64(0)
	for i := range n {
		e, err := entryOf(tensor(i))
		if err != nil {
			return nil, err
		}
		size += int64(len(e.append(nil)))
		l.begins[i] = aligned(end, alignment)
		end = l.begins[i] + e.Bytes()
	}
	if size > MaxHeader {
		return nil, fmt.Errorf("a header of %d bytes; weld reads up to %d", size, MaxHeader)
	}
	l.HeaderSize = aligned(size, alignment)
	l.Size = l.HeaderSize + aligned(end, alignment)
	return l, nil
}

// Begin is where a tensor's bytes begin in the file.
func (l *Layout) Begin(i int) int64 { return l.HeaderSize + l.begins[i] }

// Data are the bytes of the tensors.
func (l *Layout) Data() int64 { return l.Size - l.HeaderSize }

// entryOf is how a tensor is described; its bytes begin at 0.
func entryOf(d Described) (Entry, error) {
	e := Entry{Name: d.Name, Shape: d.Shape}
	refuse := func(text string, args ...any) error {
		return fmt.Errorf("tensor %q: %s", d.Name, fmt.Sprintf(text, args...))
	}
	if len(d.Shape) > mostDimensions {
		return e, refuse("%d dimensions; GGUF has up to %d", len(d.Shape), mostDimensions)
	}
	if len(d.Name) > mostName || d.Name == "" {
		return e, refuse("a name of %d bytes; GGUF has up to %d", len(d.Name), mostName)
	}
	for number, s := range storages {
		if d.Blocks != nil && s.Name == d.Blocks.Name || d.Blocks == nil && s.plain == d.DType && d.DType != format.Invalid {
			e.Type = number
			return e, nil
		}
	}
	return e, refuse("GGUF has no type %v", d.DType)
}

// append prints the description.
func (e *Entry) append(to []byte) []byte {
	to = binary.LittleEndian.AppendUint32(appendText(to, e.Name), uint32(len(e.Shape)))
	for _, n := range slices.Backward(e.Shape) {
		to = binary.LittleEndian.AppendUint64(to, uint64(n))
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(to, uint32(e.Type)), uint64(e.Begin))
}

func appendText(to []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(to, uint64(len(s))), s...)
}

// WriteHeader writes everything before the tensors.
func (l *Layout) WriteHeader(w io.Writer) error {
	head := append([]byte(Magic), 3, 0, 0, 0)
	head = binary.LittleEndian.AppendUint64(head, uint64(l.n))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(l.kept)+l.ownCount))
	out := &counted{Writer: w}
	if _, err := out.Write(head); err != nil {
		return err
	}
	for _, p := range l.kept {
		if _, err := io.Copy(out, io.NewSectionReader(l.base.File, p.From, p.Begin+p.Size-p.From)); err != nil {
			return fmt.Errorf("copy key %q of %s: %w", p.Key, l.base.Path(), err)
		}
	}
	if _, err := out.Write(l.own); err != nil {
		return err
	}
	var entry []byte
	for i := range l.n {
		e, err := entryOf(l.tensor(i))
		if err != nil {
			return err
		}
		e.Begin = l.begins[i]
		if entry = e.append(entry[:0]); len(entry) > 0 {
			if _, err := out.Write(entry); err != nil {
				return err
			}
		}
	}
	_, err := out.Write(make([]byte, l.HeaderSize-out.n))
	return err
}

// counted counts what is written.
type counted struct {
	io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}
