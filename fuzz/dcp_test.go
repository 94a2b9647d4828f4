package fuzz

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"weld/format"
)

// FuzzDCP reads arbitrary metadata of torch.distributed.checkpoint beside a sound file: they are refused, or their tensors are within the
// file, and the same whole and in parts.
func FuzzDCP(f *testing.F) {
	for _, file := range seeds(f, "dcp") {
		f.Add(file, "")
	}
	f.Add(dcpSound, ".")
	goldens, err := filepath.Glob("../format/dcp/testdata/*/.metadata")
	if err != nil || len(goldens) < 5 {
		f.Fatal(goldens, err)
	}
	for _, path := range goldens {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "model")
	}
	f.Fuzz(func(t *testing.T, metadata []byte, key string) {
		if len(metadata) > 1<<16 {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := openDCPFolder(metadata, key)
		if err == nil {
			for i := range c.Tensors() {
				checkViews(t, c, i)
			}
		} else if fault := (*format.Error)(nil); !errors.As(err, &fault) || fault.Path == "" || fault.Kind == "" || fault.Detail == "" {
			t.Fatalf("got %#v", err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Fatalf("%d MiB were allocated for %d bytes", n>>20, len(metadata))
		}
	})
}
