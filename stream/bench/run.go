package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weld/format"
	"weld/stream"
	"weld/stream/recipe"
)

// Case is one thing that is measured.
type Case struct {
	Name   string
	Recipe string // YAML
	Out    string // base name of the output; its ending chooses the container
}

// Row is what a case took: the best of its rounds.
type Row struct {
	Case      string  `json:"case"`
	Read      int64   `json:"input_bytes"` // of all inputs, once
	Written   int64   `json:"output_bytes"`
	Passes    int     `json:"passes"`
	Seconds   float64 `json:"seconds"`
	Rate      float64 `json:"bytes_per_second"` // of inputs and output
	Elements  float64 `json:"elements_per_second"`
	Floor     float64 `json:"floor_seconds"` // of the same bytes, in the same round
	OverFloor float64 `json:"ratio_to_floor"`
}

// Names of cases that are no methods: those that write the base into a compressed file or a pack, and
// those that read it back; and a linear merge into a pack.
const (
	Compressed = "compress"
	Restored   = "decompress"
	Packed     = "pack"
	Unpacked   = "unpack"
	MergePack  = "linear-into-pack"
)

// written are the cases that others read, and where they leave it.
var written = map[string]string{Restored: Compressed, Unpacked: Packed}

var outNames = map[string]string{Compressed: "out.safetensors.zst", Packed: "out.weld", MergePack: "merged.weld"}

// Cases makes the cases with the given names: methods of the schema, or one of the above; what is read
// back must be written before it.
func (s *Set) Cases(names []string) ([]Case, error) {
	var cases []Case
	for i, name := range names {
		m, ok := stream.Schema().Find(name)
		switch {
		case name == MergePack:
			cases = append(cases, Case{name, recipeText("linear", "", s.Models, nil), outNames[name]})
		case outNames[name] != "":
			cases = append(cases, Case{name, recipeText("passthrough", "", []string{s.Base}, nil), outNames[name]})
		case slices.Contains(names[:i], written[name]):
			in := []string{filepath.Join(s.Dir, outNames[written[name]])}
			cases = append(cases, Case{name, recipeText("passthrough", "", in, nil), "out.safetensors"})
		case written[name] != "":
			return nil, fmt.Errorf("%s reads what %s writes: measure that before it", name, written[name])
		case !ok:
			return nil, fmt.Errorf("unknown case %q: one of %s, %s, %s, %s, %s, or a method: %s", name, Compressed, Restored, Packed, Unpacked, MergePack, strings.Join(stream.Schema().Names(), ", "))
		default:
			c, err := s.method(m)
			if err != nil {
				return nil, err
			}
			cases = append(cases, c)
		}
	}
	return cases, nil
}

// method is the case of one merge method, with its defaults and all models that it takes. Where the default
// keeps everything, which leaves a method of its kind nothing to do, half is kept.
func (s *Set) method(m *recipe.MethodSchema) (Case, error) {
	models, least, most := s.Models, m.MinModels, m.MaxModels
	if m.BaseIs == recipe.BaseFirst { // which counts
		least, most = least-1, most-1
	}
	if most > 0 {
		models = models[:min(len(models), most)]
	}
	if len(models) < least {
		return Case{}, fmt.Errorf("%s needs %d models, there are %d", m.Name, least, len(models))
	}
	base := ""
	if m.Base == recipe.Required {
		base = s.Base
	}
	var importance []string
	var demanded string
	for _, p := range m.Params {
		if p.Key == "importance" {
			importance = s.Importance[:len(models)]
		}
		if p.Key == "density" && p.Default == "1" {
			demanded += fmt.Sprintf("parameters: {%s: %s}\n", p.Key, halfway)
		}
		if p.Required {
			demanded += fmt.Sprintf("parameters: {%s: %s}\n", p.Key, halfway)
		}
	}
	return Case{Name: m.Name, Out: "out.safetensors", Recipe: recipeText(m.Name, base, models, importance) + demanded}, nil
}

// halfway is what a parameter without a default is given: the t of slerp.
const halfway = "0.5"

func recipeText(method, base string, models, importance []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "merge_method: %s\n", method)
	if base != "" {
		fmt.Fprintf(&b, "base_model: %q\n", base)
	}
	b.WriteString("models:\n")
	for i, m := range models {
		fmt.Fprintf(&b, "  - model: %q\n", m)
		if importance != nil {
			fmt.Fprintf(&b, "    parameters: {importance: %q}\n", importance[i])
		}
	}
	return b.String()
}

// Run measures the cases in rounds, each before the floor of its inputs, so that both meet
// the same state of the machine, and returns the best of every case. done is
// called after each case of each round.
func (s *Set) Run(ctx context.Context, cases []Case, rounds int, o stream.Options, done func(round int, r Row)) ([]Row, error) {
	best := make([]Row, len(cases))
	for round := range rounds {
		for i, c := range cases {
			row, err := s.measure(ctx, c, o)
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", c.Name, err)
			}
			if done != nil {
				done(round, row)
			}
			if round == 0 {
				best[i] = row
				continue
			}
			best[i].Floor = min(best[i].Floor, row.Floor)
			best[i].Seconds = min(best[i].Seconds, row.Seconds)
		}
	}
	for i := range best {
		best[i].rate(s.Elements)
	}
	return best, s.clear(cases)
}

// measure runs the case and then the floor once.
func (s *Set) measure(ctx context.Context, c Case, o stream.Options) (Row, error) {
	row := Row{Case: c.Name}
	r, err := stream.Schema().Parse(c.Name, []byte(c.Recipe))
	if err != nil {
		return row, err
	}
	o.Force = true
	out := filepath.Join(s.Dir, c.Out)
	if c.Name != Compressed && c.Name != Packed { // whose output is read by a later case
		defer os.Remove(out)
	}
	start := time.Now()
	merge, err := stream.Prepare(r, out, o)
	if err != nil {
		return row, err
	}
	report, err := merge.Merge(ctx)
	row.Seconds = time.Since(start).Seconds()
	var files []format.InputFile
	for i := range merge.Opened {
		files = append(files, merge.Opened[i].Files()...)
	}
	if err := errors.Join(err, merge.Close()); err != nil {
		return row, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return row, err
	}
	row.Written, row.Passes = info.Size(), report.Passes
	for _, f := range files {
		row.Read += f.Info.Size()
	}
	if c.Name != Compressed && c.Name != Packed { // disk space for the floor's
		if err := os.Remove(out); err != nil {
			return row, err
		}
	}
	floor := filepath.Join(s.Dir, floorName)
	defer os.Remove(floor)
	start = time.Now()
	o.Threads = merge.Budget.Workers
	if err := Floor(ctx, files, floor, row.Written, o); err != nil {
		return row, err
	}
	row.Floor = time.Since(start).Seconds()
	row.rate(s.Elements)
	return row, nil
}

const floorName = "floor.safetensors"

// rate fills in what follows from the times.
func (r *Row) rate(elements int64) {
	r.Rate = float64(r.Read+r.Written) / r.Seconds
	r.Elements = float64(elements) / r.Seconds
	r.OverFloor = r.Seconds / r.Floor
}

// clear removes what the cases wrote.
func (s *Set) clear(cases []Case) error {
	var errs []error
	for _, c := range cases {
		errs = append(errs, os.RemoveAll(filepath.Join(s.Dir, c.Out)))
	}
	return errors.Join(errs...)
}
