package packs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOutputsAreNoInputs names an input as the output of each command, or the directory that it lies in: it is
// refused, whatever may be replaced, and everything stays.
func TestOutputsAreNoInputs(t *testing.T) {
	ctx := context.Background()
	dir := write(t, tensors()[2:3], 1, nil)
	o := options(nil, nil)
	work := t.TempDir()
	at := func(name string) string { return filepath.Join(work, name) }
	if _, err := Pack(ctx, dir, at("m.weld"), o); err != nil {
		t.Fatal(err)
	}
	if _, err := Patch(ctx, dir, dir, at("m.weldpatch"), o); err != nil {
		t.Fatal(err)
	}
	// A folder with all of them, as people have it.
	for name, data := range contents(t, dir) {
		put(t, filepath.Join(work, name), data)
	}
	link(t, filepath.Join(dir, "model.safetensors"), at("link.weldpatch"))
	o.Force = true
	shard := filepath.Join(work, "model.safetensors")
	before := contents(t, work)
	for name, run := range map[string]func() error{
		"the place of the input " + at("m.weld"): func() error { _, err := Pack(ctx, at("m.weld"), at("m.weld"), o); return err },
		"the place of the base " + dir: func() error { // what a link leads to is replaced
			_, err := Patch(ctx, dir, shard, at("link.weldpatch"), o)
			return err
		},
		"the place of the pack " + at("m.weld"):                func() error { _, err := Unpack(ctx, at("m.weld"), work, o); return err },
		"the place of the pack " + at("m.weld") + " (salvage)": func() error { _, err := SalvagePack(ctx, at("m.weld"), work, o); return err },
		"the place of the base " + shard:                       func() error { _, err := Apply(ctx, shard, []string{at("m.weldpatch")}, work, o); return err },
		"the place of the patch " + at("m.weldpatch"):          func() error { _, err := Apply(ctx, dir, []string{at("m.weldpatch")}, work, o); return err },
	} {
		want, _, _ := strings.Cut(name, " (")
		if err := run(); err == nil || !strings.Contains(err.Error(), want+": choose another") {
			t.Errorf("%s: %v", name, err)
		}
	}
	after := contents(t, work)
	if len(after) != len(before) {
		t.Errorf("%d files, before %d", len(after), len(before))
	}
	for name, data := range before {
		if string(after[name]) != string(data) {
			t.Errorf("%s has changed", name)
		}
	}
	if _, err := os.Stat(shard); err != nil {
		t.Error(err)
	}
}
