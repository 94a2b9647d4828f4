package tokens

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

const (
	headName      = "lm_head.weight"
	embeddingName = "model.embed_tokens.weight"
)

// headed is a tied model as one that has a head: the same tensor under both names.
type headed struct{ format.Checkpoint }

func (h headed) Find(name string) (int, bool) {
	if name == headName {
		name = embeddingName
	}
	return h.Checkpoint.Find(name)
}

// tie says what stands for the head of a model.
func tie(m *TokenizedModel) {
	c := m.Checkpoint
	m.Tied = func(head string) (int, bool) {
		if head != headName {
			return -1, false
		}
		return c.Find(embeddingName)
	}
}

// A tied model takes part in the heads of others as one with a copy of its embedding for a head.
func TestTied(t *testing.T) {
	for _, tied := range [][]int{{0}, {1}, {0, 2}} {
		for base := -1; base < 3; base++ {
			t.Run(fmt.Sprint(tied, base), func(t *testing.T) {
				toys := three(format.BF16, format.F32, format.F16)
				for i := range toys {
					toys[i].names = []string{embeddingName, headName}
					if slices.Contains(tied, i) {
						toys[i].names = toys[i].names[:1]
					}
				}
				models := makeAll(t, toys...)
				whole := slices.Clone(models)
				for _, i := range tied {
					tie(&models[i])
					whole[i].Checkpoint = headed{models[i].Checkpoint}
				}
				spec := Spec{Source: SourceUnion, PadToMultipleOf: 16, Tokens: []RowSource{
					{Token: "new", FromModel: tied[0], FromToken: "a", FromID: -1}, {Token: "a", FromModel: 1, FromID: -1, Force: true}}}
				v := build(t, spec, models, base)
				n := naive{t: t, toys: toys, models: whole, base: base, spec: spec, out: outIDs(t, v), size: 16}
				n.check(v)
				for m, model := range models {
					c, err := v.Wrap(m)
					if err != nil {
						t.Fatal(err)
					}
					checkHead(t, c, model, slices.Contains(tied, m))
				}
				if notes := strings.Join(v.Notes, "\n"); strings.Count(notes, "is tied to") != len(tied) {
					t.Error(notes)
				}
			})
		}
	}
}

// checkHead looks at how a model's head is shown.
func checkHead(t *testing.T, c format.Checkpoint, model TokenizedModel, tied bool) {
	t.Helper()
	i, ok := c.Find(headName)
	if !ok || c.Tensors()[i].Name != headName {
		t.Fatalf("%s has no head", model.Path)
	}
	if own := len(model.Tensors()); (i >= own) != tied || len(c.Tensors()) != max(own, i+1) {
		t.Errorf("%s: tensor %d of %d, the model has %d", model.Path, i, len(c.Tensors()), own)
	}
	if StandsIn(c, i) != tied || StandsIn(c, 0) || StandsIn(model.Checkpoint, 0) {
		t.Errorf("%s: a head that stands in: %v, want %v", model.Path, !tied, tied)
	}
	if f, _ := format.Stored(c, i); f != nil || format.FileOf(c, i) != 0 {
		t.Errorf("%s: %v, file %d", model.Path, f, format.FileOf(c, i))
	}
	if j, ok := c.Find(embeddingName); !ok || j == i {
		t.Errorf("%s: the embedding is tensor %d", model.Path, j)
	}
}

// Where no model has a head, or the rows stay as they are, none is shown.
func TestTiedStaysTied(t *testing.T) {
	one := toy{vocab: words("a", "b", "c"), names: []string{embeddingName}}
	other := toy{vocab: words("b", "a"), names: []string{embeddingName}}
	full := toy{vocab: words("a", "b", "c"), names: []string{embeddingName, headName}}
	for name, toys := range map[string][]toy{"all tied": {one, other}, "same rows": {one, full}} {
		models := makeAll(t, toys...)
		tie(&models[0])
		if name == "all tied" {
			tie(&models[1])
		}
		v := build(t, Spec{Source: SourceUnion}, models, 0)
		for m := range models {
			c, err := v.Wrap(m)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Tensors()) != len(models[m].Tensors()) {
				t.Errorf("%s: model %d has %d tensors", name, m, len(c.Tensors()))
			}
		}
	}
}

// The twin of a checkpoint shows the same, and is the one that is closed.
func TestTwin(t *testing.T) {
	models := makeAll(t, three()...)
	v := build(t, Spec{Source: SourceUnion}, models, 0)
	twin := &closing{Checkpoint: models[0].Checkpoint}
	a, err := v.Wrap(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.WrapTwin(0, twin)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range a.Tensors() {
		if fmt.Sprint(values(t, a, x.Name)) != fmt.Sprint(values(t, b, x.Name)) {
			t.Errorf("%s differs", x.Name)
		}
	}
	if err := b.Close(); err != nil || !twin.closed {
		t.Error(err, twin.closed)
	}
}

type closing struct {
	format.Checkpoint
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }
