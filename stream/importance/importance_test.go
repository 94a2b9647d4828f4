package importance

import (
	"bufio"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

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
