package stream

import (
	"context"
	"fmt"
	"math"
	"time"

	"weld/format"
	"weld/stream/fuse"
)

// Merge runs the plan: measuring passes until every threshold is known, the pass
// that fuses and writes, and the commit. When it fails or ctx ends, nothing stands
// under the output's name that was not there before.
func (p *Plan) Merge(ctx context.Context) (*Report, error) {
	reports, err := (&Sweep{Plans: []*Plan{p}}).Merge(ctx)
	if err != nil {
		return nil, err
	}
	return reports[0], nil
}

// Score runs the measuring passes and counts what each threshold keeps. It writes
// nothing.
func (p *Plan) Score(ctx context.Context) (*Report, error) {
	start := time.Now()
	survey, ok := p.method.(interface{ Survey() *fuse.Pass })
	if !ok {
		return nil, fmt.Errorf("%s has no scores", p.Recipe.Method.Name)
	}
	passes, err := p.measure(ctx)
	if err != nil {
		return nil, err
	}
	pass := survey.Survey()
	counting := &walk{plan: p, name: pass.Name, reads: pass.Reads, chain: pass.Chain}
	counting.announce(passes, passes+1)
	if err := counting.run(ctx); err != nil {
		return nil, err
	}
	if err := p.unchanged(); err != nil {
		return nil, err
	}
	return p.report(passes+1, time.Since(start)), nil
}

// measure walks the inputs until the method knows everything, and returns how often.
func (p *Plan) measure(ctx context.Context) (passes int, err error) {
	count := p.Passes()
	for pass := p.method.Next(); pass != nil; pass = p.method.Next() {
		measuring := &walk{plan: p, name: pass.Name, reads: pass.Reads, chain: pass.Chain}
		measuring.announce(passes, count)
		if err := measuring.run(ctx); err != nil {
			return passes, err
		}
		passes++
		if pass.End != nil {
			if err := pass.End(); err != nil {
				return passes, err
			}
		}
	}
	return passes, nil
}

// unchanged demands that the inputs are still what the plan was made from.
func (p *Plan) unchanged() error {
	for i := range p.Sources {
		if err := format.Unchanged(p.Sources[i].Checkpoint); err != nil {
			return err
		}
	}
	return nil
}

// Report is what a run found out and did.
type Report struct {
	Method  string        `json:"method"`
	Out     string        `json:"out,omitempty"`
	Fused   int           `json:"fused"`
	Copied  int           `json:"copied"`
	Written int64         `json:"written_bytes"`          // before compression
	Stored  int64         `json:"stored_bytes,omitempty"` // of an output that is compressed, on the disk
	Passes  int           `json:"passes"`
	Seconds float64       `json:"seconds"`
	Models  []ModelReport `json:"models,omitempty"`
	Tensors []TensorShare `json:"tensors,omitempty"`
	// Nonfinite counts results that were let through or replaced; where nothing is
	// written, scores that count as 0 because they are infinite or NaN.
	Nonfinite int64 `json:"nonfinite"`
}

// ModelReport is one model's share in the whole.
type ModelReport struct {
	Path     string  `json:"path"`
	Elements int64   `json:"elements"`
	Kept     int64   `json:"kept"`
	Density  float64 `json:"density"` // achieved
	// Threshold is the least normalised score that was kept, where one holds for the
	// whole model.
	Threshold *float32 `json:"threshold,omitempty"`
}

// TensorShare is the models' shares in one tensor.
type TensorShare struct {
	Name      string             `json:"name"`
	Elements  int64              `json:"elements"`
	Models    []TensorModelShare `json:"models"`
	Nonfinite int64              `json:"nonfinite,omitempty"`
}

// TensorModelShare is one model's share in one tensor.
type TensorModelShare struct {
	Kept      int64   `json:"kept"`
	Density   float64 `json:"density"`
	Divisor   float32 `json:"divisor"`   // of the scores' normalisation
	Threshold float32 `json:"threshold"` // on the normalised scores
}

func (p *Plan) report(passes int, took time.Duration) *Report {
	r := &Report{Method: p.Recipe.Method.Name, Out: p.Out, Passes: passes, Seconds: took.Seconds(), Fused: len(p.jobs)}
	r.Copied = len(p.Tensors) - r.Fused
	if p.Out != "" {
		r.Written, r.Stored = p.target.size, p.target.stored(p.Out)
	}
	for _, m := range p.models {
		r.Models = append(r.Models, ModelReport{Path: m.Path})
	}
	scored := false
	for job, result := range p.method.Results() {
		t := p.Tensors[p.jobs[job]]
		share := TensorShare{Name: t.Name, Elements: t.Elements(), Nonfinite: result.Nonfinite}
		r.Nonfinite += result.Nonfinite
		for m, sel := range result.Models {
			scored = true
			threshold := min(sel.Threshold, math.MaxFloat32) // JSON has no infinity for "nothing"
			share.Models = append(share.Models, TensorModelShare{sel.Kept, ratio(sel.Kept, sel.Elements), sel.Divisor, threshold})
			r.Models[m].Kept += sel.Kept
			r.Models[m].Elements += sel.Elements
			r.Models[m].Density = ratio(r.Models[m].Kept, r.Models[m].Elements)
			ranked := p.importance[m] == nil || t.parts[m].importance >= 0
			if p.Recipe.Params.Text("scope") == "model" && ranked {
				r.Models[m].Threshold = &share.Models[m].Threshold
			}
		}
		if scored {
			r.Tensors = append(r.Tensors, share)
		}
	}
	if !scored {
		r.Models = nil
	}
	return r
}

func ratio(kept, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(kept) / float64(of)
}
