package stream

import (
	"path/filepath"

	"weld/internal/vec"
	"weld/stream/destination"
)

// Summary is a plan in short, for people and programs.
type Summary struct {
	Method    string         `json:"method"`
	Out       string         `json:"out"`
	Inputs    []InputSummary `json:"inputs"`
	Files     []FileSummary  `json:"files"` // of the output, with tensors
	Carried   []string       `json:"carried_files"`
	Fused     int            `json:"fused"`
	Copied    int            `json:"copied"`
	Passes    int            `json:"passes"`
	OneWalk   bool           `json:"one_walk"`    // thresholds over the whole model are found in the pass that fuses
	ReadBytes int64          `json:"read_bytes"`  // in the last pass
	Input     int64          `json:"input_bytes"` // of all files of the inputs
	// DiskRead is what disks read if nothing of the inputs is cached; DiskAgain is the part of it that is read once more, since the page
	// cache has no room for it until then. DiskWritten is what they write; absent where that is compressed.
	DiskRead int64 `json:"disk_read_bytes"`
	// Rewritten is the part of the output that is probably read and written once more, where thresholds are found while it is written.
	Rewritten   int64 `json:"rewritten_bytes,omitempty"`
	DiskAgain   int64 `json:"disk_read_again_bytes"`
	DiskWritten int64 `json:"disk_written_bytes,omitempty"`
	// AgainBytes are those of them that are gone through twice, as far as they are not kept within the memory.
	AgainBytes int64  `json:"read_again_bytes,omitempty"`
	Workers    int    `json:"workers"`
	SpanBytes  int64  `json:"span_bytes"`
	Memory     int64  `json:"memory_bytes"`
	Held       int64  `json:"held_bytes"`   // of headers and plan, which count towards the memory up to half of it
	Beyond     int64  `json:"beyond_bytes"` // what they take beside it
	Kernels    string `json:"kernels"`      // portable, avx2, avx512
	Recipe     string `json:"recipe"`
	// Settings are what a method that weighs by importance is run with, and where each value comes from.
	Settings []Setting `json:"settings"`
	Notes    []string  `json:"notes"`
	// Differences are where the recipe means something else than to mergekit: docs/mergekit.md.
	Differences []string `json:"mergekit_differences"`
}

// InputSummary is one input.
type InputSummary struct {
	Role    string `json:"role"`
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	Tensors int    `json:"tensors"`
	// Schemes are those that values are stored in.
	Schemes []string `json:"schemes,omitempty"`
}

// FileSummary is one file of the output.
type FileSummary struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"` // before compression
	Tensors int    `json:"tensors"`
}

// Summary describes the plan.
func (p *Prepared) Summary() Summary {
	s := Summary{
		Method: p.Recipe.Method.Name, Fused: p.Fused(), Copied: p.Copied(),
		Passes: p.Costs.Passes, OneWalk: p.Early, ReadBytes: p.Costs.ReadBytes, AgainBytes: p.Costs.AgainBytes, Workers: p.Budget.Workers, SpanBytes: p.Budget.Span,
		Memory: p.Budget.Memory, Held: p.Budget.Held, Beyond: p.Budget.Beyond, Kernels: vec.Level().String(), Recipe: string(p.Recipe.YAML()),
		Carried: []string{}, Notes: append([]string{}, p.Notes...), // no null in JSON
		Differences: append([]string{}, Differences(p.Recipe)...), Settings: settings(p.Plan),
	}
	for i := range p.Opened {
		in := &p.Opened[i]
		s.Inputs = append(s.Inputs, InputSummary{Role: in.Role, Path: in.Path, Bytes: in.FileBytes(), Tensors: len(in.Tensors()), Schemes: in.Schemes()})
	}
	forecast := p.Forecast()
	s.Input, s.DiskRead, s.DiskAgain = p.InputBytes(), forecast.Once+forecast.Again, forecast.Again
	out := p.Output
	if out == nil {
		return s
	}
	s.Out = out.Path
	if out.Container.Block() == 0 {
		s.Rewritten = int64(p.Costs.Rewrites * float64(out.Size))
		s.DiskRead += s.Rewritten
		s.DiskWritten = out.Size + s.Rewritten
		for _, f := range out.Files {
			s.DiskWritten += int64(len(f.Content))
		}
	}
	for _, f := range out.Files {
		if f.Carried {
			s.Carried = append(s.Carried, f.Name)
		}
	}
	for _, shard := range p.Shards() {
		name := shard.Name
		if out.Container != destination.Directory {
			name = filepath.Base(out.Path)
		}
		s.Files = append(s.Files, FileSummary{name, shard.Size, shard.Last - shard.First})
	}
	return s
}
