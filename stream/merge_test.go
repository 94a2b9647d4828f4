package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/mmapio"
	"weld/stream/fuse"
	"weld/stream/plan"
	"weld/stream/run"
)

// Two models of five weights, worked out by hand. Scores are |θ|·a over the tensor's
// mean, four of ten elements are kept.
func TestSTAByHand(t *testing.T) {
	one := func(d format.DType, x, y []float64) checkpoint {
		return checkpoint{floats("x", d, x, 3), floats("y", d, y, 2)}
	}
	f := family{
		base: one(format.F32, []float64{1, 1, 1}, []float64{0, 2}),
		models: []checkpoint{
			one(format.F32, []float64{2, 4, 1}, []float64{1, 3}),
			one(format.F32, []float64{-1, 1, 2}, []float64{4, 2}),
		},
		importance: []checkpoint{
			one(format.F32, []float64{1, 1, 6}, []float64{1, -1}), // 2 4 6, mean 4; 1 3, mean 2: 0.5 1 1.5; 0.5 1.5
			one(format.F32, []float64{2, 1, 0}, []float64{0, 4}),  // 2 1 0, mean 1; 0 8, mean 4: 2 1 0; 0 2
		},
	}
	p := f.save(t)
	// The 40% of 5 are 2. Model 0 keeps 1.5 and 1.5: δ = 0 and 1. Model 1 keeps 2 and 2:
	// δ = −2 and 0. Weights 1 and 0.5, λ 2.
	out := p.out("x.safetensors")
	report := p.must(t, ask("sta", "density=0.4", "lambda=2", "weights=1,0.5"), out, Options{})
	got, _ := load(t, read(t, out))
	if x := got.find("x").values(); !slices.Equal(x, []float64{-1, 1, 1}) {
		t.Errorf("x = %v", x)
	}
	if y := got.find("y").values(); !slices.Equal(y, []float64{0, 4}) {
		t.Errorf("y = %v", y)
	}
	if m := report.Models[0]; m.Kept != 2 || m.Elements != 5 || m.Density != 0.4 || *m.Threshold != 1.5 || m.Path != p.models[0] {
		t.Errorf("%+v", m)
	}
	if m := report.Models[1]; m.Kept != 2 || *m.Threshold != 2 {
		t.Errorf("%+v", m)
	}
	if report.Passes != 4 || report.Fused != 2 || report.Copied != 0 {
		t.Errorf("%+v", report)
	}
}

// naiveSTA is section 3 of the design at its defaults, with a sort. The values of
// these tests are small multiples of 1/8, so that no sum is rounded.
func naiveSTA(f family, density float64, weights []float32, lambda float32) map[string][]float32 {
	sums := make(map[string][]float32)
	for m := range f.models {
		scores := make(map[string][]float32)
		var all []float32
		for _, x := range f.base {
			theta, a := f.models[m].find(x.Name).values(), f.importance[m].find(x.Name).values()
			s := make([]float32, len(theta))
			var sum float64
			for i := range s {
				s[i] = float32(math.Abs(theta[i])) * float32(math.Abs(a[i]))
				sum += float64(s[i])
			}
			mean := float32(sum / float64(len(s)))
			for i := range s {
				s[i] /= mean
			}
			scores[x.Name] = s
			all = append(all, s...)
		}
		slices.Sort(all)
		k := int(math.Ceil(density * float64(len(all))))
		cut := all[len(all)-k]
		for _, x := range f.base {
			base, theta := x.values(), f.models[m].find(x.Name).values()
			if sums[x.Name] == nil {
				sums[x.Name] = make([]float32, len(base))
			}
			for i, s := range scores[x.Name] {
				if s >= cut && s > 0 {
					sums[x.Name][i] += float32(weights[m] * (float32(theta[i]) - float32(base[i])))
				}
			}
		}
	}
	for _, x := range f.base {
		for i, b := range x.values() {
			sums[x.Name][i] = float32(b) + float32(lambda*sums[x.Name][i])
		}
	}
	return sums
}

func TestSTAAgainstANaiveOne(t *testing.T) {
	var f family
	f.models, f.importance = make([]checkpoint, 3), make([]checkpoint, 3)
	r := random(1, "values")
	eighths := func(n, limit int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(r.IntN(2*limit+1)-limit) / 8
		}
		return x
	}
	shapes := map[string][]int64{"a": {100, 190}, "b": {2, 9000}, "c": {}, "d": {77}}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		shape := shapes[name]
		n, _ := format.Elements(shape)
		f.base = append(f.base, floats(name, format.F32, eighths(int(n), 32), shape...))
		for m := range f.models {
			f.models[m] = append(f.models[m], floats(name, format.F32, eighths(int(n), 32), shape...))
			f.importance[m] = append(f.importance[m], floats(name, format.F32, eighths(int(n), 100), shape...))
		}
	}
	p := f.save(t)
	for _, dtype := range []format.DType{format.F32, format.BF16} {
		want := naiveSTA(f, 0.3, []float32{1, -0.7, 0.3}, 0.9)
		out := p.out("x.safetensors")
		p.must(t, ask("sta", "density=0.3", "weights=1,-0.7,0.3", "lambda=0.9", "dtype="+dtype.Torch()), out, Options{Force: true, Threads: 3})
		got, _ := load(t, read(t, out))
		for name, x := range want {
			data := make([]byte, len(x)*dtype.Bits()/8)
			format.Encode(dtype, data, x)
			if y := got.find(name); y.DType != dtype || !bytes.Equal(y.data, data) {
				t.Errorf("%s in %v differs", name, dtype)
			}
		}
	}
}

// Scoring alone finds what the merge keeps.
func TestScoreAgreesWithMerge(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for name, q := range requests {
		if q.method != "sta" {
			continue
		}
		merged := p.must(t, q, p.out("x.safetensors"), Options{Force: true})
		plan := p.plan(t, q, "", Options{})
		before := len(tree(t, p.dir))
		scored, err := plan.Score(context.Background())
		plan.Close()
		if err != nil {
			t.Fatal(err)
		}
		// The passes may differ, and so may the order: of the output's bytes, of the base's.
		if !reflect.DeepEqual(scored.Models, merged.Models) {
			t.Errorf("%s: scored %+v\nmerged %+v", name, scored.Models, merged.Models)
		}
		shares := make(map[string]TensorShare)
		for _, x := range merged.Tensors {
			shares[x.Name] = x
		}
		for _, x := range scored.Tensors {
			if !reflect.DeepEqual(x, shares[x.Name]) {
				t.Errorf("%s: scored %+v\nmerged %+v", name, x, shares[x.Name])
			}
		}
		if after := len(tree(t, p.dir)); after != before || scored.Written != 0 || scored.Out != "" {
			t.Errorf("%s: scoring wrote", name)
		}
	}
}

// Reports are printed as JSON, which has no infinities.
func TestReportsAreJSON(t *testing.T) {
	f := newFamily(2, small()...)
	for _, density := range []string{"0", "0.2", "1"} {
		p := f.save(t)
		for _, scope := range []string{"model", "tensor"} {
			report := p.must(t, ask("sta", "density="+density, "scope="+scope), p.out("x"), Options{Force: true})
			if _, err := json.Marshal(report); err != nil {
				t.Errorf("density %s, scope %s: %v", density, scope, err)
			}
			want := map[string]float64{"0": 0, "0.2": 0.2, "1": 1}[density]
			if got := report.Models[0].Density; math.Abs(got-want) > 1e-3 {
				t.Errorf("density %s: %v", density, got)
			}
		}
	}
}

// The threshold of a model is not that of a tensor that was not ranked.
func TestThresholdWhereImportanceIsMissing(t *testing.T) {
	whole := newFamily(1, small()...)
	for _, name := range []string{"a", "b", "c"} {
		for _, choice := range []string{"drop", "keep"} {
			f := newFamily(1, small()...)
			f.importance[0] = whole.importance[0].without(name)
			p := f.save(t)
			report := p.must(t, ask("sta", "missing_importance="+choice), p.out("x"), Options{})
			ranked := slices.IndexFunc(report.Tensors, func(x TensorShare) bool { return x.Name != name })
			if got, want := *report.Models[0].Threshold, report.Tensors[ranked].Models[0].Threshold; got != want || got == 0 {
				t.Errorf("%s without %s: threshold %v, want %v", choice, name, got, want)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	q := ask("sta", "weights=0.3,-1", "preset=weighted", "dtype=float16")
	var before map[string]string
	for range 2 {
		out := p.out("x.safetensors")
		p.must(t, q, out, Options{Force: true, Version: "v1.2.3"})
		_, got := load(t, read(t, out))
		if before != nil && !maps.Equal(got, before) {
			t.Errorf("another run says %v, not %v", got, before)
		}
		before = got
	}
	keys := slices.Sorted(maps.Keys(before))
	if !slices.Equal(keys, []string{"format", "weld.inputs", "weld.recipe", "weld.version"}) || before["format"] != "pt" || before["weld.version"] != "v1.2.3" {
		t.Errorf("metadata %v", before)
	}
	r := p.recipe(t, q)
	again, err := Schema().Parse("recipe", []byte(before["weld.recipe"]))
	if err != nil {
		t.Fatalf("%v in\n%s", err, before["weld.recipe"])
	}
	if string(again.YAML()) != string(r.YAML()) || again.DType != format.F16 || again.Params.Text("combine") != "importance" || again.Models[1].Params.Number("weight") != -1 {
		t.Errorf("the recipe comes back as\n%s", again.YAML())
	}
	var inputs []struct {
		Role, Path string
		Bytes      int64
		SHA256     string `json:"fingerprint"`
	}
	if err := json.Unmarshal([]byte(before["weld.inputs"]), &inputs); err != nil {
		t.Fatal(err)
	}
	want := []string{"base " + p.base, "model " + p.models[0], "importance " + p.importance[0], "model " + p.models[1], "importance " + p.importance[1]}
	seen := map[string]string{}
	for i, in := range inputs {
		if other, same := seen[in.SHA256]; same {
			t.Errorf("%s and %s have one fingerprint", other, in.Path)
		}
		seen[in.SHA256] = in.Path
		if got := in.Role + " " + in.Path; got != want[i] || len(in.SHA256) != 64 {
			t.Errorf("input %d is %+v", i, in)
		}
		if info, err := os.Stat(in.Path); err == nil && !info.IsDir() && info.Size() != in.Bytes {
			t.Errorf("%s has %d bytes", in.Path, in.Bytes)
		}
	}
	if len(inputs) != len(want) {
		t.Errorf("%d inputs", len(inputs))
	}

	// The recipe in the output makes the same output.
	plan, err := Prepare(again, p.out("again.safetensors"), Options{Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if _, err := plan.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, p.out("again.safetensors")), read(t, p.out("x.safetensors"))) {
		t.Error("the recipe of the output does not make it again")
	}
}

// A directory gets the small files of the base, and shards that can be opened.
func TestDirectory(t *testing.T) {
	f := newFamily(1, small()...)
	p := f.save(t)
	write(t, filepath.Join(p.base, "config.json"), []byte(`{"torch_dtype": "float32", "a": 1}`))
	write(t, filepath.Join(p.base, "tokenizer.json"), []byte("{}"))
	write(t, filepath.Join(p.base, "additional_chat_templates", "x.jinja"), []byte("hi"))
	write(t, filepath.Join(p.base, "pytorch_model.bin"), []byte("old"))
	write(t, filepath.Join(p.base, plan.RecipeName), []byte("of another merge"))
	write(t, filepath.Join(p.base, "deep", "x"), []byte("x"))
	q := ask("task_arithmetic", "dtype=bfloat16")
	p.must(t, q, p.out("x"), Options{ShardSize: 10_000})
	files := tree(t, p.out("x"))
	names := slices.Sorted(maps.Keys(files))
	want := []string{"additional_chat_templates/x.jinja", "config.json", "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
		"model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors", "model.safetensors.index.json", "tokenizer.json", plan.RecipeName}
	if !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
	if got := files["config.json"]; got != `{"torch_dtype": "bfloat16", "a": 1}` {
		t.Errorf("config.json is %s", got)
	}
	if got := files[plan.RecipeName]; got != string(p.recipe(t, q).YAML()) {
		t.Errorf("the recipe is %s", got)
	}
	c, err := open.Checkpoint(p.out("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Tensors()) != 4 || len(c.Files()) != 5 {
		t.Errorf("%d tensors in %d files", len(c.Tensors()), len(c.Files()))
	}
}

// Inputs may be compressed, sharded, or of another dtype each.
func TestInputsOfEveryContainer(t *testing.T) {
	f := newFamily(2, mixed()...)
	p := f.save(t)
	q := ask("sta", "scope=tensor")
	p.must(t, q, p.out("want.safetensors"), Options{})
	for i, path := range p.models {
		packed := savedFamily{dir: p.dir, models: []string{path}}
		packed.must(t, ask("passthrough"), path+".zst", Options{})
		p.models[i] += ".zst"
	}
	p.base = f.base.saveShards(t, p.out("sharded"), 5)
	p.importance[0] = f.importance[0].saveShards(t, p.out("sharded-importance"), 20)
	for _, threads := range []int{1, 4} {
		p.must(t, q, p.out("got.safetensors"), Options{Force: true, Threads: threads})
		want, _ := load(t, read(t, p.out("want.safetensors")))
		got, _ := load(t, read(t, p.out("got.safetensors")))
		for _, x := range want {
			if y := got.find(x.Name); y == nil || !bytes.Equal(x.data, y.data) {
				t.Errorf("%s differs", x.Name)
			}
		}
	}
}

// steps runs a plan pass by pass, and looks at the progress after each.
func steps(t *testing.T, p *Prepared) (list []run.Phase) {
	t.Helper()
	progress := p.Options.Progress
	look := func() {
		step, done := progress.Now()
		if done != step.Bytes {
			t.Errorf("%s %s: %d bytes announced, %d read", p.Recipe.Method.Name, step.Name, step.Bytes, done)
		}
		if step.Index != len(list)+1 || step.Index > step.Count || step.Name == "" {
			t.Errorf("step %+v after %d", step, len(list))
		}
		list = append(list, step)
	}
	begun := 0
	method := &between{p.NewMethod(p.Options.tableBytes()), func() {
		if begun++; begun > 1 {
			look()
		}
	}}
	runner := run.New(config(p.Plan, method, 1, p.Budget, p.Options))
	if err := runner.Measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	out, err := create(p.Plan, p.Budget, p.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runner.Fuse(context.Background(), []run.Sink{out}); err != nil {
		t.Fatal(err)
	}
	if err := out.discard(nil); err != nil {
		t.Fatal(err)
	}
	look()
	return list
}

// between reports when the engine asks for the next pass.
type between struct {
	fuse.Method
	ended func()
}

func (b *between) Next() *fuse.Pass {
	b.ended()
	return b.Method.Next()
}

// The bytes that a step announces are the ones that it reads.
func TestProgressEndsWhereItSaid(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for _, q := range []request{
		ask("sta"), ask("sta", "score=delta"), ask("sta", "score=magnitude"), ask("sta", "score=fisher", "granularity=row"),
		ask("sta", "normalize_scores=none", "contrast=true"), ask("sta", "granularity=tensor", "normalize_scores=none"), ask("sta", "scope=tensor", "rescale=l1"),
		ask("sta", "density=1"), ask("sta", "missing_importance=drop"), ask("task_arithmetic"), ask("linear"), ask("linear", "base="+p.base), ask("passthrough"),
	} {
		progress := new(run.Progress)
		plan := p.plan(t, q, p.out("x.safetensors"), Options{Force: true, Threads: 3, Progress: progress})
		announced := plan.Costs.Passes
		list := steps(t, plan)
		plan.Close()
		if len(list) != announced || list[0].Count != announced {
			t.Errorf("%s %v: %d passes, %d announced", q.method, q.settings, len(list), announced)
		}
	}
}

// Watched from another goroutine, progress never runs ahead.
func TestProgressNeverRunsAhead(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	progress := new(run.Progress)
	stop := make(chan struct{})
	watched := make(chan int)
	go func() {
		seen := 0
		for {
			select {
			case <-stop:
				watched <- seen
				return
			default:
			}
			before, done := progress.Now()
			if done > before.Bytes {
				t.Errorf("%d of %d bytes in %s", done, before.Bytes, before.Name)
			}
			seen++
		}
	}()
	p.must(t, ask("sta"), p.out("x"), Options{Threads: 3, Progress: progress, FS: mmapio.OS})
	close(stop)
	if <-watched == 0 {
		t.Error("never looked")
	}
}

// A recipe with a value that is not finite stops with the tensor, the element and the
// file, or goes on as it is told.
func TestNonfinite(t *testing.T) {
	f := newFamily(2, describe("x", format.F32, 3, 9000))
	theta := f.models[1].find("x").values()
	theta[12345] = math.Inf(1)
	*f.models[1].find("x") = floats("x", format.F32, theta, 3, 9000)
	p := f.save(t)
	q := ask("sta", "density=1")
	_, err := p.merge(t, context.Background(), q, p.out("x.safetensors"), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), p.models[1]+`: tensor "x", element 12345: `) {
		t.Error(err)
	}
	nothingAt(t, p.out("x.safetensors"))
	for policy, want := range map[string]float64{"propagate": math.Inf(1), "base": f.base[0].values()[12345]} {
		q.settings = []string{"density=1", "nonfinite=" + policy}
		report := p.must(t, q, p.out("x.safetensors"), Options{Force: true})
		got, _ := load(t, read(t, p.out("x.safetensors")))
		if x := got.find("x").values()[12345]; x != want || report.Nonfinite != 1 {
			t.Errorf("%s: %v, %d", policy, x, report.Nonfinite)
		}
	}
}
