package seekzstd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"weld/format"
	"weld/mmapio"
)

// seekTable builds a table of (compressed, content) sizes. Entries get checksums,
// which nobody reads, if the descriptor says so.
func seekTable(entries [][2]uint32, descriptor byte) []byte {
	le := binary.LittleEndian
	var body []byte
	for i, e := range entries {
		body = le.AppendUint32(le.AppendUint32(body, e[0]), e[1])
		if descriptor&checksumFlag != 0 {
			body = le.AppendUint32(body, uint32(i)*0x9e3779b9)
		}
	}
	body = append(le.AppendUint32(body, uint32(len(entries))), descriptor)
	body = le.AppendUint32(body, seekableMagic)
	table := le.AppendUint32(le.AppendUint32(nil, skippableMagic), uint32(len(body)))
	return append(table, body...)
}

// specimen is a sound file of three frames, in parts.
type specimen struct {
	content []byte
	frames  []byte
	entries [][2]uint32
}

func newSpecimen(t *testing.T) specimen {
	t.Helper()
	s := specimen{content: weights(rand.New(rand.NewPCG(4, 2)), 3000)}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for i := range 3 {
		f := encoder.EncodeAll(s.content[1000*i:][:1000], nil)
		s.frames = append(s.frames, f...)
		s.entries = append(s.entries, [2]uint32{uint32(len(f)), 1000})
	}
	return s
}

func (s specimen) file(descriptor byte) []byte {
	return append(slices.Clone(s.frames), seekTable(s.entries, descriptor)...)
}

// from counts an offset from the end of a file.
func from(file []byte, back int) []byte { return file[len(file)-back:] }

func TestChecksumEntries(t *testing.T) {
	s := newSpecimen(t)
	for _, descriptor := range []byte{0, checksumFlag, checksumFlag | 3, 3} { // the lowest bits have no meaning
		z := opened(t, s.file(descriptor))
		checkRange(t, z, s.content, 0, len(s.content))
		checkRange(t, z, s.content, 1999, 2)
	}
}

// TestDamage opens files of which each has one thing wrong.
func TestDamage(t *testing.T) {
	le := binary.LittleEndian
	intact := func(s specimen) []byte { return s.file(0) }
	patched := func(back int, value uint32) func(specimen) []byte {
		return func(s specimen) []byte {
			file := intact(s)
			le.PutUint32(from(file, back), value)
			return file
		}
	}
	resized := func(entry, field int, change int) func(specimen) []byte {
		return func(s specimen) []byte {
			s.entries[entry][field] += uint32(change)
			return s.file(0)
		}
	}
	const table = skippableHead + 3*8 + footerSize
	for name, damage := range map[string]func(s specimen) []byte{
		"empty":                      func(specimen) []byte { return nil },
		"one byte":                   func(specimen) []byte { return []byte{1} },
		"shorter than any table":     func(s specimen) []byte { return from(s.file(0), skippableHead+footerSize-1) },
		"only a footer and padding":  func(s specimen) []byte { return append(make([]byte, 8), from(s.file(0), footerSize)...) },
		"only a table":               func(s specimen) []byte { return from(s.file(0), table) },
		"no frames but bytes":        func(s specimen) []byte { return append(s.frames, seekTable(nil, 0)...) },
		"no table":                   func(s specimen) []byte { return s.frames },
		"last byte missing":          func(s specimen) []byte { f := s.file(0); return f[:len(f)-1] },
		"first byte missing":         func(s specimen) []byte { return s.file(0)[1:] },
		"first frame missing":        func(s specimen) []byte { return s.file(0)[s.entries[0][0]:] },
		"cut inside the table":       func(s specimen) []byte { f := s.file(0); return f[:len(f)-15] },
		"bytes after the table":      func(s specimen) []byte { return append(s.file(0), 0) },
		"two tables":                 func(s specimen) []byte { return append(s.file(0), seekTable(s.entries, 0)...) },
		"seekable magic":             patched(4, 0x8F92EAB2),
		"skippable magic":            patched(table, 0x184D2A5F),
		"zstd magic for skippable":   patched(table, 0xFD2FB528),
		"table size":                 patched(table-4, 3*8+footerSize+1),
		"table size huge":            patched(table-4, math.MaxUint32),
		"count too small":            patched(9, 2),
		"count too large":            patched(9, 4),
		"count huge":                 patched(9, math.MaxUint32),
		"count that fits 32 bits":    patched(9, 1<<29),
		"reserved bit 2":             func(s specimen) []byte { return s.file(0x04) },
		"reserved bit 6":             func(s specimen) []byte { return s.file(0x40) },
		"reserved and checksum bits": func(s specimen) []byte { return s.file(checksumFlag | 0x10) },
		"checksum bit without any":   func(s specimen) []byte { f := s.file(0); from(f, 5)[0] = checksumFlag; return f },
		"checksums without the bit":  func(s specimen) []byte { f := s.file(checksumFlag); from(f, 5)[0] = 0; return f },
		"frame size too small":       resized(1, 0, -1),
		"frame size too large":       resized(1, 0, 1),
		"frame over the file's end":  resized(2, 0, 1<<20),
		"frame size over the limit":  resized(0, 0, mmapio.MaxView),
		"frame of no bytes":          func(s specimen) []byte { s.entries = append(s.entries, [2]uint32{0, 5}); return s.file(0) },
		"content over the limit":     resized(1, 1, MaxFrame),
		"content of 4 GiB":           func(s specimen) []byte { s.entries[1][1] = math.MaxUint32; return s.file(0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := saved(t, damage(newSpecimen(t)))
			z, err := Open(path)
			if err == nil {
				z.Close()
			}
			checkDamaged(t, err, path)
		})
	}
}

// TestDamageInFrames reads frames of which one is damaged; the others stay readable.
func TestDamageInFrames(t *testing.T) {
	frame := func(content []byte, options ...zstd.EOption) []byte {
		encoder, err := zstd.NewWriter(nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		defer encoder.Close()
		return encoder.EncodeAll(content, nil)
	}
	replaced := func(f func(s specimen) []byte) func(specimen) []byte { // of the middle frame
		return func(s specimen) []byte {
			fresh := f(s)
			first, second := s.entries[0][0], s.entries[1][0]
			s.frames = slices.Concat(s.frames[:first], fresh, s.frames[first+second:])
			s.entries[1][0] = uint32(len(fresh))
			return s.file(0)
		}
	}
	flipped := func(at func(size uint32) uint32) func(specimen) []byte {
		return func(s specimen) []byte {
			file := s.file(0)
			file[s.entries[0][0]+at(s.entries[1][0])] ^= 1
			return file
		}
	}
	for name, damage := range map[string]func(s specimen) []byte{
		"flipped byte":           flipped(func(size uint32) uint32 { return size / 2 }),
		"flipped checksum":       flipped(func(size uint32) uint32 { return size - 1 }),
		"flipped magic":          flipped(func(uint32) uint32 { return 0 }),
		"content longer":         func(s specimen) []byte { s.entries[1][1]++; return s.file(0) },
		"content shorter":        func(s specimen) []byte { s.entries[1][1]--; return s.file(0) },
		"content empty":          replaced(func(specimen) []byte { return frame(nil) }),
		"content over the claim": replaced(func(specimen) []byte { return frame(make([]byte, MaxFrame+100)) }),
		"the same with no size":  replaced(func(specimen) []byte { return streamed(t, make([]byte, MaxFrame+100)) }),
		"skippable frame":        replaced(func(specimen) []byte { return []byte{0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4} }),
		"noise":                  replaced(func(s specimen) []byte { return s.content[:500] }),
		"zeros":                  replaced(func(specimen) []byte { return make([]byte, 500) }),
		"needs a dictionary":     replaced(func(s specimen) []byte { return append([]byte{0x28, 0xB5, 0x2F, 0xFD, 0x21, 7}, s.content[:50]...) }),
		"window of terabytes":    replaced(func(s specimen) []byte { return append([]byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xF8}, s.content[:50]...) }),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpecimen(t)
			z := opened(t, damage(s))
			for range 2 { // the second time from the cache, if it were kept
				_, err := z.View(1100, 10)
				checkDamaged(t, err, z.Path())
				_, err = z.ReadAt(make([]byte, 2000), 500)
				checkDamaged(t, err, z.Path())
			}
			checkRange(t, z, s.content, 0, 1000)
			checkIdle(t, z)
		})
	}
}

// streamed compresses without saying in the frame how much it holds.
func streamed(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(content, 1<<20) {
		if _, err := encoder.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := encoder.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func checkDamaged(t *testing.T, err error, path string) {
	t.Helper()
	var e *format.Error
	if !errors.As(err, &e) || e.Kind != format.KindCompression || e.Path != path || e.Detail == "" {
		t.Errorf("error %v, want a *format.Error of kind %q for the file", err, format.KindCompression)
	}
}

// TestClaimsAreNotAllocated opens a file of holes whose footer speaks of eight
// million frames.
func TestClaimsAreNotAllocated(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file has no holes by itself")
	}
	const count = MaxFrames
	tail := seekTable(nil, 0)[skippableHead:]
	binary.LittleEndian.PutUint32(tail, count)
	path := saved(t, nil)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const start = 100
	head := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	head = binary.LittleEndian.AppendUint32(head, count*8+footerSize)
	if _, err := file.WriteAt(head, start); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(tail, start+skippableHead+count*8); err != nil {
		t.Skip(err) // no holes here
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Open(path)
	runtime.ReadMemStats(&after)
	checkDamaged(t, err, path)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("a claim of %d frames made Open allocate %d bytes", count, grown)
	}
}

// TestShrunk truncates the file under its mapping: a fault, with the file's path.
func TestShrunk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be truncated")
	}
	z := opened(t, compress(t, weights(rand.New(rand.NewPCG(6, 6)), 100_000), 50_000))
	if err := os.Truncate(z.Path(), 0); err != nil {
		t.Fatal(err)
	}
	_, err := z.View(60_000, 10)
	var fault *mmapio.FaultError
	if !errors.As(err, &fault) || fault.Path != z.Path() {
		t.Errorf("error %v, want a *mmapio.FaultError", err)
	}
	if err := z.Unchanged(); err == nil {
		t.Error("a shorter file passes for unchanged")
	}
	checkIdle(t, z)
}
