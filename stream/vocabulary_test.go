package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/plan"
)

// saveVocabulary makes a model with an embedding of one row for each token, all of which are in its tokenizer.
func saveVocabulary(t *testing.T, dir, tokens string) {
	t.Helper()
	rows := make([]float64, 2*len(tokens))
	for i := range rows {
		rows[i] = float64(i)
	}
	checkpoint{floats("model.embed_tokens.weight", format.F32, rows, int64(len(tokens)), 2), floats("model.norm.weight", format.F32, []float64{1, 2}, 2)}.save(t, dir+"/model.safetensors")
	write(t, dir+"/config.json", fmt.Appendf(nil, `{"vocab_size": %d}`, len(tokens)))
	var vocabulary []string
	for i, token := range tokens {
		vocabulary = append(vocabulary, fmt.Sprintf(`"%c": %d`, token, i))
	}
	write(t, dir+"/tokenizer.json", fmt.Appendf(nil, `{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {%s}, "merges": []}}`, strings.Join(vocabulary, ", ")))
}

// An importance file that has too few rows for a model's tokens is refused as any other input is, and closed.
func TestVocabularyRefusesImportance(t *testing.T) {
	t.Chdir(t.TempDir())
	saveVocabulary(t, "a", "abc")
	saveVocabulary(t, "b", "abxy")
	saveVocabulary(t, "short", "ab")
	_, err := planText("merge_method: fisher\ntokenizer_source: union\nmodels:\n  - {model: a, parameters: {importance: a, statistic: score}}\n  - {model: b, parameters: {importance: short}}\n", "")
	var refused *plan.InputError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "2 rows for the 4 tokens of b") {
		t.Errorf("%v", err)
	}
}

// Another order of tokens in a model is another plan, also where the output has no place for a tokenizer.
func TestPlanDigestOfVocabulary(t *testing.T) {
	t.Chdir(t.TempDir())
	digest := func(tokens string) string {
		t.Helper()
		saveVocabulary(t, "a", "abcd")
		saveVocabulary(t, "b", tokens)
		plan, err := planText("merge_method: linear\ntokenizer_source: base\nbase_model: a\nmodels: [{model: a}, {model: b}]\n", "")
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		return plan.Digest()
	}
	want := digest("dcab")
	if digest("dcab") != want {
		t.Error("the same plan has two digests")
	}
	if digest("dcba") == want {
		t.Error("rows that change places are no other plan")
	}
}
