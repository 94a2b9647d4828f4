package seekzstd

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"weld/format"
	"weld/format/frames"
	"weld/internal/huffman"
	"weld/mmapio"
)

// CompressedFile is a compressed file, read at random offsets of its content. Its methods
// may be called from any goroutine.
type CompressedFile struct {
	*frames.Reader
	file    *mmapio.File
	decoder *zstd.Decoder
	plain   mmapio.Spare[plainReader]
	places  []framePlace // of the frames
}

// framePlace is where a frame lies in the file.
type framePlace struct{ offset, size int64 }

// Open opens a file that ends with a seek table. Its faults are [*format.Error].
func Open(path string, how ...mmapio.Reading) (*CompressedFile, error) {
	file, err := mmapio.Open(path, how...)
	if err != nil {
		return nil, err
	}
	z := &CompressedFile{file: file}
	cuts, err := z.readTable()
	if err != nil {
		file.Close()
		return nil, err
	}
	z.Reader = frames.NewReader(path, cuts, z.decode)
	z.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(MaxFrame+1), zstd.WithDecoderLowmem(true))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return z, nil
}

func (z *CompressedFile) damaged(detail string, args ...any) error {
	return &format.Error{Path: z.file.Path(), Kind: format.KindCompression, Detail: fmt.Sprintf(detail, args...)}
}

// foreign says what a file is that does not begin as one of zstd's does, if that is known.
func (z *CompressedFile) foreign() string {
	head := make([]byte, min(z.file.Size(), format.ForeignHead))
	n, _ := z.file.ReadAt(head, 0)
	if bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) {
		return ""
	}
	return format.Foreign(head[:n], z.file.Size())
}

// readTable reads the seek table from the end of the file, checking every figure
// before it is used. It returns where frames end in the content.
func (z *CompressedFile) readTable() (cuts []int64, err error) {
	le, size := binary.LittleEndian, z.file.Size()
	if what := z.foreign(); what != "" {
		return nil, &format.Error{Path: z.file.Path(), Kind: format.KindForeign, Detail: what}
	}
	if size < skippableHead+footerSize {
		return nil, z.damaged("a file of %d bytes has no seek table: it is cut short, download or copy it again", size)
	}
	var footer [footerSize]byte
	if _, err := z.file.ReadAt(footer[:], size-footerSize); err != nil {
		return nil, err
	}
	if le.Uint32(footer[5:]) != seekableMagic {
		return nil, z.damaged("no seek table at the end: the file is cut short, or was compressed by another tool; restore it with zstd -d")
	}
	descriptor := footer[4]
	if descriptor&reservedBits != 0 {
		return nil, z.damaged("seek table with unknown flags %#x", descriptor)
	}
	width := int64(8)
	if descriptor&checksumFlag != 0 {
		width = 12
	}
	count := int64(le.Uint32(footer[:]))
	tableSize := count*width + footerSize
	start := size - tableSize - skippableHead
	if start < 0 {
		return nil, z.damaged("a seek table of %d frames does not fit the file", count)
	}
	if count > MaxFrames {
		return nil, z.damaged("a seek table of %d frames, of at most %d", count, MaxFrames)
	}
	table := bufio.NewReaderSize(io.NewSectionReader(z.file, start, skippableHead+tableSize), 64<<10)
	var head [skippableHead]byte
	if _, err := io.ReadFull(table, head[:]); err != nil {
		return nil, err
	}
	if le.Uint32(head[:]) != skippableMagic || int64(le.Uint32(head[4:])) != tableSize {
		return nil, z.damaged("the seek table does not begin where its %d frames say", count)
	}
	var at framePlace
	after := int64(0) // of the content
	entry := make([]byte, width)
	for range count { // grown by what is there, not by what the count says
		if _, err := io.ReadFull(table, entry); err != nil {
			return nil, err
		}
		at.offset, at.size = at.offset+at.size, int64(le.Uint32(entry))
		content := int64(le.Uint32(entry[4:]))
		if at.size == 0 {
			return nil, z.damaged("frame %d takes no bytes of the file", len(cuts))
		}
		if at.size > mmapio.MaxView || content > MaxFrame {
			return nil, z.damaged("frame %d holds %d bytes, more than the %d that weld reads", len(cuts), content, int64(MaxFrame))
		}
		after += content
		z.places, cuts = append(z.places, at), append(cuts, after)
	}
	if end := at.offset + at.size; end != start {
		return nil, z.damaged("frames end at byte %d, the seek table begins at %d", end, start)
	}
	return cuts, nil
}

// Path is the name that the file was opened under.
func (z *CompressedFile) Path() string { return z.file.Path() }

// Info is what the system said of the compressed file.
func (z *CompressedFile) Info() os.FileInfo { return z.file.Info() }

// Unchanged fails if the file is no longer what it was when opened.
func (z *CompressedFile) Unchanged() error { return z.file.Unchanged() }

// Close closes the file. Views must have been released before.
func (z *CompressedFile) Close() error {
	z.decoder.Close()
	return z.file.Close()
}

// Read is View: a frame is decoded whole anyway.
func (z *CompressedFile) Read(off, n int64) (mmapio.View, error) { return z.View(off, n) }

// Advise informs the system about the frames of a range of the content.
func (z *CompressedFile) Advise(a mmapio.Advice, off, n int64) {
	first, last := z.Find(off), z.Find(off+n-1)
	if first <= last && last < len(z.places) {
		z.file.Advise(a, z.places[first].offset, z.places[last].offset+z.places[last].size-z.places[first].offset)
	}
}

// decode decompresses frame i and checks its length; the decoder checks the frame's
// own checksum.
func (z *CompressedFile) decode(i int, content []byte) error {
	f := z.places[i]
	view, err := z.file.View(f.offset, f.size)
	if err != nil {
		return err
	}
	defer view.Release()
	var data []byte
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		if z.decodePlain(content, view.Data) {
			data = content
			return nil
		}
		data, err = z.decoder.DecodeAll(view.Data, content[:0:len(content)])
		return err
	})
	if fault := (*mmapio.FaultError)(nil); errors.As(err, &fault) {
		return err
	}
	if err != nil {
		return &format.Error{Path: z.Path(), Kind: format.KindCompression, Detail: fmt.Sprintf("frame %d at byte %d is damaged", i, f.offset), Err: err}
	}
	if len(data) != len(content) {
		return z.damaged("frame %d holds %d bytes, the seek table says %d", i, len(data), len(content))
	}
	return nil
}

// decodePlain decodes a frame that has nothing but literals, where that saves time.
func (z *CompressedFile) decodePlain(content, frame []byte) bool {
	if !huffman.Kernels() {
		return false
	}
	plain := z.plain.Get()
	if plain == nil {
		plain = new(plainReader)
	}
	defer z.plain.Put(plain, plainReaderBytes)
	return plain.read(content, frame)
}

// plainReaderBytes is about what a plainReader takes.
const plainReaderBytes = 256 << 10
