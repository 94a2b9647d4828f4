package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// ValueType is the type of a value of the metadata.
type ValueType uint32

// The types of values.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
	valueTypes
)

// valueTypeNames are what messages call them.
var valueTypeNames = [valueTypes]string{"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64", "float64"}

func (t ValueType) String() string { return valueTypeNames[t] }

// size is the bytes of a value; 0 of one whose length goes before it.
func (t ValueType) size() int64 {
	switch t {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16:
		return 2
	case Uint32, Int32, Float32:
		return 4
	case Uint64, Int64, Float64:
		return 8
	}
	return 0
}

// Value is a value of the metadata: its type, and the first of the bytes that store it.
type Value struct {
	Type  ValueType
	Of    ValueType // of the elements of an array
	Len   int64     // of an array
	Begin int64     // in the file, behind types and the length of an array
	Size  int64     // in bytes, from there on
	Head  []byte    // the first of them; a text begins with its length
}

// Text is the value of a text; false for another type, or one that is too long to be held.
func (v Value) Text() (string, bool) {
	if v.Type != String || int64(len(v.Head)) < v.Size {
		return "", false
	}
	return string(v.Head[8:]), true
}

// Int is the value of an integer of any type, if it has 63 bits.
func (v Value) Int() (int64, bool) {
	b := v.Head
	if len(b) == 0 {
		return 0, false
	}
	switch v.Type {
	case Uint8:
		return int64(b[0]), true
	case Int8:
		return int64(int8(b[0])), true
	case Uint16:
		return int64(binary.LittleEndian.Uint16(b)), true
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(b))), true
	case Uint32:
		return int64(binary.LittleEndian.Uint32(b)), true
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case Uint64, Int64:
		n := binary.LittleEndian.Uint64(b)
		return int64(n), v.Type == Int64 || n <= math.MaxInt64
	}
	return 0, false
}

const (
	shownText     = 160 // bytes of a text that are shown
	shownElements = 4   // of an array
	shownElement  = 24  // bytes of a text in an array
)

// String shows a value shortly: of a long text the beginning, of a long array the first elements and how many there are.
func (v Value) String() string {
	if v.Type == String {
		return shortened(v.Head[8:], v.Size-8, shownText)
	}
	if v.Type != Array {
		return scalar(v.Type, v.Head)
	}
	var list []string
	rest := v.Head
	for range min(v.Len, shownElements) {
		size, text := v.Of.size(), ""
		if v.Of == String {
			if len(rest) < 8 {
				break
			}
			n := binary.LittleEndian.Uint64(rest)
			text = fmt.Sprintf("%q", shortened(rest[8:][:min(n, uint64(len(rest)-8))], int64(n), shownElement))
			size = 8 + int64(min(n, math.MaxInt64-8))
		} else {
			text = scalar(v.Of, rest)
		}
		list = append(list, text)
		if size >= int64(len(rest)) {
			break
		}
		rest = rest[size:]
	}
	more := ""
	if int64(len(list)) < v.Len {
		more = fmt.Sprintf(", … (%d of %v)", v.Len, v.Of)
	}
	return "[" + strings.Join(list, ", ") + more + "]"
}

// shortened is the beginning of a text of so many bytes.
func shortened(head []byte, size int64, most int) string {
	if size <= int64(most) && int64(len(head)) >= size {
		return strings.ToValidUTF8(string(head[:size]), "\uFFFD")
	}
	cut := min(len(head), most)
	for cut > 0 && cut < len(head) && !utf8.RuneStart(head[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(string(head[:cut]), "\uFFFD"), size)
}

// scalar shows a value that is neither text nor array.
func scalar(t ValueType, b []byte) string {
	switch t {
	case Float32:
		return fmt.Sprint(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case Float64:
		return fmt.Sprint(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case Bool:
		return fmt.Sprint(b[0] != 0)
	case Uint64:
		return fmt.Sprint(binary.LittleEndian.Uint64(b))
	}
	n, _ := Value{Type: t, Head: b}.Int()
	return fmt.Sprint(n)
}
