package stream

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The list of types beside OpenAI's files of gpt-oss goes with codes, and not with values that are stored plainly.
func TestTypesBesideCodes(t *testing.T) {
	dir := t.TempDir()
	a := wholeModels()["MXFP4 of OpenAI's own files"].save(t, filepath.Join(dir, "a"), 1)
	write(t, filepath.Join(a, "dtypes.json"), []byte(`{"block.0.mlp.mlp1_weight.blocks": "FP4", "block.0.mlp.mlp1_weight.scales": "UE8"}`))
	for _, quantize := range []string{"keep", "none"} {
		out := filepath.Join(dir, quantize)
		p, err := planText("merge_method: linear\nquantize: "+quantize+"\nmodels: [{model: "+a+"}, {model: "+a+"}]\n", out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		p.Close()
		_, err = os.Stat(filepath.Join(out, "dtypes.json"))
		said := slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "dtypes.json is not carried") })
		if kept := quantize == "keep"; kept != (err == nil) || kept == said {
			t.Errorf("%s: %v, %q", quantize, err, p.Notes)
		}
	}
}
