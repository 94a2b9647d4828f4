package seekzstd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"weld/format"
	"weld/mmapio"
)

// File is a compressed file, read at random offsets of its content. Its methods
// may be called from any goroutine.
type File struct {
	file    *mmapio.File
	decoder *zstd.Decoder
	frames  []span // ascending
	largest int64  // content of the largest frame

	mu    sync.Mutex
	cache map[int]*decoded
	idle  []int // frames in the cache that are not lent, oldest first
}

// span is where a frame lies: in the file and in the content.
type span struct {
	offset, size   int64
	content, after int64 // content [content, after)
}

// decoded is the content of a frame that is lent, or kept for the next reader.
type decoded struct {
	loans int
	ready chan struct{} // closed when data or err is set
	data  []byte
	err   error
}

// idleFrames is how many decoded frames are kept when nobody borrows them.
const idleFrames = 2

// Open opens a file that ends with a seek table. Its faults are [*format.Error].
func Open(path string, how ...mmapio.Reading) (*File, error) {
	file, err := mmapio.Open(path, how...)
	if err != nil {
		return nil, err
	}
	z := &File{file: file, cache: make(map[int]*decoded)}
	if err := z.readTable(); err != nil {
		file.Close()
		return nil, err
	}
	z.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(MaxFrame+1), zstd.WithDecoderLowmem(true))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return z, nil
}

func (z *File) damaged(detail string, args ...any) error {
	return &format.Error{Path: z.file.Path(), Kind: format.KindCompression, Detail: fmt.Sprintf(detail, args...)}
}

// readTable reads the seek table from the end of the file, checking every figure
// before it is used.
func (z *File) readTable() error {
	le, size := binary.LittleEndian, z.file.Size()
	if size < skippableHead+footerSize {
		return z.damaged("a file of %d bytes has no seek table", size)
	}
	var footer [footerSize]byte
	if _, err := z.file.ReadAt(footer[:], size-footerSize); err != nil {
		return err
	}
	if le.Uint32(footer[5:]) != seekableMagic {
		return z.damaged("no seek table at the end: the file is cut short, or was compressed by another tool; restore it with zstd -d")
	}
	descriptor := footer[4]
	if descriptor&reservedBits != 0 {
		return z.damaged("seek table with unknown flags %#x", descriptor)
	}
	width := int64(8)
	if descriptor&checksumFlag != 0 {
		width = 12
	}
	count := int64(le.Uint32(footer[:]))
	tableSize := count*width + footerSize
	start := size - tableSize - skippableHead
	if start < 0 {
		return z.damaged("a seek table of %d frames does not fit the file", count)
	}
	table := bufio.NewReaderSize(io.NewSectionReader(z.file, start, skippableHead+tableSize), 64<<10)
	var head [skippableHead]byte
	if _, err := io.ReadFull(table, head[:]); err != nil {
		return err
	}
	if le.Uint32(head[:]) != skippableMagic || int64(le.Uint32(head[4:])) != tableSize {
		return z.damaged("the seek table does not begin where its %d frames say", count)
	}
	var at span
	entry := make([]byte, width)
	for range count { // grown by what is there, not by what the count says
		if _, err := io.ReadFull(table, entry); err != nil {
			return err
		}
		at.offset, at.size = at.offset+at.size, int64(le.Uint32(entry))
		at.content, at.after = at.after, at.after+int64(le.Uint32(entry[4:]))
		if at.size == 0 {
			return z.damaged("frame %d takes no bytes of the file", len(z.frames))
		}
		if at.size > mmapio.MaxView || at.after-at.content > MaxFrame {
			return z.damaged("frame %d holds %d bytes, more than the %d that weld reads", len(z.frames), at.after-at.content, int64(MaxFrame))
		}
		z.largest = max(z.largest, at.after-at.content)
		z.frames = append(z.frames, at)
	}
	if end := at.offset + at.size; end != start {
		return z.damaged("frames end at byte %d, the seek table begins at %d", end, start)
	}
	return nil
}

// Path is the name that the file was opened under.
func (z *File) Path() string { return z.file.Path() }

// Info is what the system said of the compressed file.
func (z *File) Info() os.FileInfo { return z.file.Info() }

// Unchanged fails if the file is no longer what it was when opened.
func (z *File) Unchanged() error { return z.file.Unchanged() }

// Size is the length of the content.
func (z *File) Size() int64 {
	if len(z.frames) == 0 {
		return 0
	}
	return z.frames[len(z.frames)-1].after
}

// Close closes the file. Views must have been released before.
func (z *File) Close() error {
	z.decoder.Close()
	return z.file.Close()
}

// Peek is View: a frame is decoded whole anyway.
func (z *File) Peek(off, n int64) (mmapio.View, error) { return z.View(off, n) }

// Advise tells the system about the frames of a range of the content.
func (z *File) Advise(a mmapio.Advice, off, n int64) {
	first, last := z.find(off), z.find(off+n-1)
	if first < len(z.frames) && last < len(z.frames) && first <= last {
		z.file.Advise(a, z.frames[first].offset, z.frames[last].offset+z.frames[last].size-z.frames[first].offset)
	}
}

// ViewCost bounds the memory that a view of n bytes takes: the frames that it
// touches are decoded whole.
func (z *File) ViewCost(n int64) int64 { return n + 3*z.largest }

// find returns the frame that holds the content at off.
func (z *File) find(off int64) int {
	i, found := slices.BinarySearchFunc(z.frames, off, func(s span, off int64) int {
		switch {
		case s.after <= off:
			return -1
		case s.content > off:
			return 1
		}
		return 0
	})
	if !found {
		return len(z.frames)
	}
	return i
}

// ReadAt implements [io.ReaderAt] on the content.
func (z *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("zstd: negative offset")
	}
	n := 0
	for n < len(p) {
		i := z.find(off + int64(n))
		if i == len(z.frames) {
			return n, io.EOF
		}
		data, err := z.borrow(i)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data[off+int64(n)-z.frames[i].content:])
		z.giveBack(i)
	}
	return n, nil
}

// View lends n bytes of the content from off: a part of a decoded frame, or a copy
// where the range spans several. n is at most [mmapio.MaxView].
func (z *File) View(off, n int64) (mmapio.View, error) {
	if off < 0 || n < 0 || off > z.Size()-n {
		return mmapio.View{}, fmt.Errorf("%s: bytes [%d, %d) are not inside the content's %d: %w", z.Path(), off, off+n, z.Size(), io.ErrUnexpectedEOF)
	}
	if n > mmapio.MaxView {
		return mmapio.View{}, fmt.Errorf("%s: a view of %d bytes is over the limit of %d", z.Path(), n, int64(mmapio.MaxView))
	}
	if n == 0 {
		return mmapio.View{}, nil
	}
	i := z.find(off)
	if f := z.frames[i]; off+n <= f.after {
		data, err := z.borrow(i)
		if err != nil {
			return mmapio.View{}, err
		}
		lo := off - f.content
		return mmapio.Lend(data[lo:lo+n:lo+n], z, int64(i)), nil
	}
	data := make([]byte, n)
	if _, err := z.ReadAt(data, off); err != nil {
		return mmapio.View{}, err
	}
	return mmapio.Lend(data, z, notCached), nil
}

// notCached is the token of a view that owns its bytes.
const notCached = -1

// TakeBack implements [mmapio.Lender].
func (z *File) TakeBack(_ []byte, token int64) {
	if token != notCached {
		z.giveBack(int(token))
	}
}

// borrow returns the content of frame i; the first who asks decodes it.
func (z *File) borrow(i int) ([]byte, error) {
	z.mu.Lock()
	d := z.cache[i]
	first := d == nil
	if first {
		d = &decoded{ready: make(chan struct{})}
		z.cache[i] = d
	}
	if d.loans == 0 {
		if at := slices.Index(z.idle, i); at >= 0 {
			z.idle = slices.Delete(z.idle, at, at+1)
		}
	}
	d.loans++
	z.mu.Unlock()

	if first {
		d.data, d.err = z.decode(i)
		close(d.ready)
	}
	<-d.ready
	if d.err != nil {
		z.giveBack(i)
		return nil, d.err
	}
	return d.data, nil
}

func (z *File) giveBack(i int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	d := z.cache[i]
	if d.loans--; d.loans > 0 {
		return
	}
	if d.err != nil {
		delete(z.cache, i)
		return
	}
	z.idle = append(z.idle, i)
	if len(z.idle) > idleFrames {
		delete(z.cache, z.idle[0])
		z.idle = z.idle[1:]
	}
}

// decode decompresses frame i and checks its length; the decoder checks the frame's
// own checksum.
func (z *File) decode(i int) (data []byte, err error) {
	f := z.frames[i]
	view, err := z.file.View(f.offset, f.size)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	want := f.after - f.content
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		data, err = z.decoder.DecodeAll(view.Data, make([]byte, 0, want))
		return err
	})
	if fault := (*mmapio.FaultError)(nil); errors.As(err, &fault) {
		return nil, err
	}
	if err != nil {
		return nil, &format.Error{Path: z.Path(), Kind: format.KindCompression, Detail: fmt.Sprintf("frame %d at byte %d is damaged", i, f.offset), Err: err}
	}
	if int64(len(data)) != want {
		return nil, z.damaged("frame %d holds %d bytes, the seek table says %d", i, len(data), want)
	}
	return data, nil
}
