package packs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"weld/format"
	"weld/format/packed"
	"weld/mmapio"
)

// Unpack restores the files of a pack: into a directory, or, of a pack with one file, into
// that. When it fails or ctx ends, nothing stands under the output's name that was not there before.
func Unpack(ctx context.Context, in, out string, o Options) (*Outcome, error) {
	start := time.Now()
	defer o.forget()
	src, err := o.scanAgain(in, out, "unpack")
	if err != nil {
		return nil, err
	}
	defer src.Close()
	o.fit([]string{in}, 2*src.size())
	if src.Kind() != packed.Pack {
		return nil, &format.Error{Path: in, Kind: format.KindUnsupported, Detail: "a patch, not a pack: weld apply makes a checkpoint of it and the base"}
	}
	dst, err := o.createRestored(out, src.place()...)
	if err != nil {
		return nil, err
	}
	u := &unpacking{Options: o, src: src, dst: dst}
	if err := dst.finish(ctx, errors.Join(u.run(ctx), u.close())); err != nil {
		return nil, err
	}
	digest := src.Digest()
	return &Outcome{Out: out, Files: u.files, Bytes: u.content, Packed: src.size(), Digest: hex.EncodeToString(digest[:]), Seconds: time.Since(start).Seconds()}, nil
}

// unpacking is one run of Unpack.
type unpacking struct {
	Options
	src *scannedPack
	dst *sink

	file    mmapio.OutputFile
	begin   int64 // of the file in the content
	files   int
	content int64

	once    sync.Once
	earlier *packed.Archive // for blocks that repeat others
	failed  error           // to open it
}

func (u *unpacking) close() error {
	if u.earlier == nil {
		return nil
	}
	return u.earlier.Close()
}

// run reads the pack and has the workers restore its blocks. To a pipe, they go one by one.
func (u *unpacking) run(ctx context.Context) error {
	workers := u.Threads
	if u.dst.staging == nil {
		workers = 1
	}
	err := u.src.each(ctx, workers, u.advance, u.deal)
	var cut *format.Error
	if errors.As(err, &cut) && cut.Kind == format.KindTruncated {
		return &format.Error{Path: cut.Path, Kind: cut.Kind, Detail: cut.Detail + "; weld unpack --salvage restores the rest", Err: cut.Err}
	}
	return err
}

// deal makes the next file, or restores a block of it.
func (u *unpacking) deal(found packed.Scanned) (blockJob, error) {
	if found.File != nil {
		return nil, u.begins(found.File)
	}
	b, file, off := found.Block, u.file, int64(0)
	if b == nil {
		return nil, nil
	}
	off = b.Offset - u.begin
	return func(w *blockWorker) error {
		content, err := u.restore(w, b)
		if err != nil {
			return &format.Error{Path: u.src.path, Kind: format.KindChecksum, Detail: fmt.Sprintf("the block at byte %d is damaged (%v); weld unpack --salvage restores the rest", b.Place, err)}
		}
		if p, ok := file.(piped); ok {
			_, err = p.Write(content)
		} else {
			_, err = file.WriteAt(content, off)
		}
		return err
	}, nil
}

// restore decodes a block, or the earlier one whose content it repeats.
func (u *unpacking) restore(w *blockWorker, b *packed.Block) ([]byte, error) {
	if !b.Repeated() {
		return w.decode(b, nil)
	}
	u.once.Do(func() { u.earlier, u.failed = u.src.archive() })
	if u.failed != nil {
		return nil, u.failed
	}
	content := w.buffer(b.Bytes)
	return content, u.earlier.ReadContent(content, b.Offset)
}

// begins makes the next file.
func (u *unpacking) begins(f *packed.FileInfo) (err error) {
	if u.dst.single && u.files > 0 {
		return errSeveral(u.dst.name)
	}
	u.files++
	u.content += f.Size
	u.begin = f.Begin
	u.file, err = u.dst.file(f.Name, f.Size)
	return err
}
