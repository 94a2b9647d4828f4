package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"weld/format"
	"weld/mmapio"
)

// Figures of a fingerprint.
const (
	fingerprintTensors = 64   // sampled, evenly spaced
	fingerprintBytes   = 4096 // of each, from its middle
)

// fingerprint identifies an input without reading it all: SHA-256 over the digests of
// its headers and indexes, which two models of one architecture share, and over bytes
// from the middle of some of its tensors, which they do not. It tells inputs apart; it
// does not prove that all of one is unchanged. Values that are stored in a scheme count as they are stored.
func fingerprint(s *Input) (string, error) {
	digest := sha256.New()
	for _, f := range s.Files() {
		digest.Write(f.Digest[:])
	}
	n := len(s.stored.Tensors())
	samples := min(n, fingerprintTensors)
	for k := range samples {
		if err := sample(digest, s.stored, k*n/samples); err != nil {
			return "", fmt.Errorf("fingerprint %s %s: %w", s.Role, s.Path, err)
		}
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// weightsDigest identifies an input's values by some of them: SHA-256 over the middle of some of its floating tensors, in the order of their names. Unlike a
// fingerprint it is the same for a model in another container, other shards, a wider type, or codes and what they are decoded to: values count as they are
// when they are rounded to bfloat16, which most decoded models are.
func weightsDigest(s *Input) (string, error) {
	tensors := s.Tensors()
	var floating []int
	for i, t := range tensors {
		if t.Computable() && t.Bytes() > 0 {
			floating = append(floating, i)
		}
	}
	slices.SortFunc(floating, func(a, b int) int { return strings.Compare(tensors[a].Name, tensors[b].Name) })
	digest := sha256.New()
	n := len(floating)
	samples := min(n, fingerprintTensors)
	for k := range samples {
		values, err := middle(s.Checkpoint, floating[k*n/samples])
		if err != nil {
			return "", fmt.Errorf("values of %s %s: %w", s.Role, s.Path, err)
		}
		rounded := make([]byte, 2*len(values))
		format.Encode(format.BF16, rounded, values)
		digest.Write(rounded)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// middle is what some elements in the middle of a tensor hold, as many of any type.
func middle(c format.Checkpoint, i int) ([]float64, error) {
	t := c.Tensors()[i]
	width := int64(t.DType.Bits() / 8)
	n := min(t.Elements(), fingerprintBytes/8)
	view, err := format.Read(c, i, (t.Elements()-n)/2*width, n*width)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	values := make([]float64, n)
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		format.Decode(t.DType, values, view.Data)
		return nil
	})
	return values, err
}

// sample adds the middle of a tensor's bytes.
func sample(digest hash.Hash, s format.Checkpoint, tensor int) error {
	size := s.Tensors()[tensor].Bytes()
	n := min(size, fingerprintBytes)
	view, err := format.Read(s, tensor, (size-n)/2, n) // of a mapping the system would read much more
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		digest.Write(view.Data)
		return nil
	})
}
