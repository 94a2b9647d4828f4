package packs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weld/mmapio"
)

// creatingFS calls when a file of an output is made.
type creatingFS struct {
	mmapio.FS
	created func()
}

func (f creatingFS) MakeDir(path string) (mmapio.OpenDir, error) {
	dir, err := f.FS.MakeDir(path)
	return creatingDir{dir, f.created}, err
}

type creatingDir struct {
	mmapio.OpenDir
	created func()
}

func (d creatingDir) Create(name string) (mmapio.OutputFile, error) {
	d.created()
	return d.OpenDir.Create(name)
}

// TestInputsMustNotChange has something happen to an input while the output is written, after it was opened and, of a
// base, compared with its digests: there is no output.
func TestInputsMustNotChange(t *testing.T) {
	ctx := context.Background()
	base, result := write(t, tensors(), 1, nil), write(t, tensors(), 2, nil)
	work := t.TempDir()
	patch, pack := filepath.Join(work, "x.weldpatch"), filepath.Join(work, "x.weld")
	if _, err := Patch(ctx, base, result, patch, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(ctx, base, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	shards, err := filepath.Glob(filepath.Join(base, "*-00002-of-*.safetensors"))
	if err != nil || len(shards) != 1 {
		t.Fatal(shards, err)
	}
	for name, c := range map[string]struct {
		changed string
		run     func(out string, o Options) error
	}{
		"apply, a shard of the base": {shards[0], func(out string, o Options) error { _, err := Apply(ctx, base, []string{patch}, out, o); return err }},
		"apply, a base in a pack":    {pack, func(out string, o Options) error { _, err := Apply(ctx, pack, []string{patch}, out, o); return err }},
		"pack a folder":              {shards[0], func(out string, o Options) error { _, err := Pack(ctx, base, out+".weld", o); return err }},
		"pack a pack":                {pack, func(out string, o Options) error { _, err := Pack(ctx, pack, out+".weld", o); return err }},
		"patch from":                 {shards[0], func(out string, o Options) error { _, err := Patch(ctx, base, result, out+".weldpatch", o); return err }},
		"patch to":                   {shards[0], func(out string, o Options) error { _, err := Patch(ctx, result, base, out+".weldpatch", o); return err }},
	} {
		out := filepath.Join(t.TempDir(), "out")
		o := options(nil, nil)
		o.FS = creatingFS{mmapio.OS, func() {
			if err := os.Chtimes(c.changed, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
				t.Error(err)
			}
		}}
		var changed *mmapio.ChangedError
		if err := c.run(out, o); !errors.As(err, &changed) || changed.Path != c.changed {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
			t.Errorf("%s: there is %v, %v", name, left, err)
		}
	}
}
