package seekzstd

import (
	"encoding/binary"

	"weld/internal/huffman"
)

// Figures of a glance at a frame.
const (
	leastPlain   = 64 << 10 // bytes: below, a search costs little
	leastEntropy = 5        // bits of a byte; below, a search finds short matches, and codes are near their least of a bit
	fewBytes     = 1 << 10  // whose entropy says nothing
	samplePart   = 1 << 10
	sampleEvery  = 8 << 10

	wordShare  = 64 // one word in so many is remembered
	wordStride = wordShare*8 + 8
	wordSlots  = 4 << 10
	mostRepeat = 1.0 / 256 // of the words that are remembered
)

// plain reports whether there is nothing to be found in the content but how often each byte is there. It counts
// a sample of each block on the way.
func (f *plainFrame) plain(content []byte) bool {
	if len(content) < leastPlain {
		return false
	}
	f.blocks, f.counts = f.blocks[:0], huffman.Counts{}
	for rest := content; len(rest) > 0; rest = rest[min(maxBlock, len(rest)):] {
		block := f.sample(rest[:min(maxBlock, len(rest))])
		if block.Entropy() < leastEntropy*float64(block.Total()) && len(rest) > fewBytes {
			return false
		}
		f.blocks = append(f.blocks, block)
		for b, n := range block {
			f.counts[b] += n
		}
	}
	return !f.repeats(content)
}

// sample counts an eighth of some content.
func (f *plainFrame) sample(content []byte) (c huffman.Counts) {
	f.part = f.part[:0]
	for len(content) > 0 {
		f.part = append(f.part, content[:min(samplePart, len(content))]...)
		content = content[min(sampleEvery, len(content)):]
	}
	c.Add(f.part)
	return c
}

// repeats reports whether words of eight bytes come again. Those are remembered that a hash chooses: the same wherever they
// come, so that what comes twice is noticed twice. Where there are few words that differ, it may choose none: so those in some
// places are, too.
func (f *plainFrame) repeats(content []byte) bool {
	f.forget()
	for at := 0; at+8 <= len(content); at += wordStride {
		f.remember(binary.LittleEndian.Uint64(content[at:]))
	}
	if f.many() {
		return true
	}
	f.forget()
	for ; len(content) >= 32; content = content[32:] {
		p := content[:32:32]
		words := [4]uint64{binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint64(p[16:]), binary.LittleEndian.Uint64(p[24:])}
		if min(hash(words[0]), hash(words[1]), hash(words[2]), hash(words[3])) >= chosenHash {
			continue // as most of the time
		}
		for _, w := range words {
			if hash(w) < chosenHash {
				f.remember(w)
			}
		}
	}
	return f.many()
}

// chosenHash is what the hash of a word is below that is chosen.
const chosenHash = 1 << 64 / wordShare

func hash(word uint64) uint64 { return (word + 0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93 }

// remember looks for a word among those before, and keeps it.
func (f *plainFrame) remember(word uint64) {
	slot := hash(word) >> 40 % wordSlots
	if f.words[slot] == word {
		f.again++
	}
	f.words[slot] = word
	f.chosen++
}

func (f *plainFrame) forget() {
	clear(f.words[:])
	f.chosen, f.again = 0, 0
}

// many reports whether of the words that were remembered too many were not new.
func (f *plainFrame) many() bool { return float64(f.again) > mostRepeat*float64(f.chosen)+1 }
