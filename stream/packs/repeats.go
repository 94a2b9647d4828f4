package packs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"weld/format"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/mmapio"
)

// This file finds tensors that hold the same bytes: an output layer that equals the embedding, a second
// file with the same weights. Tensors are compared that have the same type, shape and a few bytes in their middle;
// all others are not read.

// span is a tensor's bytes in a file.
type span struct {
	file, tensor int
	src          safetensors.Source
	off, bytes   int64
	begin        int64 // in the content
}

// Figures of a search.
const (
	leastRepeated = 64  // bytes: a block that repeats another takes 40
	probeBytes    = 256 // that are compared before all are
)

// findRepeats notes for each tensor where one with the same bytes comes earlier, and counts those that have one. Tensors
// of one value in their middle are passed over: such take next to no room anyway.
func (in *inputs) findRepeats(ctx context.Context) (count int, err error) {
	alike := make(map[string][]span)
	for kind, spans := range in.byKind() {
		if len(spans) < 2 {
			continue
		}
		for _, s := range spans {
			if err := ctx.Err(); err != nil {
				return 0, context.Cause(ctx)
			}
			probe, err := s.probe()
			if err != nil {
				return 0, err
			}
			if probe == "" {
				continue
			}
			key := kind + probe
			first, err := s.among(ctx, alike[key])
			if err != nil {
				return 0, err
			}
			if first == nil {
				alike[key] = append(alike[key], s)
				continue
			}
			in.files[s.file].repeat(s.tensor, first.begin)
			count++
		}
	}
	return count, nil
}

// byKind sorts tensors by type and shape, in the order of the content.
func (in *inputs) byKind() map[string][]span {
	kinds := make(map[string][]span)
	begin := int64(0)
	for i, f := range in.files {
		off := f.header
		for k, t := range f.tensors {
			if bytes := t.Bytes(); bytes >= leastRepeated && f.src != nil {
				kinds[kindOf(t)] = append(kinds[kindOf(t)], span{i, k, f.src, off, bytes, begin + off})
			}
			off += t.Bytes()
		}
		begin += f.size
	}
	return kinds
}

// repeat notes that a tensor's bytes come earlier in the content.
func (f *input) repeat(tensor int, origin int64) {
	if f.repeats == nil {
		f.repeats = make([]int64, len(f.tensors))
		for i := range f.repeats {
			f.repeats[i] = -1
		}
	}
	f.repeats[tensor] = origin
}

// probe is a digest of some bytes of the tensor, "" if they are all of one value, of up to eight bytes.
func (s span) probe() (string, error) {
	n := min(probeBytes, s.bytes)
	v, err := s.src.Peek(s.off+(s.bytes-n)/2/8*8, n)
	if err != nil {
		return "", err
	}
	defer v.Release()
	var sum [sha256.Size]byte
	constant := true
	err = mmapio.Guard([]mmapio.View{v}, func() error {
		constant = bytes.Equal(v.Data[8:], v.Data[:len(v.Data)-8])
		sum = sha256.Sum256(v.Data)
		return nil
	})
	if err != nil || constant {
		return "", err
	}
	return string(sum[:]), nil
}

// among finds the tensor that holds the same bytes, or nil.
func (s span) among(ctx context.Context, others []span) (*span, error) {
	for i := range others {
		same, err := s.equals(ctx, others[i])
		if err != nil {
			return nil, err
		}
		if same {
			return &others[i], nil
		}
		if i == mostAlike {
			break
		}
	}
	return nil, nil
}

// mostAlike is how many tensors that differ behind equal middles another one is compared with.
const mostAlike = 8

// equals compares all bytes of two tensors.
func (s span) equals(ctx context.Context, other span) (bool, error) {
	for off := int64(0); off < s.bytes; off += packed.BlockSize {
		if err := ctx.Err(); err != nil {
			return false, context.Cause(ctx)
		}
		n := min(packed.BlockSize, s.bytes-off)
		same, err := equalAt(s.src, s.off+off, other.src, other.off+off, n)
		if !same || err != nil {
			return false, err
		}
	}
	return true, nil
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

// kindOf is a tensor's type and shape.
func kindOf(t format.Tensor) string { return fmt.Sprint(t.DType, t.Shape) }
