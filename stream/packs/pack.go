package packs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"weld/format"
	"weld/format/packed"
	"weld/mmapio"
	"weld/stream"
	"weld/stream/destination"
	"weld/stream/run"
)

// Stream is what stands for stdin or stdout in place of a path.
const Stream = "-"

// Options are those of all commands here.
type Options struct {
	stream.Options
	In  io.Reader // what [Stream] is as an input
	Out io.Writer // what [Stream] is as an output

	Free func(dir string) (bytes int64, known bool) // space below a directory; nil asks the system

	held   int64     // bytes of what is known of each tensor
	behind *dropping // nil if inputs may stay in the page cache
}

// Outcome is what was done.
type Outcome struct {
	Out     string   `json:"out"`
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`  // of the files
	Packed  int64    `json:"packed"` // bytes of the pack
	Digest  string   `json:"digest"`
	Repeats int      `json:"repeats,omitempty"` // tensors whose bytes another one holds already
	Seconds float64  `json:"seconds"`
	Notes   []string `json:"notes,omitempty"`
}

// Ratio is the size of the pack against that of the files.
func (r *Outcome) Ratio() float64 {
	if r.Bytes == 0 {
		return 1
	}
	return float64(r.Packed) / float64(r.Bytes)
}

// Pack puts the files of a checkpoint into a pack. When it fails or ctx ends, nothing
// stands under the output's name that was not there before.
func Pack(ctx context.Context, in, out string, o Options) (*Outcome, error) {
	start := time.Now()
	if out != Stream && !packed.IsName(out) {
		return nil, &destination.NameError{Output: out, Reason: "the name of a pack ends with .weld"}
	}
	defer o.forget()
	sources, err := o.sources(in, out)
	if err != nil {
		return nil, err
	}
	defer sources.Close()
	o.hold(sources.tensors(), packTensor)
	o.fit(sources.paths(), 2*sources.size())
	dst, err := o.create(out, mmapio.SingleFile, sources.place(in))
	if err != nil {
		return nil, err
	}
	r := &Outcome{Out: out, Notes: sources.Notes}
	if err := dst.finish(ctx, o.pack(ctx, sources, dst, r)); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// pack fills the output.
func (o Options) pack(ctx context.Context, in *packFiles, dst *sink, r *Outcome) error {
	file, err := dst.file("", 0)
	if err != nil {
		return err
	}
	counted := &countingWriter{w: file}
	w := packed.NewWriter(counted, o.Threads)
	if r.Repeats, err = in.findRepeats(ctx); err != nil {
		return err
	}
	if r.Repeats > 0 {
		w.Repeats()
	}
	o.Progress.Begin(run.Phase{Name: "pack", Index: 1, Count: 1, Bytes: in.size()})
	if err := o.copyBlocks(ctx, in, w); err != nil {
		return err
	}
	if err := errors.Join(in.Unchanged(), w.Complete()); err != nil {
		return err
	}
	digest := w.Digest()
	r.Files, r.Bytes, r.Packed, r.Digest = len(in.files), in.size(), counted.n, hex.EncodeToString(digest[:])
	return nil
}

// countingWriter counts what is written.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// copyBlocks has the workers put all blocks of the inputs into a pack, in order.
func (o Options) copyBlocks(ctx context.Context, in *packFiles, w blockWriter) error {
	c := &blockCursor{in: in, w: w, skipped: o.advance}
	return run.Workers(ctx, o.Threads, w.Abort, func(ctx context.Context) error {
		for ctx.Err() == nil {
			b, err := c.next()
			if b == nil || err != nil {
				return err
			}
			if err := b.copy(); err != nil {
				return fmt.Errorf("pack %s: %w", b.input.name, err)
			}
			o.advance(b.bytes)
		}
		return nil
	})
}

// blockCursor hands out blocks of the inputs, in order.
type blockCursor struct {
	in      *packFiles
	w       blockWriter
	skipped func(bytes int64) // what need not be read

	mu      sync.Mutex
	file    int                // under way
	open    *packed.FileWriter // nil before it
	nextRun int                // the next one
	at      int64              // in the file
	left    int64              // of the run
}

// copiedBlock is a piece of a file.
type copiedBlock struct {
	input      *packFile
	dst        *packed.FileWriter
	off, bytes int64
	data       []byte // of a pipe
}

// next returns nil after the last block.
func (c *blockCursor) next() (*copiedBlock, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left == 0 {
		if c.file == len(c.in.files) {
			return nil, nil
		}
		f := &c.in.files[c.file]
		switch {
		case c.open == nil:
			var err error
			if c.open, err = f.announce(c.w); err != nil {
				return nil, err
			}
			c.nextRun, c.at = 0, 0
		default:
			if err := c.begin(f); err != nil {
				return nil, err
			}
		}
	}
	b := &copiedBlock{input: &c.in.files[c.file], dst: c.open, off: c.at, bytes: min(c.left, packed.BlockSize)}
	if err := c.fetch(b); err != nil {
		return nil, err
	}
	c.at, c.left = c.at+b.bytes, c.left-b.bytes
	return b, nil
}

// begin takes the next run of a file up, and ends the file behind the last. A run that comes again is not read.
func (c *blockCursor) begin(f *packFile) error {
	bytes, ok := f.run(c.nextRun)
	if !ok {
		c.open = nil
		c.file++
		return nil
	}
	tensor := c.nextRun - 1
	c.nextRun++
	if tensor < 0 || f.repeats == nil || f.repeats[tensor] < 0 {
		c.left = bytes
		return nil
	}
	if err := c.open.Repeat(c.at, bytes, f.repeats[tensor]); err != nil {
		return err
	}
	c.at += bytes
	c.skipped(bytes)
	return nil
}

// fetch takes a block from a pipe, or asks for what will be needed soon.
func (c *blockCursor) fetch(b *copiedBlock) error {
	if b.input.pipe != nil {
		b.data = make([]byte, b.bytes)
		_, err := io.ReadFull(b.input.pipe, b.data)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = &format.Error{Path: "stdin", Kind: format.KindTruncated, Detail: fmt.Sprintf("it ends before byte %d of %d", b.off+b.bytes, b.input.size), Err: io.ErrUnexpectedEOF}
		}
		return err
	}
	from := (b.off/readAhead + 1) * readAhead
	if n := min(readAhead, b.input.size-from); n > 0 && from <= b.off+b.bytes {
		b.input.src.Advise(mmapio.Soon, from, n)
	}
	return nil
}

// readAhead is how many bytes are asked for at once, before they are needed.
const readAhead = 8 << 20

func (b *copiedBlock) copy() error {
	if b.data != nil {
		_, err := b.dst.WriteAt(b.data, b.off)
		return err
	}
	lend := b.input.src.View
	if b.bytes <= format.FewBytes {
		lend = b.input.src.Read
	}
	view, err := lend(b.off, b.bytes)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		_, err := b.dst.WriteAt(view.Data, b.off)
		return err
	})
}

// sources opens what is to be packed.
func (o Options) sources(in, out string) (*packFiles, error) {
	if in == Stream {
		return pipe(o.In)
	}
	return gather(in, out, o.Read)
}
