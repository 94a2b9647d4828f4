package mmapio

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryFailure fails the first operation, then the second, and so on until none
// is left to fail.
func TestEveryFailure(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		for n := 1; ; n++ {
			dir, final := outputDir(t, p.old)
			disk := &errorFS{FS: OS, failAt: n, plain: plain}
			err := p.publish(disk, final)
			if disk.failed == nil {
				if err != nil {
					t.Errorf("without a failure: %v", err)
				}
				if n < 10 {
					t.Errorf("%d operations in all: the rehearsal is no good", n)
				}
				return
			}
			where := disk.failed[0]
			if !errors.Is(err, errInjected) {
				t.Errorf("%s: the failure does not surface: %v", where, err)
				continue
			}
			checkOldOrNew(t, where, p, final, err)
			checkLeftovers(t, where, dir, err)

			p := p // the next run has nothing to fear
			p.replace = true
			if err := p.publish(&errorFS{FS: OS, plain: plain}, final); err != nil {
				t.Errorf("%s: the next run: %v", where, err)
			} else if got := readTree(t, final); !got.equal(p.want) {
				t.Errorf("%s: the next run published %v, want %v", where, got, p.want)
			}
			checkAlone(t, dir, "out")
		}
	})
}

// checkOldOrNew demands the old state or the new one. Of the new one, files carried
// over from the old may still be where the error says.
func checkOldOrNew(t *testing.T, where string, p publication, final string, err error) {
	t.Helper()
	got := readTree(t, final)
	if got.equal(p.old) || got.equal(p.want) {
		return
	}
	for _, rest := range []string{StagingPath(final), StagingPath(final) + "-old"} {
		if !strings.Contains(err.Error(), "the rest of the old one is in "+rest) {
			continue
		}
		for name, data := range readTree(t, rest) {
			if p.want[name] == data {
				got[name] = data
			}
		}
		if got.equal(p.want) {
			return
		}
	}
	t.Errorf("%s: there is %v, neither the old state nor the new; error: %v", where, got, err)
}

// checkLeftovers demands that the error names whatever stays beside the output.
func checkLeftovers(t *testing.T, where, dir string, err error) {
	t.Helper()
	entries, readErr := os.ReadDir(dir)
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); e.Name() != "out" && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %s is left, and the error does not say so: %v", where, e.Name(), err)
		}
	}
}

// TestBrokenForGood fails everything from the n-th operation on: the undoing as well.
// Then whatever was there before is still somewhere, or the new output is in place.
func TestBrokenForGood(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		for n := 1; ; n++ {
			dir, final := outputDir(t, p.old)
			disk := &errorFS{FS: OS, failAt: n, forGood: true, plain: plain}
			err := p.publish(disk, final)
			if disk.failed == nil {
				return
			}
			if !errors.Is(err, errInjected) {
				t.Errorf("%s: the failure does not surface: %v", disk.failed[0], err)
				continue
			}
			checkLeftovers(t, disk.failed[0], dir, err)
			everywhere := slices.Collect(maps.Values(readTree(t, dir)))
			inPlace := slices.Collect(maps.Values(readTree(t, final)))
			for name, data := range p.old {
				kept := p.want[name] == data
				_, replaced := p.fresh[name]
				lost := !slices.Contains(everywhere, data)
				if lost && (kept || !replaced && p.kind == Directory && !slices.Contains(inPlace, "one")) {
					t.Errorf("%s: %s is lost: %v", disk.failed[0], name, err)
				}
			}
		}
	})
}

// TestDurableBeforeVisible records the order of what reaches the disk.
func TestDurableBeforeVisible(t *testing.T) {
	for name, p := range publications {
		_, final := outputDir(t, p.old)
		stage, parent := StagingPath(final), filepath.Dir(final)
		var done []string
		disk := &errorFS{FS: OS, before: func(op, path string) { done = append(done, op+" "+path) }}
		if err := p.publish(disk, final); err != nil {
			t.Fatal(err)
		}
		visible := slices.IndexFunc(done, func(s string) bool {
			return strings.HasPrefix(s, "rename "+stage) && strings.HasSuffix(s, " to "+final) || strings.HasPrefix(s, "exchange ")
		})
		if visible < 0 {
			t.Fatalf("%s: no rename in %q", name, done)
		}
		before, after := done[:visible], done[visible:]
		for file := range p.fresh {
			for dir := file; dir != "."; dir = filepath.Dir(dir) {
				if want := "sync " + filepath.Join(stage, dir); !slices.Contains(before, want) {
					t.Errorf("%s: no %q before it is visible", name, want)
				}
			}
		}
		if !slices.Contains(before, "sync "+stage) || !slices.Contains(after, "sync "+parent) {
			t.Errorf("%s: the names are not durable: %q", name, done)
		}
		if cleared := slices.Index(after, "remove "+stage+"-old"); cleared >= 0 && !slices.Contains(after[:cleared], "sync "+parent) {
			t.Errorf("%s: the old output is removed before the new one is durable", name)
		}
	}
}
