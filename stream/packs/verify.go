package packs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"weld/format"
	"weld/format/hub"
	"weld/format/model"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/patch"
	"weld/mmapio"
	"weld/stream/run"
)

// Verify reads all of a checkpoint, a pack or a patch and compares it with its checksums, as far as
// it has some. Damage is no error but part of the result. With a base, that a patch was made against,
// what the patch makes of it is compared with the digests of the result.
func Verify(ctx context.Context, path, base string, o Options) (*Verification, error) {
	start := time.Now()
	defer o.forget()
	v := &Verification{Path: path, Damage: []Damage{}}
	err := o.verify(ctx, path, base, v)
	v.Seconds = time.Since(start).Seconds()
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (o *Options) verify(ctx context.Context, path, base string, v *Verification) error {
	if base != "" {
		return o.verifyOn(ctx, path, base, v)
	}
	if path != Stream {
		located, err := hub.Locate(path)
		if err != nil {
			return err
		}
		if !packed.IsName(located) && !patch.IsName(located) {
			return o.verifyCheckpoint(ctx, path, v)
		}
		path = located
	}
	return o.verifyPack(ctx, path, v)
}

// verifyCheckpoint checks the structure of a checkpoint without checksums, and reads every byte.
func (o *Options) verifyCheckpoint(ctx context.Context, path string, v *Verification) error {
	v.Kind = "checkpoint"
	c, err := open.Checkpoint(path, o.Read)
	if f := (*format.Error)(nil); errors.As(err, &f) && !isAnother(f) {
		v.Damage = append(v.Damage, damageOf(f.Tensor, err))
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	o.fit(filesOf(c))
	v.Files, v.Tensors = len(c.Files()), len(c.Tensors())
	for _, t := range c.Tensors() {
		v.Bytes += t.Bytes()
	}
	checked := "this container has no checksums for tensors: structure and readability were checked"
	if done, err := o.verifyRecords(ctx, c, v); err != nil || done {
		v.Notes = append(v.Notes, format.Notes(c)...)
		return err
	}
	v.Notes = append(append(v.Notes, format.Notes(c)...), checked)
	if strings.HasSuffix(strings.ToLower(path), ".zst") {
		v.Notes = []string{"structure and the checksums of all frames were checked"}
	}
	o.Progress.Begin(run.Phase{Name: "verify", Index: 1, Count: 1, Bytes: v.Bytes})
	var mu sync.Mutex
	return o.chunks(ctx, len(c.Tensors()), func(i int) chunked {
		t := c.Tensors()[i]
		reported := false
		each := func(off, n int64) error {
			view, err := c.View(i, off, n)
			if err == nil {
				err = mmapio.Guard([]mmapio.View{view}, func() error { touch(view.Data); return nil })
				view.Release()
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				if !reported {
					v.Damage = append(v.Damage, damageOf(t.Name, err))
				}
				reported = true
			}
			return nil
		}
		return chunked{bytes: t.Bytes(), each: each}
	})
}

// isAnother reports an error of what is no container, one of another version, or not there: that is no damage.
func isAnother(e *format.Error) bool {
	return slices.Contains([]format.Kind{format.KindMissing, format.KindUnsupported, format.KindForeign}, e.Kind)
}

// touch reads bytes.
func touch(p []byte) (sum byte) {
	for i := 0; i < len(p); i += 512 {
		sum += p[i]
	}
	return sum
}

// verifyOn compares what a patch makes of a base with its digests.
func (o *Options) verifyOn(ctx context.Context, path, base string, v *Verification) error {
	from, err := model.Named(base, o.Read)
	if err != nil {
		return fmt.Errorf("open base: %w", err)
	}
	defer from.Close()
	paths, bytes := filesOf(from)
	o.hold(len(from.Tensors()), applyTensor)
	o.fit(append(paths, path), bytes)
	a := &application{Options: *o, base: from, dst: &sink{name: os.TempDir() + "/x"}}
	err = errors.Join(a.verify(ctx, path), a.close())
	if err != nil {
		return err
	}
	v.Kind, v.Files, v.Bytes, v.Digest = packed.Patch.String(), a.report.Files, a.report.Bytes, a.report.Digest
	v.Notes = append(v.Notes, "the result was compared with its digests, on "+base)
	return nil
}
