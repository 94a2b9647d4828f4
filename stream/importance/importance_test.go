package importance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weld/format"
	"weld/stream"
	"weld/stream/plan"
	"weld/stream/run"
)

func TestOutputs(t *testing.T) {
	for _, x := range []struct {
		statistic, out string
		want           map[string]string
	}{
		{"mean_sq_grad", "a/i.weld", map[string]string{"mean_sq_grad": "a/i.weld"}},
		{"both", "a/i.safetensors", map[string]string{"mean_abs_grad": "a/i-mean_abs_grad.safetensors", "mean_sq_grad": "a/i-mean_sq_grad.safetensors"}},
		{"both", "i.v2.safetensors.zst", map[string]string{"mean_abs_grad": "i.v2-mean_abs_grad.safetensors.zst", "mean_sq_grad": "i.v2-mean_sq_grad.safetensors.zst"}},
		{"both", "I.WELD", map[string]string{"mean_abs_grad": "I-mean_abs_grad.WELD", "mean_sq_grad": "I-mean_sq_grad.WELD"}},
	} {
		if got := (Request{Statistic: x.statistic, Out: x.out}).outputs(); !maps.Equal(got, x.want) {
			t.Errorf("%s of %s: %v", x.out, x.statistic, got)
		}
	}
}

func TestNamedByUV(t *testing.T) {
	for _, name := range []string{"uv", "uv run", "/opt/bin/uv run --python 3.12"} {
		got, err := named(name)
		if err != nil || got[0] != strings.Fields(name)[0] || got[1] != "run" || got[len(got)-1] != "python" || !slices.Contains(got, "transformers>=5") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	var missing *MissingError
	if _, err := named("no such program"); !errors.As(err, &missing) {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestSpace(t *testing.T) {
	m, p := smallModel(t)
	m.work = &folder{path: filepath.Dir(m.Model)}
	huge := []format.Tensor{{Name: "w", DType: format.BF16, Shape: []int64{1 << 30, 1 << 20}}, {Name: "n", DType: format.I8, Shape: []int64{1 << 60}}}
	m.Out, m.Statistic = "out.safetensors", Statistics[0]
	if err := m.checkSpace(p.Models[0].Tensors()); err != nil {
		t.Error(err)
	}
	for out, needed := range map[string]string{"out.safetensors": "9.0 PB", "out.safetensors.zst": "6.8 PB", "out.weld": "5.6 PB"} {
		m.Out = out
		if err := m.checkSpace(huge); err == nil || !strings.HasPrefix(err.Error(), "output "+out+": "+needed+" are needed, for it and for the working folder beside it, ") {
			t.Errorf("%s: %v", out, err)
		}
	}
	m.Out, m.Statistic = "out.weld", both
	if err := m.checkSpace(huge); err == nil || !strings.Contains(err.Error(), "11 PB") {
		t.Errorf("of both: %v", err)
	}
	if err := os.WriteFile(filepath.Join(m.work.path, "in-00001.json"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := m.checkSpace(huge); err != nil {
		t.Errorf("of a run that is gone on with: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	for _, x := range []struct {
		user []string
		keep bool
	}{
		{[]string{"HOME=/root"}, true},
		{[]string{"GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F"}, true},
		{[]string{"MALLOC_ARENA_MAX=2"}, false},
		{[]string{"GLIBC_TUNABLES=glibc.cpu.x86_shstk=off:glibc.malloc.trim_threshold=1"}, false},
	} {
		got := environment(x.user, 3)
		if slices.Contains(got, keepMemory[0]) != x.keep || slices.Contains(got, keepMemory[1]) != x.keep || !slices.Contains(got, "OMP_NUM_THREADS=3") || got[0] != x.user[0] {
			t.Errorf("%q: %q", x.user, got)
		}
	}
	if got := environment(nil, 0); slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, "OMP_") }) {
		t.Errorf("threads: %q", got)
	}
}

func TestFollow(t *testing.T) {
	said := `{"event": "begin", "step": "forward", "index": 1, "count": 2, "bytes": 100}
what a library prints
{"event": "advance", "bytes": 30}
{"event": "advance", "bytes": 12}
{"event": "note", "text": "mind this"}
{"event": "done", "samples": 2, "tokens": 9, "loss": 0.5, "dtype": "float32"}
`
	var notes []string
	var done Measured
	progress := new(run.Progress)
	finished, err := follow(bufio.NewReader(strings.NewReader(said)), progress, func(text string) { notes = append(notes, text) }, &done)
	if !finished || err != nil || !slices.Equal(notes, []string{"mind this"}) || done.Samples != 2 || done.Tokens != 9 || done.Loss != 0.5 || done.DType != "float32" {
		t.Errorf("%v, %v, %q, %+v", finished, err, notes, done)
	}
	if phase, now := progress.Now(); now != 42 || phase != (run.Phase{Name: "forward", Index: 1, Count: 2, Bytes: 100}) {
		t.Errorf("%d of %+v", now, phase)
	}
	finished, err = follow(bufio.NewReader(strings.NewReader(`{"event": "error", "text": "no"}`)), progress, nil, &done)
	if finished || err == nil || err.Error() != "no" {
		t.Errorf("%v, %v", finished, err)
	}
}

// A program that prints a line without end is read to its end: it would wait forever for somebody to take it.
func TestFollowReadsLongLines(t *testing.T) {
	long := `{"event": "note", "text": "` + strings.Repeat("y", 10_000) + "\"}\n"
	endless := strings.Repeat("x", 3<<20) + "\n"
	in := strings.NewReader(long + endless + `{"event": "done", "samples": 2}`)
	var noted int
	var done Measured
	finished, err := follow(bufio.NewReader(in), new(run.Progress), func(text string) { noted += len(text) }, &done)
	if !finished || err != nil || done.Samples != 2 || noted != 10_000 || in.Len() > 0 {
		t.Errorf("%v, %v, %d samples, %d noted, %d bytes left", finished, err, done.Samples, noted, in.Len())
	}
}

func TestOutputInPlaceOfAnInput(t *testing.T) {
	m, p := smallModel(t)
	texts := filepath.Join(filepath.Dir(m.Model), "texts.weld")
	if err := os.WriteFile(texts, []byte("a text"), 0o666); err != nil {
		t.Fatal(err)
	}
	m.options.Force, m.Texts, m.Statistic = true, texts, Statistics[0]
	for out, says := range map[string]string{m.Model: "is the place of the model", texts: "is the place of the texts", m.Model + ".weld": ""} {
		m.Out = out
		if err := m.checkInputs(p); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// Another run goes on with what is of the same model alone: as it is stored, as it is configured, as it reads texts.
func TestKeyOfAChangedModel(t *testing.T) {
	m, p := smallModel(t)
	dir := filepath.Dir(m.Model)
	before := m.key("", p)
	if m.key("", p) != before {
		t.Fatal("two keys of one request")
	}
	keyWith := func(name string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o666); err != nil {
			t.Fatal(err)
		}
		return m.key("", p)
	}
	if keyWith("log.json") != before {
		t.Error("what is beside a model and no part of it makes another of it")
	}
	configured := keyWith("tokenizer.json")
	if err := os.Chtimes(m.Model, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if written := m.key("", p); configured == before || written == configured {
		t.Errorf("%s, another tokenizer %s, other weights %s", before, configured, written)
	}
}

// smallModel is a file with one tensor, and the plan that reads it.
func smallModel(t *testing.T) (*measurement, *plan.Plan) {
	t.Helper()
	header := `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+"\x00\x00\x00\x00\x00\x00\x00\x00"...), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := stream.PrepareConversion(stream.Conversion{In: path}, path+".plain", stream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &measurement{Request: Request{Model: path}}, p.Plan
}

// What is not there is told, with what to do.
func TestNothingInPath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, says := range map[string]string{
		"":          "there is no python3 in $PATH: name another with --python; ",
		"python3.9": "--python python3.9: executable file not found in $PATH: name another with --python; ",
		"uv":        "there is no uv in $PATH: install it, or name a Python with --python",
	} {
		_, _, err := find(t.Context(), name, func(text string) { t.Error(text) })
		if missing := (*MissingError)(nil); !errors.As(err, &missing) || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What other versions computed is not gone on with.
func TestKeyOfVersions(t *testing.T) {
	m, p := smallModel(t)
	before := m.key("", p)
	if m.versions = "torch 3"; m.key("", p) == before {
		t.Error("versions of torch make no difference")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var kept tail
	for range 100 {
		kept.Write([]byte(strings.Repeat("x", 100)))
	}
	kept.Write([]byte("the end\n"))
	if text := kept.text(); len(text) > tailBytes+2 || !strings.HasSuffix(text, "xthe end") {
		t.Errorf("%d bytes: %q", len(text), text[len(text)-20:])
	}
}
