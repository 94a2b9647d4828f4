package stream

import (
	"math"
	"os"
	"time"

	"weld/mmapio"
	"weld/stream/fuse"
	"weld/stream/plan"
)

// Report is what a merge found out and did.
type Report struct {
	Method  string  `json:"method"`
	Out     string  `json:"out,omitempty"`
	Fused   int     `json:"fused"`
	Copied  int     `json:"copied"`
	Written int64   `json:"written_bytes"`          // before compression
	Stored  int64   `json:"stored_bytes,omitempty"` // of an output that is compressed, on the disk
	Passes  int     `json:"passes"`
	Seconds float64 `json:"seconds"`
	Input   int64   `json:"input_bytes"` // of all files of the inputs
	// DiskRead and DiskWritten are what disks read and wrote for this process from the beginning of the plan on; nil where the system
	// does not say. What the page cache held was not read.
	DiskRead    *int64 `json:"disk_read_bytes,omitempty"`
	DiskWritten *int64 `json:"disk_written_bytes,omitempty"`
	// Left are elements that were written when their thresholds were known: all others in the walk that found them.
	Left int64 `json:"decided_last,omitempty"`
	// Settings are what a method that weighs by importance was run with, and where each value comes from.
	Settings []Setting     `json:"settings,omitempty"`
	Models   []ModelReport `json:"models,omitempty"`
	Tensors  []TensorShare `json:"tensors,omitempty"`
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

// report says what became of a plan; results are what the method found out about each job.
func report(p *plan.Plan, passes int, results []fuse.Result, took time.Duration) *Report {
	r := &Report{Method: p.Recipe.Method.Name, Passes: passes, Seconds: took.Seconds(), Fused: p.Fused(), Settings: settings(p)}
	r.Copied = p.Copied()
	if out := p.Output; out != nil {
		r.Out, r.Written, r.Stored = out.Path, out.Size, stored(out)
	}
	for _, m := range p.Models {
		r.Models = append(r.Models, ModelReport{Path: m.Path})
	}
	scored := false
	for job, result := range results {
		t := p.Made(job)
		share := TensorShare{Name: t.Name, Elements: t.Elements(), Nonfinite: result.Nonfinite}
		r.Nonfinite += result.Nonfinite
		for m, sel := range result.Models {
			scored = true
			threshold := min(sel.Threshold, math.MaxFloat32) // JSON has no infinity for "nothing"
			share.Models = append(share.Models, TensorModelShare{sel.Kept, ratio(sel.Kept, sel.Elements), sel.Divisor, threshold})
			r.Models[m].Kept += sel.Kept
			r.Models[m].Elements += sel.Elements
			r.Models[m].Density = ratio(r.Models[m].Kept, r.Models[m].Elements)
			if sel.Global {
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

// transferred adds what went over from disks and to them.
func (p *Prepared) transferred(r *Report) *Report {
	r.Input = p.InputBytes()
	if now, ok := mmapio.Transferred(); ok && p.began != nil {
		since := now.Since(*p.began)
		r.DiskRead, r.DiskWritten = &since.Read, &since.Written
	}
	return r
}

func ratio(kept, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(kept) / float64(of)
}

// stored is how many bytes a compressed output has on the disk; 0 if it is none, or not there.
func stored(out *plan.Output) int64 {
	if out.Container.Block() == 0 {
		return 0
	}
	info, err := os.Stat(out.Path)
	if err != nil {
		return 0
	}
	return info.Size()
}
