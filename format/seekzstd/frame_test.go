package seekzstd

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// frameContent is the content of a frame.
type frameContent struct {
	name    string
	content []byte
	plain   bool // written without a search
}

// contents are of n bytes each, about.
func contents(r *rand.Rand, n int) []frameContent {
	var list []frameContent
	add := func(name string, plain bool, width int, next func(i int) uint64) {
		var content []byte
		for i := 0; len(content) < n; i++ {
			content = append(content, binary.LittleEndian.AppendUint64(nil, next(i))[:width]...)
		}
		list = append(list, frameContent{name, content, plain})
	}
	normal := func(sigma float64) uint64 { return uint64(math.Float32bits(float32(r.NormFloat64() * sigma))) }
	weights := func(int) uint64 { return normal(0.02) >> 16 }
	add("bfloat16", true, 2, weights)
	add("float32", true, 4, func(int) uint64 { return normal(0.02) })
	add("float16", true, 2, func(int) uint64 { return normal(4) >> 13 & 0x7fff })
	add("codes of 8 bits", true, 1, func(int) uint64 { return uint64(int64(r.NormFloat64() * 30)) })
	add("outliers", true, 1, func(i int) uint64 { // of which a sample has none, in blocks that differ
		if i%sampleEvery > samplePart && r.IntN(5000) == 0 {
			return r.Uint64()
		}
		return uint64(int64(r.NormFloat64()*12) + int64(i/maxBlock/2*9) + 90) // pairs of blocks are alike
	})
	add("noise", true, 8, func(int) uint64 { return r.Uint64() })
	add("growing", true, 2, func(i int) uint64 { return normal(0.001*math.Exp(float64(i)*8/float64(n))) >> 16 })
	add("two kinds", true, 2, func(i int) uint64 {
		if i > n/4 {
			return r.Uint64() & 0x3fff
		}
		return normal(1) >> 16
	})
	add("noise, then weights", true, 2, func(i int) uint64 {
		if i < n/4 {
			return r.Uint64()
		}
		return normal(1) >> 16
	})
	add("weights, then text", false, 2, func(i int) uint64 {
		if i < n*3/8 {
			return normal(1) >> 16
		}
		return uint64('a' + i%20)
	})
	add("float32 of bfloat16", false, 4, func(int) uint64 { return normal(0.02) &^ 0xffff })
	add("zeros", false, 8, func(int) uint64 { return 0 })
	add("sparse", false, 2, func(int) uint64 {
		if r.IntN(10) > 0 {
			return 0
		}
		return normal(1) >> 16
	})
	add("counting", false, 8, func(i int) uint64 { return uint64(i) })
	rows := make([]uint64, 1024)
	for i := range rows {
		rows[i] = normal(0.02) >> 16
	}
	add("one row", false, 2, func(i int) uint64 { return rows[i%len(rows)] })
	add("a row now and then", false, 2, func(i int) uint64 { // of fifty
		if i/len(rows)%50 == 7 {
			return rows[i%len(rows)]
		}
		return weights(i)
	})
	return list
}

// Frames are read by another implementation, whatever is in them and however it is cut; and whether one is written without a search
// depends on its content alone.
func TestPlainFrames(t *testing.T) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	r := rand.New(rand.NewPCG(1, 2))
	var f plainFrame
	for _, n := range []int{leastPlain, maxBlock, maxBlock + 1, maxBlock + 8, 3*maxBlock + 20, 1 << 20, 2 << 20} {
		for _, s := range contents(r, n) {
			frame, plain := f.append([]byte("before"), s.content)
			if plain != s.plain && n >= 1<<20 {
				t.Errorf("%s, %d bytes: written without a search: %v", s.name, n, plain)
			}
			if !plain {
				if string(frame) != "before" {
					t.Errorf("%s, %d bytes: %d bytes are left of a frame", s.name, n, len(frame))
				}
				continue
			}
			if alone, _ := new(plainFrame).append(nil, s.content); !bytes.Equal(alone, frame[6:]) {
				t.Errorf("%s, %d bytes: the frame depends on those before", s.name, n)
			}
			got, err := decoder.DecodeAll(frame[6:], nil)
			if err != nil || !bytes.Equal(got, s.content) {
				t.Fatalf("%s, %d bytes: %v", s.name, n, err)
			}
			frame[6+frameHead+blockHead+literalsHead+200] ^= 4
			if got, err := decoder.DecodeAll(frame[6:], nil); err == nil && len(s.content) > 1000 {
				t.Errorf("%s, %d bytes: damage is not noticed, %v", s.name, n, bytes.Equal(got, s.content))
			}
		}
	}
}

// What is written without a search is hardly larger than with one.
func TestPlainSizes(t *testing.T) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	r := rand.New(rand.NewPCG(3, 4))
	var f plainFrame
	for _, s := range contents(r, 2<<20) {
		frame, plain := f.append(nil, s.content)
		searched := encoder.EncodeAll(s.content, nil)
		if plain {
			t.Logf("%s: %.2f%%, with a search %.2f%%", s.name, 100*float64(len(frame))/float64(len(s.content)), 100*float64(len(searched))/float64(len(s.content)))
		}
		if plain && float64(len(frame)) > 1.005*float64(len(searched)) {
			t.Errorf("%s: %d bytes, with a search %d", s.name, len(frame), len(searched))
		}
	}
}

// FuzzPlainFrame has content of few pieces written: what comes out is read back, in a frame of weld's or not at all.
func FuzzPlainFrame(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range contents(r, 300) {
		f.Add(s.content, uint64(7), uint16(900))
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	var p plainFrame
	var reader plainReader
	f.Fuzz(func(t *testing.T, piece []byte, seed uint64, times uint16) {
		r := rand.New(rand.NewPCG(seed, 1))
		var content []byte
		for range times % 2048 {
			content = append(content, piece...)
			content = binary.LittleEndian.AppendUint64(content, r.Uint64()>>(seed%64))
			if len(content) > 1<<19 {
				break
			}
		}
		frame, plain := p.append(nil, content)
		if !plain {
			return
		}
		if got, err := decoder.DecodeAll(frame, nil); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %v", len(content), err)
		}
		got := make([]byte, len(content))
		if reader.read(got, frame) && !bytes.Equal(got, content) {
			t.Errorf("%d bytes are read as something else", len(content))
		}
	})
}
