package seekzstd

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Frames of literals are read, whoever wrote them: those of other writers have blocks with sizes of fewer bits, a window, codes of their own.
func TestPlainReader(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var f plainFrame
	var p plainReader
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for _, n := range []int{300, 5000, 20000, leastPlain, maxBlock, maxBlock + 5, maxBlock + 400, 3*maxBlock + 20, 1 << 20} {
		for _, s := range contents(r, n) {
			got := make([]byte, len(s.content))
			frame, plain := f.append(nil, s.content)
			if plain && (!p.read(got, frame) || !bytes.Equal(got, s.content)) {
				t.Fatalf("%s, %d bytes: not read", s.name, n)
			}
			theirs := encoder.EncodeAll(s.content, nil)
			clear(got)
			read := p.read(got, theirs)
			if read && !bytes.Equal(got, s.content) {
				t.Fatalf("%s, %d bytes: another's is read as something else", s.name, n)
			}
			if !read && s.name == "bfloat16" && (n%maxBlock == 0 || n%maxBlock > 2000) { // few bytes are one stream
				t.Errorf("%s, %d bytes: another's is not read", s.name, n)
			}
		}
	}
}

// A frame that is damaged anywhere, or cut short, is left to another reader, or what was damaged did not matter.
func TestPlainReaderDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var f plainFrame
	var p plainReader
	for _, s := range contents(r, 3*maxBlock) {
		frame, plain := f.append(nil, s.content)
		if !plain {
			continue
		}
		got := make([]byte, len(s.content))
		for range 60 {
			bad := bytes.Clone(frame)
			at := r.IntN(len(bad))
			if r.IntN(2) == 0 {
				at = r.IntN(300)
			}
			bad[at] ^= 1 << r.IntN(8)
			if p.read(got, bad) && !bytes.Equal(got, s.content) {
				t.Fatalf("%s: damage of byte %d is not noticed", s.name, at)
			}
			if p.read(got, frame[:at]) {
				t.Fatalf("%s: cut at byte %d, it is whole", s.name, at)
			}
			if p.read(got[:len(got)-1], frame) || p.read(append(got, 0), frame) {
				t.Fatalf("%s: its length is wrong", s.name)
			}
		}
		if !p.read(got, frame) || !bytes.Equal(got, s.content) {
			t.Fatalf("%s: not read", s.name)
		}
	}
}
