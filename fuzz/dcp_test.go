package fuzz

import (
	"errors"
	"os"
	"path/filepath"
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
		before := allocated()
		c, err := openDCPFolder(metadata, key)
		if err == nil {
			for i := range c.Tensors() {
				checkViews(t, c, i)
			}
		} else if fault := (*format.Error)(nil); !errors.As(err, &fault) || fault.Path == "" || fault.Kind == "" || fault.Detail == "" {
			t.Fatalf("got %#v", err)
		}
		checkAllocated(t, before, len(metadata))
	})
}
