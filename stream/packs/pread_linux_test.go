package packs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/mmapio"
)

// lookingFS looks at what is mapped each time that the stage is made or asked for.
type lookingFS struct {
	mmapio.FS
	look func()
}

func (f lookingFS) MakeDir(path string) (mmapio.OpenDir, error) {
	f.look()
	return f.FS.MakeDir(path)
}

func (f lookingFS) Identify(path string) (string, error) {
	f.look()
	return f.FS.Identify(path)
}

// With pread, no command around packs maps an input. Without, all of them do but unpack, which reads a
// pack from front to back.
func TestPreadMapsNothing(t *testing.T) {
	ctx := context.Background()
	base, result := write(t, tensors(), 1, nil), write(t, tensors(), 2, nil)
	out := t.TempDir()
	pack, patch := filepath.Join(out, "x.weld"), filepath.Join(out, "x.weldpatch")
	for _, how := range []mmapio.Reading{mmapio.Copied, mmapio.Mapped} {
		steps := []struct {
			name string
			run  func(o Options) error
		}{
			{"pack", func(o Options) error { _, err := Pack(ctx, result, pack, o); return err }},
			{"unpack", func(o Options) error { _, err := Unpack(ctx, pack, filepath.Join(out, "unpacked"), o); return err }},
			{"salvage", func(o Options) error { _, err := SalvagePack(ctx, pack, filepath.Join(out, "saved"), o); return err }},
			{"patch", func(o Options) error { _, err := Patch(ctx, base, pack, patch, o); return err }},
			{"apply", func(o Options) error {
				_, err := Apply(ctx, base, []string{patch}, filepath.Join(out, "applied"), o)
				return err
			}},
		}
		for _, step := range steps {
			o := options(nil, nil)
			o.Read, o.Force = how, true
			mapped := ""
			o.FS = lookingFS{mmapio.OS, func() {
				maps, err := os.ReadFile("/proc/self/maps")
				if err != nil {
					t.Skip(err)
				}
				for line := range strings.Lines(string(maps)) {
					for _, dir := range []string{base, result, out} {
						if strings.Contains(line, dir+"/") {
							mapped = line
						}
					}
				}
			}}
			if err := step.run(o); err != nil {
				t.Fatalf("%s, %v: %v", step.name, how, err)
			}
			if streamed := step.name == "unpack"; (mapped != "") != (how == mmapio.Mapped && !streamed) {
				t.Errorf("%s, %v: mapped is %q", step.name, how, mapped)
			}
		}
	}
}
