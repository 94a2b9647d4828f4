package packs

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"weld/format"
)

// A patch restores the exact files from the base, however that is stored, alone and in a chain; other bases are
// refused.
func TestPatches(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	list := tensors()
	base := write(t, list, 1, nil)
	other := append([]format.Tensor{{Name: "new", DType: format.BF16, Shape: []int64{50, 50}}}, list[1:]...)
	other[1].Name = "a.renamed"
	some := func(name string, x []float64) {
		for i := 0; i < len(x); i += 20 {
			x[i] += 0.001
		}
	}
	second := write(t, list, 1, some)
	third := write(t, other, 1, nil)
	p1, p2 := filepath.Join(tmp, "1.weldpatch"), filepath.Join(tmp, "2.weldpatch")
	r1, err := Patch(ctx, base, second, p1, options(nil, nil))
	if err != nil || r1.Ratio() > 0.08 {
		t.Fatalf("%+v, %v", r1, err)
	}
	r2, err := Patch(ctx, second, third, p2, options(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(r2.Added) != 2 || len(r2.Removed) != 2 || len(r2.Renamed) != 0 { // a.weight has other values than a.renamed
		t.Errorf("%+v", r2)
	}
	apply := func(name string, base string, patches ...string) error {
		out := filepath.Join(tmp, name)
		_, err := Apply(ctx, base, patches, out, options(nil, nil))
		if _, there := os.Stat(out); err != nil && there == nil {
			t.Errorf("%s: something stands there after an error", name)
		}
		return err
	}
	if err := apply("second", base, p1); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "second"), second)
	if err := apply("third", base, p1, p2); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "third"), third)
	pack := filepath.Join(tmp, "base.weld")
	if _, err := Pack(ctx, base, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	if err := apply("of a pack", pack, p1); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "of a pack"), second)
	for name, err := range map[string]error{
		"other values":  apply("bad", second, p1),
		"other tensors": apply("bad", third, p1),
		"wrong order":   apply("bad", base, p2, p1),
		"not its base":  apply("bad", base, p2),
	} {
		if format.KindOf(err) != format.KindBase {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v, err := Verify(ctx, p1, base, options(nil, nil)); err != nil || len(v.Damage) > 0 {
		t.Errorf("verify with the base: %+v, %v", v, err)
	}
	if _, err := Verify(ctx, p1, third, options(nil, nil)); format.KindOf(err) != format.KindBase {
		t.Errorf("verify with another base: %v", err)
	}
}

// A tensor that only has another name is not stored again.
func TestRenamed(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	one := []format.Tensor{{Name: "layers.0.weight", DType: format.BF16, Shape: []int64{400, 400}}}
	two := []format.Tensor{{Name: "layers.1.weight", DType: format.BF16, Shape: []int64{400, 400}}}
	base, next := write(t, one, 1, nil), write(t, two, 1, nil)
	patch := filepath.Join(tmp, "x.weldpatch")
	r, err := Patch(ctx, base, next, patch, options(nil, nil))
	if err != nil || len(r.Renamed) != 1 || r.Ratio() > 0.01 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := Apply(ctx, base, []string{patch}, filepath.Join(tmp, "out"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "out"), next)
}
