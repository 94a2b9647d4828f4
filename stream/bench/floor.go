package bench

import (
	"context"
	"path/filepath"
	"sync/atomic"

	"weld/format"
	"weld/mmapio"
	"weld/stream"
	"weld/stream/run"
)

// chunkBytes is what the floor reads of one file at a time.
const chunkBytes = 1 << 20

// Floor moves the bytes of a merge and computes nothing: all files are read once, side by
// side, through the views that the engine uses, a byte of each cache line is looked at, and
// written bytes of the first, over and over, go to out.
func Floor(ctx context.Context, inputs []format.InputFile, out string, written int64, o stream.Options) error {
	var files []*mmapio.File
	var longest int64
	for _, in := range inputs {
		f, err := mmapio.Open(in.Path, o.Read)
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
		longest = max(longest, f.Size())
	}
	staging, err := mmapio.NewStaging(mmapio.OS, out, mmapio.SingleFile)
	if err != nil {
		return err
	}
	defer staging.Discard()
	file, err := staging.Create(filepath.Base(out), written)
	if err != nil {
		return err
	}
	m := mover{files: files, out: file, written: written}
	var next atomic.Int64
	err = run.Workers(ctx, o.Threads, nil, func(ctx context.Context) error {
		for ctx.Err() == nil {
			at := (next.Add(1) - 1) * chunkBytes
			if at >= max(longest, written) {
				break
			}
			if err := m.move(at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return staging.Commit(true, nil)
}

// mover moves files, a chunk at a time.
type mover struct {
	files   []*mmapio.File
	out     mmapio.OutputFile
	written int64
}

// move reads the chunk of every file that begins at an offset, and writes the output's.
func (m *mover) move(at int64) error {
	for k, f := range m.files {
		from := at
		if k == 0 { // the output may be longer
			from = at % f.Size() / chunkBytes * chunkBytes
		}
		n := min(f.Size()-from, chunkBytes)
		if n <= 0 {
			continue
		}
		v, err := f.View(from, n)
		if err != nil {
			return err
		}
		err = mmapio.Guard([]mmapio.View{v}, func() error {
			if at < f.Size() {
				seen.Store(look(v.Data))
			}
			if k > 0 || at >= m.written {
				return nil
			}
			_, err := m.out.WriteAt(v.Data[:min(n, m.written-at)], at)
			return err
		})
		v.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// look reads a byte of every cache line.
func look(data []byte) (sum uint32) {
	for i := 0; i < len(data); i += 64 {
		sum += uint32(data[i])
	}
	return sum
}

var seen atomic.Uint32 // keeps look from being optimised away
