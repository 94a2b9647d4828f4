package methods

import (
	"slices"
	"testing"

	"weld/stream/recipe"
)

// text are values that are words.
func text(pairs ...string) recipe.Values {
	v := make(recipe.Values)
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = recipe.Value{Text: pairs[i+1]}
	}
	return v
}

// What is asked of a method beside its merge depends on values, and most methods have nothing to say.
func TestTraits(t *testing.T) {
	reads := map[string]map[string]bool{"sta": {"weight": true, "delta": true, "magnitude": false}, "fisher": {"": true}, "ota": {"": true}, "perta": {"": true}, "fisher_arithmetic": {"": true}}
	for _, m := range All() {
		for _, score := range []string{"", "weight", "delta", "magnitude"} {
			want, said := reads[m.Name][score]
			if !said && reads[m.Name] != nil {
				continue
			}
			if got := m.ReadsImportance(text("score", score)); got != want {
				t.Errorf("%s, score %q: reads importance: %v", m.Name, score, got)
			}
		}
		if m.PassesOn() != (m.Name == "passthrough") {
			t.Errorf("%s passes on: %v", m.Name, m.PassesOn())
		}
		if notes := m.Notes(text("granularity", "tensor", "normalize_scores", "mean")); (len(notes) > 0) != (m.Name == "sta") {
			t.Errorf("%s: notes %q", m.Name, notes)
		}
		if notes := m.Notes(text("granularity", "tensor", "normalize_scores", "none")); len(notes) > 0 {
			t.Errorf("%s: notes %q", m.Name, notes)
		}
		for _, scale := range []float64{1, 0.5} {
			own := recipe.Values{"scale": {Number: scale}}
			if m.Decoder().Unchanged(recipe.Values{}, own) != (m.Name == "passthrough" && scale == 1) {
				t.Errorf("%s, scale %v: unchanged, or not", m.Name, scale)
			}
		}
		if m.Own && (len(m.Deviations) > 0 || m.Exact) {
			t.Errorf("%s is weld's, and deviates from mergekit's", m.Name)
		}
	}
}

// mergekitMethods are the names that mergekit 0.1.5 registers.
var mergekitMethods = []string{
	"arcee_fusion", "breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear", "karcher", "linear", "model_stock",
	"multislerp", "nearswap", "nuslerp", "passthrough", "ram", "ramplus_tl", "sce", "slerp", "task_arithmetic", "ties",
}

// A method says whether it is weld's own: plans of others list what is different from mergekit's.
func TestOwn(t *testing.T) {
	for _, m := range All() {
		switch known := slices.Contains(mergekitMethods, m.Name); {
		case !known && !m.Own:
			t.Errorf("%s is no method of mergekit: its schema says Own: true", m.Name)
		case known && m.Own:
			t.Errorf("%s is a method of mergekit: its schema does not say Own", m.Name)
		}
	}
	for _, name := range mergekitMethods {
		if _, ok := Find(name); !ok {
			t.Errorf("mergekit's %s is not there", name)
		}
	}
}

// Methods come by family, then by name.
func TestOrder(t *testing.T) {
	if !slices.IsSortedFunc(All(), func(a, b *Method) int {
		if a.Family != b.Family {
			return int(a.Family - b.Family)
		}
		return slices.Compare([]byte(a.Name), []byte(b.Name))
	}) {
		t.Error("not sorted")
	}
}
