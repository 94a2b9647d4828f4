package stream

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"weld/mmapio"
)

// mappedBelow returns the lines of this process's mappings that are files below a directory.
func mappedBelow(t *testing.T, dir string) (lines []string) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, dir) {
			lines = append(lines, line)
		}
	}
	return lines
}

// With pread nothing is mapped: neither headers nor views, of models, importance files, compressed
// files and outputs that need a base. Without it, models are.
func TestPreadMapsNothing(t *testing.T) {
	for _, how := range []mmapio.Reading{mmapio.Copied, mmapio.Mapped} {
		for _, name := range append(outputs, "one.weld", "one.weldpatch") {
			p := newFamily(2, small()...).save(t)
			dir := filepath.Dir(p.models[0])
			zst := filepath.Join(dir, "compressed.safetensors.zst")
			p.must(t, ask("linear"), zst, Options{})
			p.models[0] = zst
			var seen, looks atomic.Int64
			look := func(op, _ string) error {
				looks.Add(1)
				if lines := mappedBelow(t, dir); len(lines) > 0 {
					seen.Add(1)
					if how == mmapio.Copied {
						t.Errorf("%s: before %s, mapped are %q", name, op, lines)
					}
				}
				return nil
			}
			if _, err := p.merge(t, context.Background(), ask("sta"), p.out(name), Options{Read: how, Threads: 2, FS: hooked(look)}); err != nil {
				t.Fatal(err)
			}
			if how == mmapio.Mapped && seen.Load() == 0 {
				t.Errorf("%s: nothing was mapped in %d looks: the test sees nothing", name, looks.Load())
			}
		}
	}
}
