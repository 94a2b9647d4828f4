package deepspeed

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/format/torch"
	"weld/mmapio"
)

// The directories of testdata are DeepSpeed's, written by several processes; NAME.weights.safetensors are what its zero_to_fp32 makes of
// them, NAME.moments.safetensors the second moments that its ds_to_universal finds (.ci/interop/deepspeed_golden.py).

func opener(dir format.Folder) Opener {
	return func(name string) (torch.Source, error) { return mmapio.Open(dir.Join(name)) }
}

func opened(path string) (*torch.Checkpoint, error) {
	dir := format.Directory(path)
	return Open(dir, opener(dir))
}

// wanted opens a golden.
func wanted(t *testing.T, name string) format.Checkpoint {
	t.Helper()
	file, err := mmapio.Open(filepath.Join("testdata", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := safetensors.OpenFile(file.Path(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// elements are the bytes of a tensor, lent in ranges of a size.
func elements(t *testing.T, c format.Checkpoint, i int, size int64) (data []byte) {
	t.Helper()
	n := c.Tensors()[i].Bytes()
	for off := int64(0); off < n; off += size {
		v, err := c.View(i, off, min(size, n-off))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, v.Data...)
		v.Release()
	}
	return data
}

// TestGoldens holds weights to those that zero_to_fp32 finds.
func TestGoldens(t *testing.T) {
	for path, want := range map[string]string{
		"zero0": "zero0", "zero1": "zero1", "zero1_bf16": "zero1_bf16", "zero2": "zero2", "zero2_robin": "zero2_robin", "zero3": "zero3",
		"zero2/global_step3": "zero2", "zero3/global_step3": "zero3", "universal2": "zero2", "universal3": "zero3", "universal3/global_step3_universal": "zero3",
	} {
		t.Run(path, func(t *testing.T) {
			wanted := wanted(t, want+".weights")
			c, err := opened(filepath.Join("testdata", filepath.FromSlash(path)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i, w := range wanted.Tensors() {
				j, ok := c.Find(w.Name)
				if !ok {
					t.Errorf("no tensor %q", w.Name)
					continue
				}
				got := c.Tensors()[j]
				if got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) {
					t.Errorf("%v, want %v", got, w)
				}
				for _, size := range []int64{1 << 20, 12, 7} {
					if got, want := elements(t, c, j, size), elements(t, wanted, i, 1<<20); !bytes.Equal(got, want) {
						t.Errorf("%q in views of %d bytes: %x, want %x", w.Name, size, got, want)
					}
				}
				if file, begin := c.Stored(j); file != nil {
					data := make([]byte, got.Bytes())
					if _, err := file.ReadAt(data, begin); err != nil || !bytes.Equal(data, elements(t, c, j, 1<<20)) {
						t.Errorf("%q is said to be stored at byte %d of %s, %v", w.Name, begin, file.Path(), err)
					}
				}
			}
			more := 0
			if want == "zero1" || want == "zero1_bf16" {
				more = 1 // fixed.weight: stage 1 saves no frozen parameters apart, and zero_to_fp32 leaves them out
			}
			if len(c.Tensors()) != len(wanted.Tensors())+more {
				t.Errorf("%d tensors, want %d", len(c.Tensors()), len(wanted.Tensors())+more)
			}
			if i, ok := c.Find("fixed.weight"); !ok || c.Tensors()[i].DType != format.BF16 {
				t.Errorf("the frozen parameter: %v", ok)
			}
		})
	}
}
