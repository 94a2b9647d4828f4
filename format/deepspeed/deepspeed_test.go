package deepspeed

import (
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/formattest"
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

// TestGoldens holds weights to those that zero_to_fp32 finds.
func TestGoldens(t *testing.T) {
	for path, want := range map[string]string{
		"zero0": "zero0", "zero1": "zero1", "zero1_bf16": "zero1_bf16", "zero2": "zero2", "zero2_robin": "zero2_robin", "zero3": "zero3",
		"zero2/global_step3": "zero2", "zero3/global_step3": "zero3", "universal2": "zero2", "universal3": "zero3", "universal3/global_step3_universal": "zero3",
	} {
		t.Run(path, func(t *testing.T) {
			wanted := formattest.Open(t, filepath.Join("testdata", want+".weights.safetensors"))
			c, err := opened(filepath.Join("testdata", filepath.FromSlash(path)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			formattest.Hold(t, c, wanted)
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
