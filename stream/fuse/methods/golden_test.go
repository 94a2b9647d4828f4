package methods

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// The golden files of stream/testdata/mergekit are what mergekit itself made of small models
// in float32. Here methods are held against them directly; package stream holds the whole
// way against them, recipe included.
const goldenDir = "../../testdata/mergekit"

// goldenModel is a model of a golden case with its own parameters.
type goldenModel struct {
	name   string // below models/
	params Params
}

// golden runs a method on the models of a case and compares with mergekit's output: where the
// relative error, or the absolute one of values below 1e-3, is over tolerance, and the element
// is not excused, the test fails.
func golden(t *testing.T, method, name, base string, models []goldenModel, shared Params, tolerance float64, excused func(tensor string, got, want float64) bool) {
	t.Helper()
	load := func(path string) format.Checkpoint {
		c, err := open.Checkpoint(filepath.Join(goldenDir, path))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	want := load("cases/" + name + ".safetensors")
	in := &fusetest.Merge{}
	operand := func(c format.Checkpoint, tensor string) fuse.Operand {
		i, ok := c.Find(tensor)
		if !ok {
			t.Fatalf("%s has no %s", c.Path(), tensor)
		}
		x := c.Tensors()[i]
		v, err := c.View(i, 0, x.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Release()
		return fuse.Operand{DType: x.DType, Data: slices.Clone(v.Data)}
	}
	var checkpoints []format.Checkpoint
	for _, m := range models {
		checkpoints = append(checkpoints, load("models/"+m.name+"/"+safetensors.SingleName))
		in.Models = append(in.Models, nil)
	}
	var reference format.Checkpoint
	if base != "" {
		reference = load("models/" + base + "/" + safetensors.SingleName)
	}
	for _, x := range want.Tensors() {
		j := fuse.Job{Name: x.Name, Shape: x.Shape, DType: x.DType, Tiling: fuse.NewTiling(x.Elements(), x.RowLen()), Params: shared}
		if base != "" {
			in.Base = append(in.Base, operand(reference, x.Name))
		}
		for m, c := range checkpoints {
			in.Models[m] = append(in.Models[m], operand(c, x.Name))
			j.Models = append(j.Models, fuse.Contribution{Params: models[m].params})
		}
		in.Jobs = append(in.Jobs, j)
	}
	got := in.Drive(t, merging(method, in.Jobs, fuse.StopNonfinite), 1)
	for i, x := range want.Tensors() {
		g, w := fusetest.Unpack(fuse.Operand{DType: x.DType, Data: got[i]}), fusetest.Unpack(operand(want, x.Name))
		for k := range g {
			if math.Abs(g[k]-w[k]) > tolerance*max(math.Abs(w[k]), 1e-3) && (excused == nil || !excused(x.Name, g[k], w[k])) {
				t.Errorf("%s: %s, element %d: %v, mergekit has %v", name, x.Name, k, g[k], w[k])
				break
			}
		}
	}
}
