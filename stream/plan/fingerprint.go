package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

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

// sample adds the middle of a tensor's bytes.
func sample(digest hash.Hash, s format.Checkpoint, tensor int) error {
	size := s.Tensors()[tensor].Bytes()
	n := min(size, fingerprintBytes)
	view, err := s.View(tensor, (size-n)/2, n)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		digest.Write(view.Data)
		return nil
	})
}
