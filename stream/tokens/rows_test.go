package tokens

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

func tokenOf(token string) RowSource { return RowSource{Token: token, FromModel: -1, FromID: -1} }

// three are models with vocabularies that differ in every way: order, size, own tokens.
func three(dtypes ...format.DType) []toy {
	toys := []toy{
		{vocab: words("a", "b", "c", "d"), added: []string{"<s>", "</s>"}},
		{vocab: words("b", "a", "c", "x"), added: []string{"<s>", "<x>"}},
		{vocab: words("c", "x", "a", "y", "z"), added: []string{"</s>", "<y>"}, rows: 12},
	}
	for i := range toys {
		if len(dtypes) > 0 {
			toys[i].dtype = dtypes[i%len(dtypes)]
		}
	}
	return toys
}

func TestRows(t *testing.T) {
	all := [][]format.DType{
		{format.F32}, {format.BF16}, {format.F16}, {format.F64}, {format.F8E4M3}, {format.F32, format.BF16, format.F16}, {format.F64, format.F32, format.BF16},
	}
	sources := []RowSource{
		{Token: "a", FromModel: 1, FromID: -1, Force: true},
		{Token: "b", FromModel: 2, FromID: 11, Force: true},
		{Token: "x", FromModel: 1, FromID: -1},
		{Token: "z", FromModel: 1, FromToken: "<x>", FromID: -1},
		{Token: "y", Zero: true, FromModel: -1, FromID: -1},
		{Token: "new", FromModel: 0, FromToken: "b", FromID: -1},
		{Token: "newer", FromModel: 0, FromID: 3},
		tokenOf("none"),
	}
	for _, dtypes := range all {
		made := makeAll(t, three(dtypes...)...)
		for _, source := range []string{SourceBase, SourceUnion} {
			for _, pad := range []int{0, 16} {
				for _, requested := range [][]RowSource{nil, sources} {
					for _, base := range []int{0, -1, 1} {
						t.Run(fmt.Sprint(dtypes, source, pad, len(requested), base), func(t *testing.T) {
							toys := three(dtypes...)
							models := made
							spec := Spec{Source: source, PadToMultipleOf: pad, Tokens: requested}
							v := build(t, spec, models, base)
							n := naive{t: t, toys: toys, models: models, base: base, spec: spec, out: outIDs(t, v)}
							n.size = len(n.out)
							if pad > 1 {
								n.size = (n.size + pad - 1) / pad * pad
							}
							n.check(v)
							if v.Tokens != int64(len(n.out)) {
								t.Errorf("%d tokens of %d", v.Tokens, len(n.out))
							}
						})
					}
				}
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	same := toy{vocab: words("a", "b"), added: []string{"<s>"}, rows: 8}
	models := makeAll(t, same, same, toy{vocab: words("a", "b"), added: []string{"<s>"}})
	for _, source := range []string{SourceBase, SourceUnion} {
		v := build(t, Spec{Source: source, PadToMultipleOf: 8}, models, 0)
		for m := range models {
			c, err := v.Wrap(m)
			if err != nil {
				t.Fatal(err)
			}
			if (c == models[m].Checkpoint) != (m < 2) {
				t.Errorf("%s: model %d: %T", source, m, c)
			}
		}
	}
	v := build(t, Spec{Source: SourceBase}, models, 0) // without padding, the rows behind the tokens go
	c, _ := v.Wrap(0)
	if i, _ := c.Find("lm_head.weight"); c.Tensors()[i].Shape[0] != 3 {
		t.Error(c.Tensors()[i])
	}
	if i, _ := c.Find("lm_head.weight"); true {
		if f, _ := format.Stored(c, i); f != nil {
			t.Error("stored")
		}
		if i, _ := c.Find("model.norm.weight"); true {
			if f, _ := format.Stored(c, i); f == nil {
				t.Error("not stored")
			}
		}
		if format.ViewCost(c, 10) < 10+chunkBytes {
			t.Error(format.ViewCost(c, 10))
		}
	}
}

// Only models that have the tensor take part.
func TestMissingEmbedding(t *testing.T) {
	toys := three()
	toys[1].names = []string{"model.embed_tokens.weight"}
	models := makeAll(t, toys...)
	spec := Spec{Source: SourceUnion}
	v := build(t, spec, models, 1)
	n := naive{t: t, toys: toys, models: models, base: 1, spec: spec, out: outIDs(t, v)}
	n.size = len(n.out)
	for m, name := range map[int]string{0: "lm_head.weight", 2: "lm_head.weight", 1: "model.embed_tokens.weight"} {
		c, err := v.Wrap(m)
		if err != nil {
			t.Fatal(err)
		}
		got, want := values(t, c, name), n.without(1, name).matrix(m, name)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("model %d: %v, want %v", m, got, want)
		}
	}
	spec.Tokens = []RowSource{{Token: "new", FromModel: 1, FromToken: "a", FromID: -1}}
	if _, err := Build(spec, models, 0); format.KindOf(err) != format.KindMissing {
		t.Error(err)
	}
}

// without is the naive way where the base does not have the tensor.
func (n naive) without(m int, name string) naive {
	if _, ok := n.models[m].Find(name); !ok && n.base == m {
		n.base = -1
	}
	return n
}

// Rows behind the tokens are left out as in mergekit, which is said, with the multiple that keeps them.
func TestSpareRowsAreSaid(t *testing.T) {
	models := makeAll(t, toy{vocab: words("a", "b", "c"), rows: 12}, toy{vocab: words("a", "b", "c")})
	for _, source := range []string{SourceBase, SourceUnion} {
		v := build(t, Spec{Source: source}, models, 0)
		said := slices.ContainsFunc(v.Notes, func(note string) bool {
			return strings.HasPrefix(note, models[0].Path+": 12 rows of embeddings become 3: ") && strings.HasSuffix(note, "pad_to_multiple_of: 12 keeps them")
		})
		if v.Size != 3 || !said {
			t.Errorf("%s: %d rows, notes %q", source, v.Size, v.Notes)
		}
		kept := build(t, Spec{Source: source, PadToMultipleOf: 12}, models, 0)
		c, err := kept.Wrap(0)
		if err != nil || kept.Size != 12 || c != models[0].Checkpoint {
			t.Errorf("%s: padded to %d rows, %T (%v): not what it was", source, kept.Size, c, err)
		}
		for _, note := range append(kept.Notes, build(t, Spec{Source: source}, models, 1).Notes...) {
			if strings.Contains(note, "rows of embeddings become") {
				t.Errorf("%s: no row is lost: %s", source, note)
			}
		}
	}
}
