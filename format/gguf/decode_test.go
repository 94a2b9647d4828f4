package gguf

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/formattest"
)

// All codes of binary16, against the decoder of tensors; what is no number stays none.
func TestHalf(t *testing.T) {
	var want [1]float32
	for code := range 1 << 16 {
		b := binary.LittleEndian.AppendUint16(nil, uint16(code))
		format.Decode(format.F16, want[:], b)
		if got := half(b); math.Float32bits(got) != math.Float32bits(want[0]) && (got == got || want[0] == want[0]) {
			t.Fatalf("%04x is %v, want %v", code, got, want[0])
		}
	}
}

// Bits are spread over the bytes of a word, and what is added to codes is taken off each byte by itself.
func TestWords(t *testing.T) {
	for code := range 256 {
		for k := range 8 {
			if got := spread(byte(code)) >> (8 * k) & 0xff; got != uint64(code>>k&1) {
				t.Fatalf("byte %d of %08b spread is %d", k, code, got)
			}
		}
		for _, n := range []uint64{0, 1, 4, 8, 16, 32, 128} {
			word := uint64(code&127)*ones ^ 0x0000007f00000000
			for k := range 8 {
				if got, want := int8(less(word, n)>>(8*k)), int(word>>(8*k)&0xff)-int(n); int(got) != want {
					t.Fatalf("byte %d of %x less %d is %d, want %d", k, word, n, got, want)
				}
			}
		}
	}
}

// Blocks are those of gguf-py to the byte.
func TestEncode(t *testing.T) {
	want := formattest.Open(t, filepath.Join("testdata", "encode.want.safetensors"))
	_, data := bytesOf(t, want, "values")
	values := make([]float32, len(data)/4)
	format.Decode(format.F32, values, data)
	written := 0
	for _, s := range storages {
		if s.Encode == nil {
			continue
		}
		if _, ok := want.Find(s.Name); !ok {
			continue
		}
		written++
		_, blocks := bytesOf(t, want, s.Name)
		got := make([]byte, len(blocks))
		if !s.Encode(got, values) {
			t.Errorf("%s: no code", s.Name)
		}
		for k := range got {
			if got[k] != blocks[k] {
				block := k / int(s.Bytes)
				t.Errorf("%s: byte %d of block %d is %x, want %x; values are %v", s.Name, k%int(s.Bytes), block, got[k], blocks[k], values[block*int(s.Elements):][:s.Elements])
				break
			}
		}
	}
	if written != 6 {
		t.Errorf("%d types are written", written)
	}
}

// What has no code is refused: values that are not finite, and scales that binary16 does not have.
func TestNoCode(t *testing.T) {
	for _, s := range storages {
		if s.Encode == nil {
			continue
		}
		dst, x := make([]byte, s.Bytes), make([]float32, s.Elements)
		if !s.Encode(dst, x) {
			t.Errorf("%s: zeros have no code", s.Name)
		}
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30} {
			x[len(x)/2] = float32(v)
			if s.Encode(dst, x) && (v != 1e30 || s.Name != "MXFP4") {
				t.Errorf("%s: %v has a code", s.Name, v)
			}
		}
	}
}
