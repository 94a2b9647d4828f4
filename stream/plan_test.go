package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/plan"
	"weld/stream/run"
)

// problem is what one error of a plan should be about.
type problem struct {
	kind         format.Kind
	path, tensor string
}

func problemsOf(t *testing.T, err error) (list []problem) {
	t.Helper()
	var bad *plan.InputError
	if !errors.As(err, &bad) {
		t.Fatalf("not an plan.InputError: %v", err)
	}
	for _, p := range bad.Problems {
		var e *format.Error
		if !errors.As(p, &e) {
			t.Errorf("not a format.Error: %v", p)
			continue
		}
		list = append(list, problem{e.Kind, e.Path, e.Tensor})
		if !strings.Contains(err.Error(), p.Error()) {
			t.Errorf("the report leaves out %v", p)
		}
	}
	return list
}

func sameProblems(t *testing.T, err error, want ...problem) {
	t.Helper()
	order := func(a, b problem) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	got := problemsOf(t, err)
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func (p savedFamily) fails(t *testing.T, q request, out string, o Options) error {
	t.Helper()
	check := noLeak(t)
	plan, err := Prepare(p.recipe(t, q), out, o)
	if err == nil {
		plan.Close()
		t.Errorf("%s to %s is planned", q.method, out)
		return errors.New("none")
	}
	check()
	return err
}

// Everything that does not fit is in one report.
func TestProblemsOfInputs(t *testing.T) {
	f := newFamily(2, small()...)
	f.models[0] = f.models[0].without("a")
	*f.models[0].find("b") = floats("b", format.BF16, make([]float64, 600), 30, 20)
	*f.models[1].find("c") = raw("c", format.I32, make([]byte, 36000), 9000)
	f.importance[0] = f.importance[0].without("b", "c")
	*f.importance[1].find("a") = floats("a", format.F32, make([]float64, 9000), 9000)
	p := f.save(t)
	missing, shape, dtype := format.KindMissing, format.KindShape, format.KindDType
	err := p.fails(t, ask("sta"), p.out("x"), Options{})
	sameProblems(t, err,
		problem{missing, p.models[0], "a"}, problem{shape, p.models[0], "b"}, problem{dtype, p.models[1], "c"},
		problem{missing, p.importance[0], "b"}, problem{missing, p.importance[0], "c"}, problem{shape, p.importance[1], "a"})
	if !strings.Contains(err.Error(), "missing_importance") || !strings.Contains(err.Error(), "[30 20]") {
		t.Error(err)
	}
	sameProblems(t, p.fails(t, ask("sta", "missing_importance=drop"), p.out("x"), Options{}),
		problem{missing, p.models[0], "a"}, problem{shape, p.models[0], "b"}, problem{dtype, p.models[1], "c"})
	sameProblems(t, p.fails(t, ask("linear"), "", Options{}),
		problem{shape, p.models[1], "b"}, problem{dtype, p.models[1], "c"})
	nothingAt(t, p.out("x"))
}

func TestProblemsOfOpening(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	p.base = p.out("no-base")
	p.models[1] = write(t, p.out("broken.safetensors"), []byte("12345678\x00"))
	p.importance[0] = write(t, p.out("importance.txt"), []byte("x"))
	sameProblems(t, p.fails(t, ask("sta"), p.out("x"), Options{}),
		problem{format.KindMissing, p.base, ""}, problem{format.KindHeaderSize, p.models[1], ""}, problem{format.KindUnsupported, p.importance[0], ""})

	p = newFamily(1, small()...).save(t)
	write(t, p.importance[0], newFamily(1, small()...).importance[0].file(map[string]string{"weld.statistic": "median"}))
	sameProblems(t, p.fails(t, ask("sta"), p.out("x"), Options{}), problem{format.KindMetadata, p.importance[0], ""})
	p.plan(t, ask("sta", "statistic=mean_grad"), p.out("x"), Options{}).Close()
}

func TestNotes(t *testing.T) {
	f := newFamily(2, small()...)
	f.models[0] = append(f.models[0], floats("head", format.F32, []float64{1}, 1), floats("tail", format.F32, nil, 0))
	*f.models[1].find("ids") = raw("ids", format.I32, make([]byte, 200), 50)
	f.models[0] = f.models[0].without("ids")
	f.importance[1] = f.importance[1].without("b")
	p := f.save(t)
	for choice, said := range map[string]string{"drop": "task vector is left out", "keep": "taken whole"} {
		plan := p.plan(t, ask("sta", "missing_importance="+choice), p.out("x"), Options{})
		notes := strings.Join(plan.Notes, "\n")
		for _, want := range []string{
			p.models[0] + ": left out, since ", "head, tail", p.models[0] + `: tensor "ids": not there`,
			p.models[1] + `: tensor "ids": I32 [50]`, p.importance[1] + `: tensor "b"`, said,
			p.importance[0] + ", " + p.importance[1] + ": nothing in them says what they hold (weld.statistic): taken for mean_abs_grad",
		} {
			if !strings.Contains(notes, want) {
				t.Errorf("no note says %s:\n%s", want, notes)
			}
		}
		if len(plan.Notes) != 5 {
			t.Errorf("%d notes", len(plan.Notes))
		}
		plan.Close()
	}
}

// A file says what it was measured on. The model that it is used for and the base are both right, in whatever container and type they are now.
func TestNotesOfWhatWasMeasured(t *testing.T) {
	f := newFamily(2, describe("a", format.BF16, 40, 30), describe("b", format.F16, 7), describe("ids", format.I64, 3))
	p := f.save(t)
	digest := func(path string) string {
		plan, err := PrepareConversion(Conversion{In: path}, "", Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		text, err := plan.Models[0].Weights()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	notes := func(measured string) string {
		write(t, p.importance[0], f.importance[0].file(map[string]string{"weld.statistic": "mean_sq_grad", "weld.importance": measured}))
		plan := p.plan(t, ask("sta", "statistic=mean_sq_grad"), "", Options{})
		defer plan.Close()
		return strings.Join(plan.Notes, "\n")
	}
	measured := func(name, digest string) string {
		return fmt.Sprintf(`{"model": %q, "digest": %q, "samples": 3}`, name, digest)
	}

	wide, shards := slices.Clone(f.models[0]), p.out("shards")
	rounded := slices.Clone(f.models[0])
	b := f.models[0].find("b")
	values := make([]float64, b.Elements())
	format.Decode(b.DType, values, b.data)
	*rounded.find("b") = floats("b", format.BF16, values, b.Shape...)
	for i, x := range wide {
		if x.DType.Computable() {
			values := make([]float64, x.Elements())
			format.Decode(x.DType, values, x.data)
			wide[i] = floats(x.Name, format.F32, values, x.Shape...)
		}
	}
	for name, told := range map[string]string{
		"the model": measured("x", digest(p.models[0])), "the base": measured("x", digest(p.base)),
		"in float32":  measured("x", digest(wide.save(t, p.out("wide.safetensors")))),
		"rounded":     measured("x", digest(rounded.save(t, p.out("rounded.safetensors")))),
		"in shards":   measured("x", digest(f.models[0].saveShards(t, shards, 1))),
		"no digest":   `{"model": "x"}`,
		"no JSON":     "x",
		"other types": `{"model": 1, "digest": 2}`, "another type": `{"model": 1, "digest": "x"}`,
	} {
		if got := notes(told); strings.Contains(got, "measured on") {
			t.Errorf("%s: %s", name, got)
		}
	}
	other := digest(p.models[1])
	for name, want := range map[string]string{
		"./elsewhere": "g0.safetensors: measured on ./elsewhere, whose weights are not those of " + p.models[0] + " nor of " + p.base + " (weld.importance)",
		p.models[0]:   "g0.safetensors: measured on " + p.models[0] + ", whose weights have changed since (weld.importance)",
		p.base:        "g0.safetensors: measured on " + p.base + ", whose weights have changed since (weld.importance)",
	} {
		if got := notes(measured(name, other)); !strings.Contains(got, want) || strings.Count(got, "measured on") != 1 {
			t.Errorf("no note says %s:\n%s", want, got)
		}
	}

	// One file of all models says once what it was measured on, and that it is given once.
	shared := fmt.Sprintf("{merge_method: sta, base_model: %s, models: [{model: %s}, {model: %s}], parameters: {importance: %s}}", p.base, p.models[0], p.models[1], p.importance[0])
	write(t, p.importance[0], f.importance[0].file(map[string]string{"weld.statistic": "mean_sq_grad", "weld.importance": measured(p.base, "x")}))
	got := strings.Join(p.notesOf(t, shared), "\n")
	if strings.Count(got, "have changed since") != 1 || !strings.Contains(got, "g0.safetensors: given once, it is the importance of all 2 models; if each has") {
		t.Errorf("of one file for all:\n%s", got)
	}

	p.models[1] = p.base // a model may be the base itself, which is named once
	write(t, p.importance[1], f.importance[1].file(map[string]string{"weld.statistic": "mean_sq_grad", "weld.importance": measured("./elsewhere", other)}))
	plan := p.plan(t, ask("perta", "statistic=mean_sq_grad"), "", Options{})
	defer plan.Close()
	if got, want := strings.Join(plan.Notes, "\n"), "g1.safetensors: measured on ./elsewhere, whose weights are not those of "+p.base+" (weld.importance)"; !strings.Contains(got, want) {
		t.Errorf("no note says %s:\n%s", want, got)
	}
}

// notesOf are the notes of a recipe's plan.
func (p savedFamily) notesOf(t *testing.T, text string) []string {
	t.Helper()
	r, err := Schema().Parse("r.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(r, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	return plan.Notes
}

// One importance file for several models is noted, unless each was given it, and where there is but one model.
func TestNotesOfSharedImportance(t *testing.T) {
	f := newFamily(2, small()...)
	p := f.save(t)
	a, b, g := p.models[0], p.models[1], p.importance[0]
	for models, want := range map[string]bool{
		fmt.Sprintf("[{model: %s}, {model: %s}], parameters: {importance: %s}", a, b, g):                                                true,
		fmt.Sprintf("[{model: %s}], parameters: {importance: %s}", a, g):                                                                false,
		fmt.Sprintf("[{model: %s, parameters: {importance: %s}}, {model: %s, parameters: {importance: %[2]s}}]", a, g, b):               false,
		fmt.Sprintf("[{model: %s, parameters: {importance: %s}}, {model: %s}], parameters: {importance: %s}", a, p.importance[1], b, g): false,
		fmt.Sprintf("[{model: %s}, {model: %s, parameters: {importance: %s}}], parameters: {importance: %s}", a, b, p.importance[1], g): false,
		fmt.Sprintf("[{model: %s}, {model: %s}], parameters: {importance: %s, score: magnitude}", a, b, g):                              false,
	} {
		notes := p.notesOf(t, fmt.Sprintf("{merge_method: sta, base_model: %s, models: %s}", p.base, models))
		if strings.Contains(strings.Join(notes, "\n"), "given once") != want {
			t.Errorf("%s: %q", models, notes)
		}
	}
}

// Tensors that are copied from the base may differ elsewhere; small ones are compared.
func TestNotesOfCopiedTensors(t *testing.T) {
	f := newFamily(2, describe("a", format.F32, 3), describe("mask", format.Bool, 1000), describe("huge", format.I32, 300_000), describe("none", format.I64, 0))
	f.models[1].find("mask").data = append(make([]byte, 999), 2)
	p := f.save(t)
	for _, q := range []request{ask("task_arithmetic"), ask("linear")} {
		plan := p.plan(t, q, "", Options{})
		var differs, unknown []string
		for _, note := range plan.Notes {
			if strings.Contains(note, `"mask": BOOL, differs`) {
				differs = append(differs, note)
			}
			if strings.Contains(note, `"huge"`) {
				unknown = append(unknown, note)
			}
		}
		if len(differs) != 1 || !strings.HasPrefix(differs[0], p.models[1]) || len(differs)+len(unknown) != len(plan.Notes) || len(unknown) == 0 {
			t.Errorf("%s: %q", q.method, plan.Notes)
		}
		plan.Close()
	}
}

func link(t *testing.T, to, name string) string {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Skip(err)
	}
	return name
}

// An output never takes the place of an input, by whatever name and with --force.
func TestOutputIsAnInput(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	sharded := newFamily(2, small()...).base.saveShards(t, p.out("sharded"), 2)
	elsewhere := t.TempDir()
	single := newFamily(1, small()...).saveIn(t, filepath.Join(t.TempDir(), "x", "y"))
	outs := map[string]savedFamily{
		p.models[0]:     p,
		p.importance[1]: p,
		p.base:          p,
		p.base + "/":    p,
		filepath.Join(p.base, "..", "m1.safetensors"):                   p,
		link(t, p.models[0], filepath.Join(elsewhere, "l.safetensors")): p,
		link(t, p.base, filepath.Join(elsewhere, "l")):                  p,
		p.dir:                                   p,
		filepath.Dir(filepath.Dir(single.base)): single,
		filepath.Dir(filepath.Dir(single.dir)):  single,
		link(t, p.dir, filepath.Join(elsewhere, "all")) + "/m0.safetensors": p,
	}
	for out, p := range outs {
		for _, force := range []bool{true, false} {
			err := p.fails(t, ask("sta"), out, Options{Force: force})
			if !strings.Contains(err.Error(), "is the place of the") && !strings.Contains(err.Error(), "holds the") {
				t.Errorf("%s: %v", out, err)
			}
		}
	}
	p.base = sharded
	if err := p.fails(t, ask("task_arithmetic"), sharded, Options{Force: true}); !strings.Contains(err.Error(), "is the place of the base") {
		t.Error(err)
	}
	// Links in the inputs, as the Hub's cache has them.
	cache := filepath.Join(elsewhere, "snapshot")
	if err := os.Mkdir(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	link(t, p.models[0], filepath.Join(cache, safetensors.SingleName))
	p.base = cache
	for _, out := range []string{p.models[0], cache} {
		if err := p.fails(t, ask("task_arithmetic"), out, Options{Force: true}); !strings.Contains(err.Error(), "is the place of the") && !strings.Contains(err.Error(), "holds the") {
			t.Error(err)
		}
	}
}

// A link elsewhere that leads below the output's directory leads to an input that --force would delete.
func TestOutputHoldsWhatALinkLeadsTo(t *testing.T) {
	f := newFamily(1, small()...)
	p := f.save(t)
	out := filepath.Join(t.TempDir(), "out")
	f.base.save(t, filepath.Join(out, "deep", safetensors.SingleName))
	before := tree(t, out)
	elsewhere := t.TempDir()
	for _, base := range []string{
		link(t, filepath.Join(out, "deep"), filepath.Join(elsewhere, "folder")),
		link(t, filepath.Join(out, "deep", safetensors.SingleName), filepath.Join(elsewhere, "file.safetensors")),
	} {
		p.base = base
		if err := p.fails(t, ask("task_arithmetic"), out, Options{Force: true}); !strings.Contains(err.Error(), "holds the base "+base) {
			t.Error(err)
		}
		if !maps.Equal(tree(t, out), before) {
			t.Errorf("%s: the input is not what it was", base)
		}
	}
}

func TestOutputPlace(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	q := ask("linear")
	write(t, p.out("old.safetensors"), []byte("old"))
	write(t, p.out("old/model.safetensors"), []byte("old"))
	for _, dir := range []string{"empty", "dir.safetensors", "dir.safetensors.zst"} {
		if err := os.Mkdir(p.out(dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, p.out("plain"), nil)
	for _, c := range []struct {
		out   string
		force bool
		want  string // "" if it is planned
	}{
		{"new", false, ""},
		{"new.safetensors", false, ""},
		{"NEW.SafeTensors.ZST", false, ""},
		{"v1.5", false, ""},
		{"empty", false, ""},
		{"old", true, ""},
		{"old.safetensors", true, ""},
		{"old", false, "already exists: --force"},
		{"old.safetensors", false, "already exists: --force"},
		{"plain", true, "a file of that name is in the way"},
		{"dir.safetensors", true, "a directory of that name is in the way"},
		{"dir.safetensors.zst", false, "a directory of that name is in the way"},
		{"no/such", false, "there is no directory"},
		{"plain/x", false, "there is no directory"},
		{"x.bin", false, "does not write *.bin"},
		{"x.weld", false, ""},
		{"x.bin", true, "does not write *.bin"},
		{"x.PT", true, "does not write *.pt"},
		{"x.zst", true, "does not write *.zst"},
		{"x.yml", true, destination.Writable},
	} {
		plan, err := Prepare(p.recipe(t, q), p.out(c.out), Options{Force: c.force})
		switch {
		case err == nil:
			plan.Close()
			if c.want != "" {
				t.Errorf("%s is planned, not %s", c.out, c.want)
			}
		case c.want == "" || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.out):
			t.Errorf("%s: %v, want %q", c.out, err, c.want)
		case strings.HasPrefix(c.want, "already") && !errors.Is(err, mmapio.ErrExists):
			t.Errorf("%s: %v is not ErrExists", c.out, err)
		}
	}
}

// A plan touches nothing.
func TestPlanWritesNothing(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	before := tree(t, p.dir)
	for _, name := range outputs {
		plan := p.plan(t, ask("sta"), p.out(name), Options{})
		s := plan.Summary()
		if s.Fused != 3 || s.Copied != 1 || s.Passes != 4 || len(s.Inputs) != 5 || len(s.Files) != 1 || s.Files[0].Tensors != 4 || s.Out != p.out(name) {
			t.Errorf("%+v", s)
		}
		plan.Close()
	}
	if after := tree(t, p.dir); len(after) != len(before) {
		t.Errorf("%d files before, %d after", len(before), len(after))
	}
}

var needs = regexp.MustCompile(`a memory budget of (\d+) MiB is too small: this merge needs (\d+) MiB`)

// A budget that is too small is refused with one that is not.
func TestTooLittleMemory(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for name, q := range requests {
		for _, out := range outputs {
			err := p.fails(t, q, p.out(out), Options{Memory: 20 << 20, Threads: 4})
			m := needs.FindStringSubmatch(err.Error())
			if m == nil || m[1] != "20" {
				t.Fatal(err)
			}
			least, _ := strconv.ParseInt(m[2], 10, 64)
			plan := p.plan(t, q, p.out(out), Options{Memory: least << 20, Threads: 4})
			plan.Close()
			if least > 60 {
				t.Errorf("%s to %s needs %d MiB", name, out, least)
			}
		}
	}
}

// The budget has what the most demanding tensor holds, and an eighth of it is left for what nobody counts.
func TestMemoryIsForTheLargestTensor(t *testing.T) {
	p := newFamily(2, append(small(), describe("huge", format.BF16, 2000, 1000))...).save(t)
	q := ask("breadcrumbs", "density=0.4", "gamma=0.1") // a search above and one below, in each model
	const threads = 2
	enough := func(memory int64) Options { return Options{Memory: memory, Threads: threads} }
	m := needs.FindStringSubmatch(p.fails(t, q, p.out("x"), enough(20<<20)).Error())
	if m == nil {
		t.Fatal("it is not said how much is needed")
	}
	least, _ := strconv.ParseInt(m[2], 10, 64)
	for _, memory := range []int64{least << 20, run.DefaultMemory} {
		plan := p.plan(t, q, p.out("x"), enough(memory))
		cost, largest := plan.NewMethod(plan.Options.tableBytes()).Cost(), int64(0)
		for i := range plan.Fused() {
			largest = max(largest, cost.Job(i))
		}
		b := plan.Budget
		if largest < 16<<20 {
			t.Fatalf("a tensor that holds %d bytes is none to plan for", largest)
		}
		if b.Jobs < largest {
			t.Errorf("of %d bytes, %d are for what a tensor holds, and one holds %d", memory, b.Jobs, largest)
		}
		if counted := 24<<20 + b.Jobs + int64(b.Workers)*b.Span + b.Views; b.Views > 0 && counted > memory-memory/8 {
			t.Errorf("of %d bytes, %d are given away: %+v", memory, counted, b)
		}
		plan.Close()
	}
}

func TestNonfiniteBaseNeedsABase(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	if err := p.fails(t, ask("linear", "nonfinite=base"), "", Options{}); !strings.Contains(err.Error(), "no base model") {
		t.Error(err)
	}
	plan := p.plan(t, ask("linear", "nonfinite=base", "base="+p.base), "", Options{})
	defer plan.Close()
	if _, err := plan.Score(context.Background()); err == nil || !strings.Contains(err.Error(), "linear has no scores") {
		t.Error(err)
	}
}
