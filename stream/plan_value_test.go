package stream

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// A plan prints all that running it depends on.
func TestPlanLines(t *testing.T) {
	f := newFamily(2, describe("w", format.F32, 3, 2), describe("ids", format.I64, 2))
	p := f.save(t)
	plan := p.plan(t, ask("sta", "preset=paper", "density=0.25", "weights=1,0.5"), p.out("x.safetensors"), Options{})
	defer plan.Close()
	var text bytes.Buffer
	if n, err := plan.WriteTo(&text); err != nil || n != int64(text.Len()) {
		t.Fatal(n, err)
	}
	for _, part := range []string{
		"method sta\n", `input 0 base "` + p.base + `": 2 tensors, `, "input 4 importance ",
		`output "` + p.out("x.safetensors") + `": `, " bytes in *.safetensors\nshard 0 \"model.safetensors\": ",
		"tensor \"ids\" I64 [2]: at ", " in shard 0, a copy of 0:", "tensor \"w\" F32 [3 2]: at ",
		" from base 0:", " model 1:", " with importance 2:", " model 3:", " with importance 4:", "density=0.25 importance=", "weight=0.5\n",
		"combine=\"sum\" consensus=\"none\" contrast=false",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is not there", part)
		}
	}
	if t.Failed() {
		t.Log(text.String())
	}
}

// The digest of a plan is that of whatever gives the same bytes, and of nothing else.
func TestPlanDigest(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	digest := func(q request, o Options) string {
		o.Force = true
		plan := p.plan(t, q, p.out("dir"), o)
		defer plan.Close()
		before := plan.Digest()
		if _, err := plan.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		if after := plan.Digest(); after != before {
			t.Error("running a plan changes it")
		}
		return before
	}
	want := digest(ask("ties", "density=0.5"), Options{})
	if got := digest(ask("ties", "density=0.5"), Options{Threads: 3, Memory: 100 << 20}); got != want {
		t.Error("threads and memory are no part of a plan")
	}
	for name, other := range map[string]string{
		"density": digest(ask("ties", "density=0.6"), Options{}), "method": digest(ask("dare_ties", "density=0.5"), Options{}),
		"version": digest(ask("ties", "density=0.5"), Options{Version: "v9"}), "shards": digest(ask("ties", "density=0.5"), Options{ShardSize: 1000}),
	} {
		if other == want {
			t.Errorf("another %s is no other plan", name)
		}
	}
	data := read(t, p.models[0])
	data[len(data)-1] ^= 1
	if err := os.WriteFile(p.models[0], data, 0o644); err != nil {
		t.Fatal(err)
	}
	if digest(ask("ties", "density=0.5"), Options{}) == want {
		t.Error("another model is no other plan")
	}
}

// What differs between two plans is said in their lines.
func TestPlanDifferences(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	plan := func(settings ...string) *Prepared {
		prepared := p.plan(t, ask("linear", settings...), "", Options{})
		t.Cleanup(func() { prepared.Close() })
		return prepared
	}
	a, same, other := plan("weights=0.5,0.25"), plan("weights=0.5,0.25"), plan("weights=0.5,0.75")
	if lines := a.Differences(same.Plan); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	lines := a.Differences(other.Plan)
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "- values ") || !strings.Contains(lines[0], "weight=0.25") || !strings.HasPrefix(lines[1], "+ values ") || !strings.Contains(lines[1], "weight=0.75") {
		t.Errorf("%q", lines)
	}
	many := a.Differences(p.plan(t, ask("task_arithmetic"), "", Options{}).Plan)
	if !slices.ContainsFunc(many, func(l string) bool { return strings.HasPrefix(l, "+ and ") && strings.HasSuffix(l, " more") }) {
		t.Errorf("%q", many)
	}
}
