package gguf

import (
	"encoding/binary"

	"weld/format"
)

// What is held of values: all bytes of the short ones, the first of the others. The whole of a vocabulary stays in the file.
const (
	keptText  = 16 << 10 // of a text
	keptArray = 512      // of an array
	keptAll   = 4 << 20  // of all keys and values of a header
)

// pairs reads the metadata.
func (s *scanner) pairs(h *Header, n uint64) error {
	budget := int64(keptAll)
	for range n {
		from := s.at
		key, err := s.name("a key")
		if err != nil {
			return err
		}
		if _, again := h.at[key]; again {
			return s.fault(format.KindDuplicate, "key %q twice", key)
		}
		h.at[key] = len(h.Pairs)
		s.key = key
		v, err := s.value()
		if err != nil {
			return err
		}
		s.key = ""
		if budget -= int64(len(key) + len(v.Head) + 64); budget < 0 {
			return s.fault(format.KindHeaderSize, "keys and values of more than %d bytes, vocabularies not counted", int64(keptAll))
		}
		h.Pairs = append(h.Pairs, Pair{key, v, from})
	}
	v, ok := h.Value(alignmentKey)
	if !ok {
		return nil
	}
	if h.Alignment, ok = v.Int(); !ok || v.Type != Uint32 || !isPowerOfTwo(h.Alignment) {
		return s.fault(format.KindMetadata, "%s is %v, and no power of two from 8 on in 32 bits", alignmentKey, v)
	}
	return nil
}

// value reads a value, and keeps its first bytes.
func (s *scanner) value() (v Value, err error) {
	if v.Type, err = s.valueType(); err != nil {
		return v, err
	}
	if v.Type != Array {
		v.Begin = s.at
		return v, s.elements(&v, v.Type, 1, keptText)
	}
	if v.Of, err = s.valueType(); err != nil {
		return v, err
	}
	if v.Of == Array {
		return v, s.fault(format.KindType, "an array of arrays, which llama.cpp does not read either")
	}
	n, err := s.u64()
	if err != nil {
		return v, err
	}
	if least := max(1, v.Of.size()); n > uint64(s.left()/least) {
		return v, s.fault(format.KindTruncated, "an array of %d elements, and %d bytes are left of the file: "+cutShort, n, s.left())
	}
	v.Len, v.Begin = int64(n), s.at
	return v, s.elements(&v, v.Of, int64(n), keptArray)
}

// elements passes over values of a type, and keeps the first bytes of them.
func (s *scanner) elements(v *Value, t ValueType, n int64, most int) error {
	keep := func(part []byte) error {
		v.Head = append(v.Head, part[:min(len(part), max(0, most-len(v.Head)))]...)
		return nil
	}
	defer func() { v.Size = s.at - v.Begin }()
	if size := t.size(); size > 0 {
		return s.skip(n*size, func(part []byte) error {
			if t == Bool {
				for _, x := range part {
					if x > 1 {
						return s.fault(format.KindType, "a truth value of %d", x)
					}
				}
			}
			return keep(part)
		})
	}
	for range n {
		length, err := s.next(8)
		if err != nil {
			return err
		}
		keep(length)
		n := binary.LittleEndian.Uint64(length)
		if n > uint64(s.left()) {
			return s.fault(format.KindTruncated, "a text of %d bytes, and %d are left of the file: "+cutShort, n, s.left())
		}
		if err := s.skip(int64(n), keep); err != nil { // vocabularies have tokens that are no UTF-8
			return err
		}
	}
	return nil
}

func (s *scanner) valueType() (ValueType, error) {
	t, err := s.u32()
	if err == nil && ValueType(t) >= valueTypes {
		err = s.fault(format.KindType, "a value of type %d, which GGUF does not have", t)
	}
	return ValueType(t), err
}
