package tokens

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// Rows that cannot be given are refused when a model is wrapped.
func TestWrapErrors(t *testing.T) {
	dir := func(y toy) string { m := y.make(t, 5); return m.Folder.Path() }
	few, many := toy{vocab: words("a", "b")}, toy{vocab: words("a", "b", "c")}
	matrix := func(y toy, d format.DType, shape ...int64) TokenizedModel {
		return save(t, dir(y), []format.Tensor{{Name: "wte.weight", DType: d, Shape: shape}}, 1)
	}
	for name, c := range map[string]struct {
		models []TokenizedModel
		pad    int
		kind   format.Kind
	}{
		"length":          {[]TokenizedModel{matrix(few, format.F32, 2, 4), matrix(many, format.F32, 3, 5)}, 0, format.KindShape},
		"type":            {[]TokenizedModel{matrix(few, format.I8, 2, 4), matrix(many, format.F32, 3, 4)}, 0, format.KindDType},
		"mean of ints":    {[]TokenizedModel{matrix(few, format.I8, 2, 4)}, 8, format.KindDType},
		"bits":            {[]TokenizedModel{matrix(few, format.F4, 2, 3)}, 4, format.KindDType},
		"ints, same type": {[]TokenizedModel{matrix(few, format.I8, 2, 4), matrix(many, format.I8, 3, 4)}, 0, ""},
	} {
		if c.models[0].Tensors()[0].Shape[0] == 2 && name == "bits" {
			continue // 3 elements of 4 bits: no file can hold it
		}
		v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: c.pad}, c.models, 0)
		_, err := v.Wrap(0)
		if format.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	none := save(t, dir(few), []format.Tensor{{Name: "x", DType: format.F32, Shape: []int64{4, 4}}}, 1)
	if _, err := Build(Spec{Source: SourceBase}, []TokenizedModel{none}, 0); format.KindOf(err) != format.KindMissing {
		t.Error(err)
	}
	v := build(t, Spec{Source: SourceBase, PadToMultipleOf: 4}, makeAll(t, few), 0)
	c, _ := v.Wrap(0)
	i, _ := c.Find("lm_head.weight")
	for _, r := range [][2]int64{{-1, 1}, {0, 81}, {80, 1}, {81, 0}, {0, -1}} {
		if _, err := c.View(i, r[0], r[1]); err == nil {
			t.Error(r)
		}
	}
}

func TestImportance(t *testing.T) {
	toys := three()
	models := makeAll(t, toys...)
	v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 16, Tokens: []RowSource{{Token: "a", FromModel: 1, FromID: -1, Force: true}}}, models, 0)
	c, err := v.WrapImportance(2, models[2].Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	own, got := values(t, models[2].Checkpoint, "lm_head.weight"), values(t, c, "lm_head.weight")
	want := make([][]float64, v.Size)
	for r := range want {
		want[r] = make([]float64, hidden)
		if r >= 11 && r < 12 {
			want[r] = own[r]
		}
	}
	for w, id := range toys[2].ids() {
		if w != "a" {
			want[outIDs(t, v)[w]] = own[id]
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := v.WrapImportance(2, models[0].Checkpoint); format.KindOf(err) != format.KindShape {
		t.Error(err)
	}
}

// TestLong has rows longer than a segment and an embedding larger than a chunk.
func TestLong(t *testing.T) {
	const length = 3*segment + 7
	toys := []toy{{vocab: words("a", "b", "c", "d", "e")}, {vocab: words("e", "d", "q")}, {vocab: words("f", "q", "g")}}
	var models []TokenizedModel
	for i, d := range []format.DType{format.BF16, format.F16, format.BF16} {
		m := toys[i].make(t, 1)
		models = append(models, save(t, m.Folder.Path(), []format.Tensor{{Name: "wte.weight", DType: d, Shape: []int64{80, length}}}, uint64(i)))
	}
	spec := Spec{Source: SourceUnion, PadToMultipleOf: 100}
	v := build(t, spec, models, -1)
	naive{t: t, toys: toys, models: models, base: -1, spec: spec, out: outIDs(t, v), size: 100}.check(v)
}

func TestConcurrent(t *testing.T) {
	toys := three(format.BF16, format.F16, format.F32)
	models := makeAll(t, toys...)
	v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 64}, models, -1)
	reference := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 64}, models, -1)
	var group sync.WaitGroup
	c, err := v.Wrap(0)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := reference.Wrap(0)
	i, _ := c.Find("lm_head.weight")
	all, _ := whole(t, one, "lm_head.weight")
	for range 8 {
		group.Go(func() {
			if _, err := v.Wrap(1); err != nil {
				t.Error(err)
			}
			checkRanges(t, c, i, all)
		})
	}
	group.Wait()
}

// A checkpoint that fails makes an error with path and tensor, also when a mean is taken.
func TestFailure(t *testing.T) {
	models := makeAll(t, three()...)
	models[1].Checkpoint = broken{models[1].Checkpoint}
	v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 64}, models, 1)
	c, err := v.Wrap(0)
	if err != nil {
		t.Fatal(err)
	}
	i, _ := c.Find("lm_head.weight")
	for _, off := range []int64{0, 63 * 4 * hidden} {
		_, err = c.View(i, off, 4*hidden)
		if off == 0 {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "lm_head.weight") || !strings.Contains(err.Error(), models[0].Path) || !strings.Contains(err.Error(), "broken disk") {
			t.Error(err)
		}
	}
}

type broken struct{ format.Checkpoint }

func (broken) View(int, int64, int64) (mmapio.View, error) {
	return mmapio.View{}, fmt.Errorf("broken disk")
}
