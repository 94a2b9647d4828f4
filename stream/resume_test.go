package stream

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"weld/format/safetensors"
	"weld/mmapio"
)

// A run that ended between the exchange and the moving of the user's files is completed by the next
// merge, even by one that is refused: without --force, or for what its recipe says.
func TestRefusedMergeResumes(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	q := ask("task_arithmetic")
	fresh := filepath.Join(t.TempDir(), "dir")
	p.must(t, q, fresh, Options{})
	for _, resume := range []bool{false, true} {
		parent := t.TempDir()
		out := filepath.Join(parent, "dir")
		write(t, filepath.Join(out, safetensors.SingleName), newFamily(1, small()[:1]...).base.file(nil))
		write(t, filepath.Join(out, "notes.txt"), []byte("mine"))
		var exchanged atomic.Bool // the workers write while the hook is asked
		dying := hooked(func(op, path string) error {
			if op == "exchange" || op == "rename" && path == out {
				exchanged.Store(true)
			}
			if op == "readdir" && exchanged.Load() {
				return errInjected
			}
			return nil
		})
		if _, err := p.merge(t, context.Background(), q, out, Options{Force: true, FS: dying}); !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "the next run for this output completes that") {
			t.Fatal(err)
		}
		if _, err := Prepare(p.recipe(t, q), out, Options{Resume: resume}); err == nil || !strings.Contains(err.Error(), mmapio.ErrExists.Error()) {
			t.Errorf("without force: %v", err)
		}
		entries, _ := filepath.Glob(filepath.Join(parent, "*", "notes.txt"))
		if there := len(entries) == 1 && entries[0] == filepath.Join(out, "notes.txt"); there != resume {
			t.Errorf("resume: %v, the user's file is at %v", resume, entries)
		}
		if !bytes.Equal(read(t, filepath.Join(out, safetensors.SingleName)), read(t, filepath.Join(fresh, safetensors.SingleName))) {
			t.Error("the model is not the new one")
		}
		if hidden, _ := filepath.Glob(filepath.Join(parent, ".dir.weld-tmp*")); resume != (len(hidden) == 0) {
			t.Errorf("resume: %v, %v is left", resume, hidden)
		}
	}
}
