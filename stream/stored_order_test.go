package stream

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/quant"
	"weld/stream/fuse"
)

// turned counts the tensors of a plan that are made in the order of their codes.
func turned(p *Prepared) (n int) {
	for i := range p.Tensors {
		if p.Tensors[i].AsStored {
			n++
		}
	}
	return n
}

// asShown has them made in the order in which they are shown.
func asShown(t *testing.T, p *Prepared) {
	for k := range p.Output.Encoded {
		target := &p.Output.Encoded[k]
		x := &p.Tensors[target.Codes]
		e, ok := x.From.Checkpoint.(*quant.Decoded).Encoding(int(x.Index))
		if !ok {
			t.Fatal(x.Name)
		}
		target.Encoding, x.AsStored = e, false
	}
}

// planForce plans a merge into a place where something may be.
func planForce(t *testing.T, text, out string) *Prepared {
	r, err := Schema().Parse("recipe.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(r, out, Options{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Methods that are made element by element go through experts of gpt-oss in the order of their codes, and what they write is the same, in every container. Others, and mixtures with what lies
// otherwise, go through them as they are shown.
func TestOrderOfCodes(t *testing.T) {
	m := wholeModels()["MXFP4 of gpt-oss"]
	dir := t.TempDir()
	a, b := m.save(t, filepath.Join(dir, "a"), 1), m.save(t, filepath.Join(dir, "b"), 2)
	const experts = "model.layers.0.mlp.experts.gate_up_proj"
	plain := filepath.Join(dir, "plain")
	r := rand.New(rand.NewPCG(3, 4))
	values := make([]float64, 3*288*250)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	checkpoint{m.of(r)[0], floats(experts, format.BF16, values, 3, 288, 250)}.save(t, filepath.Join(plain, "model.safetensors"))
	two := "models: [{model: " + a + ", parameters: {weight: 0.25}}, {model: " + b + ", parameters: {weight: 0.75}}]\n"
	based := "base_model: " + a + "\nmodels: [{model: " + b + ", parameters: {weight: 0.75}}]\n"
	for text, want := range map[string]int{
		"merge_method: linear\n" + two:                                                                                            1,
		"merge_method: linear\nbase_model: " + b + "\n" + two:                                                                     1,
		"merge_method: task_arithmetic\n" + based:                                                                                 1,
		"merge_method: passthrough\nmodels: [{model: " + a + ", parameters: {scale: 0.3}}]\n":                                     1,
		"merge_method: nearswap\nbase_model: " + a + "\nmodels: [{model: " + b + "}]\nparameters: {t: 2}\n":                       1,
		"merge_method: ties\nbase_model: " + a + "\nmodels: [{model: " + b + ", parameters: {density: 0.5, weight: 1}}]\n":        0,
		"merge_method: slerp\nbase_model: " + a + "\nmodels: [{model: " + b + "}]\nparameters: {t: 0.3}\n":                        0,
		"merge_method: linear\nmodels: [{model: " + a + "}, {model: " + plain + "}]\n":                                            0,
		"merge_method: task_arithmetic\nbase_model: " + a + "\nmodels: [{model: " + plain + ", parameters: {weight: 0.5}}]\n":     0,
		"merge_method: linear\nparameters: {quantize: none}\n" + two:                                                              0,
		"merge_method: linear\ndtype: float32\n" + two:                                                                            0,
		"merge_method: task_arithmetic\nbase_model: " + plain + "\nmodels: [{model: " + a + ", parameters: {weight: 0.5}}]\n":     0,
		"merge_method: dare_linear\nbase_model: " + a + "\nmodels: [{model: " + b + ", parameters: {density: 0.5, weight: 1}}]\n": 0,
	} {
		for _, name := range []string{"out", "out.safetensors.zst", "out.weld"} {
			out := filepath.Join(dir, name)
			var got [2]map[string]string
			for k := range got {
				p := planForce(t, text, out)
				if n := turned(p); n != want {
					t.Errorf("%s: %d tensors are made in the order of their codes, want %d", text, n, want)
				}
				if k == 1 {
					if want == 0 {
						p.Close()
						break
					}
					asShown(t, p)
				}
				if _, err := p.Merge(context.Background()); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				p.Close()
				if name == "out" {
					got[k] = tree(t, out)
				} else {
					got[k] = map[string]string{"": string(read(t, out))}
				}
			}
			if want > 0 && !maps.Equal(got[0], got[1]) {
				t.Errorf("%s, %s: other bytes", name, text)
			}
		}
	}
}

// A value that is not finite has the number that it has among the values as they are shown.
func TestNumberOfAnElementInTheOrderOfCodes(t *testing.T) {
	m := wholeModels()["MXFP4 of gpt-oss"]
	dir := t.TempDir()
	a := m.save(t, filepath.Join(dir, "a"), 1)
	b := m.of(rand.New(rand.NewPCG(2, 2)))
	b.find("model.layers.0.mlp.experts.gate_up_proj_scales").data[(1*250+17)*9+4] = 255 // rows 128 to 159 of column 17 of the second expert
	b.save(t, filepath.Join(dir, "b", "model.safetensors"))
	write(t, filepath.Join(dir, "b", "config.json"), []byte(m.config))
	text := "merge_method: linear\nmodels: [{model: " + a + "}, {model: " + filepath.Join(dir, "b") + "}]\n"
	p, err := planText(text, filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = p.Merge(context.Background())
	var e *fuse.NonfiniteError
	if want := int64(1*288+128)*250 + 17; !errors.As(err, &e) || e.Index != want || !math.IsNaN(e.Value) || turned(p) != 1 || !strings.Contains(err.Error(), filepath.Join(dir, "b")) {
		t.Errorf("%v, want element %d", err, want)
	}
}
