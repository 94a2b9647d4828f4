package gguf

import (
	"encoding/binary"
	"math"
)

// Pairs are keys and values that are to be written, as a file has them. A key is given once.
type Pairs struct {
	raw   []byte
	count int
}

// Bytes is how many they take.
func (p *Pairs) Bytes() int64 { return int64(len(p.raw)) }

func (p *Pairs) key(key string, t ValueType) {
	p.raw = binary.LittleEndian.AppendUint32(appendText(p.raw, key), uint32(t))
	p.count++
}

// Uint32 adds a number.
func (p *Pairs) Uint32(key string, n uint32) {
	p.key(key, Uint32)
	p.raw = binary.LittleEndian.AppendUint32(p.raw, n)
}

// Float32 adds a number of floating point.
func (p *Pairs) Float32(key string, x float32) {
	p.key(key, Float32)
	p.raw = binary.LittleEndian.AppendUint32(p.raw, math.Float32bits(x))
}

// Bool adds a truth value.
func (p *Pairs) Bool(key string, value bool) {
	p.key(key, Bool)
	p.raw = append(p.raw, map[bool]byte{true: 1}[value])
}

// Text adds a text.
func (p *Pairs) Text(key, text string) {
	p.key(key, String)
	p.raw = appendText(p.raw, text)
}

func (p *Pairs) array(key string, of ValueType, n int) {
	p.key(key, Array)
	p.raw = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(p.raw, uint32(of)), uint64(n))
}

// Texts adds a list of texts.
func (p *Pairs) Texts(key string, list []string) {
	p.array(key, String, len(list))
	for _, text := range list {
		p.raw = appendText(p.raw, text)
	}
}

// Int32s adds a list of integers.
func (p *Pairs) Int32s(key string, list []int32) {
	p.array(key, Int32, len(list))
	for _, n := range list {
		p.raw = binary.LittleEndian.AppendUint32(p.raw, uint32(n))
	}
}

// Float32s adds a list of numbers of floating point.
func (p *Pairs) Float32s(key string, list []float32) {
	p.array(key, Float32, len(list))
	for _, x := range list {
		p.raw = binary.LittleEndian.AppendUint32(p.raw, math.Float32bits(x))
	}
}
