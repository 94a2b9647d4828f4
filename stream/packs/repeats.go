package packs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"weld/format"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/mmapio"
)

// This file finds tensors that hold the same bytes: an output layer that equals the embedding, a second
// file with the same weights. Tensors are compared that have the same type, shape and a few bytes in their middle;
// all others are not read.

// spot is where a tensor is.
type spot struct {
	file, tensor int32
	off          int64 // in the file
}

// Figures of a search.
const (
	leastRepeated = 64  // bytes: a block that repeats another takes 40
	probeBytes    = 256 // that are compared before all are
)

// findRepeats notes for each tensor where one with the same bytes comes earlier, and counts those that have one. Tensors
// of one value in their middle are passed over: such take next to no room anyway.
func (in *packFiles) findRepeats(ctx context.Context) (count int, err error) {
	begins := make([]int64, len(in.files)) // in the content
	for i := 1; i < len(in.files); i++ {
		begins[i] = begins[i-1] + in.files[i-1].size
	}
	for _, alikes := range in.byKind() {
		spots := *alikes
		if len(spots) < 2 {
			continue
		}
		a := alike{in: in, spots: spots, bytes: in.tensor(spots[0]).Bytes(), last: make(map[probe]int32), before: make(map[int32]int32)}
		for i, s := range spots {
			first, err := a.find(ctx, int32(i))
			if err != nil {
				return 0, err
			}
			if first >= 0 {
				origin := spots[first]
				in.files[s.file].repeat(int(s.tensor), begins[origin.file]+origin.off)
				count++
			}
		}
	}
	return count, nil
}

// byKind sorts tensors by type and shape, in the order of the content.
func (in *packFiles) byKind() map[string]*[]spot {
	kinds := make(map[string]*[]spot)
	var buffer []byte
	for i, f := range in.files {
		off := f.header
		for k, t := range f.tensors {
			bytes := t.Bytes()
			if bytes >= leastRepeated && f.src != nil {
				buffer = appendKind(buffer[:0], t)
				spots := kinds[string(buffer)]
				if spots == nil {
					spots = new([]spot)
					kinds[string(buffer)] = spots
				}
				*spots = append(*spots, spot{int32(i), int32(k), off})
			}
			off += bytes
		}
	}
	return kinds
}

func (in *packFiles) tensor(s spot) format.Tensor { return in.files[s.file].tensors[s.tensor] }

func (in *packFiles) source(s spot) safetensors.Source { return in.files[s.file].src }

// alike finds tensors that are equal among those of one type and shape.
type alike struct {
	in     *packFiles
	spots  []spot
	bytes  int64 // of each
	last   map[probe]int32
	before map[int32]int32 // the one of the same probe, that differs
}

// probe is a digest of a few bytes of a tensor.
type probe [16]byte

// find returns the tensor before the i-th that holds the same bytes, or −1.
func (a *alike) find(ctx context.Context, i int32) (int32, error) {
	if err := ctx.Err(); err != nil {
		return -1, context.Cause(ctx)
	}
	p, varied, err := a.probe(a.spots[i])
	if err != nil || !varied {
		return -1, err
	}
	other, known := a.last[p]
	for k, more := other, known; more; k, more = a.previous(k) {
		same, err := a.equal(ctx, a.spots[i], a.spots[k])
		if same || err != nil {
			return k, err
		}
	}
	a.last[p] = i
	if known {
		a.before[i] = other
	}
	return -1, nil
}

func (a *alike) previous(k int32) (int32, bool) {
	before, ok := a.before[k]
	return before, ok
}

// probe digests some bytes of a tensor; varied is false if they are all of one value, of up to eight bytes.
func (a *alike) probe(s spot) (p probe, varied bool, err error) {
	n := min(probeBytes, a.bytes)
	v, err := a.in.source(s).Read(s.off+(a.bytes-n)/2/8*8, n)
	if err != nil {
		return p, false, err
	}
	defer v.Release()
	err = mmapio.Guard([]mmapio.View{v}, func() error {
		varied = !bytes.Equal(v.Data[8:], v.Data[:len(v.Data)-8])
		sum := sha256.Sum256(v.Data)
		copy(p[:], sum[:])
		return nil
	})
	return p, varied, err
}

// equal compares all bytes of two tensors.
func (a *alike) equal(ctx context.Context, s, other spot) (bool, error) {
	for off := int64(0); off < a.bytes; off += packed.BlockSize {
		if err := ctx.Err(); err != nil {
			return false, context.Cause(ctx)
		}
		n := min(packed.BlockSize, a.bytes-off)
		same, err := equalAt(a.in.source(s), s.off+off, a.in.source(other), other.off+off, n)
		if !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// repeat notes that a tensor's bytes come earlier in the content.
func (f *packFile) repeat(tensor int, origin int64) {
	if f.repeats == nil {
		f.repeats = make([]int64, len(f.tensors))
		for i := range f.repeats {
			f.repeats[i] = -1
		}
	}
	f.repeats[tensor] = origin
}

func equalAt(a safetensors.Source, offA int64, b safetensors.Source, offB, n int64) (same bool, err error) {
	v, err := a.View(offA, n)
	if err != nil {
		return false, err
	}
	defer v.Release()
	w, err := b.View(offB, n)
	if err != nil {
		return false, err
	}
	defer w.Release()
	err = mmapio.Guard([]mmapio.View{v, w}, func() error { same = bytes.Equal(v.Data, w.Data); return nil })
	return same, err
}

// appendKind prints a tensor's type and shape, as a key.
func appendKind(dst []byte, t format.Tensor) []byte {
	dst = append(dst, byte(t.DType))
	for _, n := range t.Shape {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

// sameKind reports whether two tensors have the same type and shape.
func sameKind(a, b format.Tensor) bool { return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) }
