package fuzz

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// dsWords are the files of a checkpoint that a fuzzed one can take the place of.
var dsWords = []string{"model", "optim", "parts", "frozen", "whole", "moment", "common"}

// TestSoundDeepSpeed holds that the checkpoints that specimens are made of are sound.
func TestSoundDeepSpeed(t *testing.T) {
	for word, role := range dsRoles {
		for k, open := range dsOpeners {
			c, err := openDeepSpeedFolder(open, word, dsSound[role.stage][role.name])
			if err != nil {
				t.Errorf("%s, %d: %v", word, k, err)
				continue
			}
			for i := range c.Tensors() {
				checkViews(t, c, i)
			}
		}
	}
}

// FuzzDeepSpeed reads a checkpoint of DeepSpeed of which one file is arbitrary: it is refused, or its tensors are within the files, and the same
// whole and in parts.
func FuzzDeepSpeed(f *testing.F) {
	for _, s := range malformedDeepSpeed {
		word, _, _ := strings.Cut(s.name, "-")
		f.Add(s.bytes, uint8(slices.Index(dsWords, word)))
	}
	for i, word := range dsWords {
		f.Add(dsSound[dsRoles[word].stage][dsRoles[word].name], uint8(i))
	}
	goldens, err := filepath.Glob("../format/deepspeed/testdata/*/*/*.pt")
	if err != nil || len(goldens) < 10 {
		f.Fatal(goldens, err)
	}
	for _, path := range goldens {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for i := range 4 {
			f.Add(data, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, word uint8) {
		if len(file) > 1<<16 {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, open := range dsOpeners {
			c, err := openDeepSpeedFolder(open, dsWords[int(word)%len(dsWords)], file)
			if err == nil {
				for i := range c.Tensors() {
					checkViews(t, c, i)
				}
			} else if fault := (*format.Error)(nil); !errors.As(err, &fault) || fault.Path == "" || fault.Kind == "" || fault.Detail == "" {
				t.Fatalf("got %#v", err)
			}
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Fatalf("%d MiB were allocated for %d bytes", n>>20, len(file))
		}
	})
}
