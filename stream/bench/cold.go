package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weld/mmapio"
	"weld/stream"
)

// Program is a build of weld that merges in a process of its own.
type Program struct {
	Name string
	// Merge carries out the recipe in a file, and says how much memory the process had at most.
	Merge func(ctx context.Context, recipe, out string) (peak int64, err error)
}

// ColdRow is what a program took for a case whose inputs were not in the page cache: of its rounds, the fastest.
type ColdRow struct {
	Case    string  `json:"case"`
	Program string  `json:"program"`
	Input   int64   `json:"input_bytes"` // of all files of the inputs, each once
	Written int64   `json:"output_bytes"`
	Stayed  int64   `json:"stayed_bytes"`           // of the inputs, in the page cache all the same, in the worst round
	Device  *int64  `json:"device_bytes,omitempty"` // read from devices; absent where the system does not count them
	Over    float64 `json:"ratio_to_input,omitempty"`
	Seconds float64 `json:"seconds"`
	Floor   float64 `json:"floor_seconds"` // of the same bytes read once and written, in the best round
	OverBy  float64 `json:"ratio_to_floor"`
	Peak    int64   `json:"peak_resident_bytes,omitempty"`
	Failed  string  `json:"failed,omitempty"` // why it was in no round
}

// measured reports whether a round went well.
func (r *ColdRow) measured() bool { return r.Seconds > 0 }

// ColdCases makes the cases with the given names, as [Set.Cases] does, but for those that read what others write.
func (s *Set) ColdCases(names []string) ([]Case, error) {
	for _, name := range names {
		if written[name] != "" {
			return nil, fmt.Errorf("%s is not measured cold: it reads what %s writes", name, written[name])
		}
	}
	return s.Cases(names)
}

// RunCold measures the cases in rounds: in each the programs in turn and then the floor, always after the inputs were
// dropped from the page cache. A program that fails is a row that says so. done is called for each program of each round.
func (s *Set) RunCold(ctx context.Context, cases []Case, programs []Program, rounds int, o stream.Options, done func(round int, r ColdRow)) (rows []ColdRow, err error) {
	dir, err := os.MkdirTemp(s.Dir, "cold-") // whatever a killed program leaves, goes with it
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, c := range cases {
		for _, p := range programs {
			rows = append(rows, ColdRow{Case: c.Name, Program: p.Name})
		}
	}
	for round := range rounds {
		for i, c := range cases {
			m := coldMeasurement{Case: c, dir: dir, options: o}
			if err := m.prepare(); err != nil {
				return nil, fmt.Errorf("measure %s: %w", c.Name, err)
			}
			of := rows[i*len(programs):][:len(programs)]
			if err := m.measure(ctx, programs, of, func(r ColdRow) { done(round, r) }); err != nil {
				return nil, fmt.Errorf("measure %s: %w", c.Name, err)
			}
		}
	}
	for i := range rows {
		rows[i].rate()
	}
	return rows, nil
}

// rate fills in what follows from the figures.
func (r *ColdRow) rate() {
	if r.Device != nil {
		r.Over = float64(*r.Device) / float64(r.Input)
	}
	if r.Failed == "" {
		r.OverBy = r.Seconds / r.Floor
	}
}

// coldMeasurement is one round of a case.
type coldMeasurement struct {
	Case
	dir     string
	options stream.Options
	recipe  string   // its file
	files   []string // of the inputs, each once
	bytes   int64    // of them
}

// prepare writes the recipe, and finds the files that it reads.
func (m *coldMeasurement) prepare() error {
	m.recipe = filepath.Join(m.dir, m.Name+".yml")
	if err := os.WriteFile(m.recipe, []byte(m.Recipe), 0o666); err != nil {
		return err
	}
	r, err := stream.Schema().Parse(m.Name, []byte(m.Recipe))
	if err != nil {
		return err
	}
	merge, err := stream.Prepare(r, m.out(), m.options)
	if err != nil {
		return err
	}
	m.options.Threads = merge.Budget.Workers
	for i := range merge.Opened {
		for _, f := range merge.Opened[i].Files() {
			if !slices.Contains(m.files, f.Path) {
				m.files, m.bytes = append(m.files, f.Path), m.bytes+f.Info.Size()
			}
		}
	}
	return merge.Close()
}

func (m *coldMeasurement) out() string { return filepath.Join(m.dir, m.Out) }

// measure runs the programs and then the floor, whose output is as large as the largest of theirs.
func (m *coldMeasurement) measure(ctx context.Context, programs []Program, rows []ColdRow, done func(ColdRow)) error {
	var size int64
	took := make([]ColdRow, len(rows))
	for i, p := range programs {
		took[i] = m.run(ctx, p)
		if err := ctx.Err(); err != nil {
			return err
		}
		size = max(size, took[i].Written)
	}
	floor, err := m.floor(ctx, size)
	if err != nil {
		return err
	}
	for i := range took {
		took[i].Floor = floor.Seconds
		if floor.Device == nil || *floor.Device < (m.bytes-floor.Stayed)/10 { // a file system that is not counted
			took[i].Device = nil
		}
		took[i].rate()
		done(took[i])
		rows[i].better(took[i])
	}
	return nil
}

// better takes over the figures of a round, if it was faster.
func (r *ColdRow) better(by ColdRow) {
	stayed, floor := max(r.Stayed, by.Stayed), by.Floor
	if r.Floor > 0 {
		floor = min(floor, r.Floor)
	}
	switch {
	case by.Failed == "" && (!r.measured() || by.Seconds < r.Seconds):
		*r = by
	case !r.measured():
		r.Input, r.Failed = by.Input, by.Failed
	}
	r.Stayed, r.Floor = stayed, floor
}

// run has a program merge.
func (m *coldMeasurement) run(ctx context.Context, p Program) ColdRow {
	row := ColdRow{Case: m.Name, Program: p.Name, Input: m.bytes}
	row.Stayed = chill(m.files)
	read := counter()
	start := time.Now()
	peak, err := p.Merge(ctx, m.recipe, m.out())
	seconds := time.Since(start).Seconds()
	row.Device = read()
	if err == nil {
		row.Written, err = fileSize(m.out())
	}
	if err := errors.Join(err, os.RemoveAll(m.out())); err != nil {
		return ColdRow{Case: m.Name, Program: p.Name, Input: m.bytes, Stayed: row.Stayed, Failed: err.Error()}
	}
	row.Seconds, row.Peak = seconds, peak
	return row
}

// fileSize is the size of a file.
func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// floor reads the inputs once and writes so many bytes.
func (m *coldMeasurement) floor(ctx context.Context, size int64) (ColdRow, error) {
	row := ColdRow{Stayed: chill(m.files)}
	read := counter()
	start := time.Now()
	out := filepath.Join(m.dir, floorName)
	if err := once(ctx, m.files, out, size, m.options.Threads); err != nil {
		return row, err
	}
	row.Seconds = time.Since(start).Seconds()
	row.Device = read()
	return row, os.Remove(out)
}

// chill drops files from the page cache, and says how many bytes of them stayed.
func chill(paths []string) (stayed int64) {
	for _, path := range paths {
		if f, _, err := mmapio.OpenRegular(path); err == nil {
			_ = f.Sync() // what is not yet on the disk would stay
			f.Close()
		}
		mmapio.Forget(path)
	}
	for _, path := range paths {
		if n, ok := mmapio.Resident(path); ok {
			stayed += n
		} else if info, err := os.Stat(path); err == nil {
			stayed += info.Size()
		}
	}
	return stayed
}

// counter begins to count the bytes that this process and programs that it waits for read from devices, and returns what says how many
// they are; nil where the system does not count them. What a program has read is added to its parent's when that has waited for it.
func counter() (read func() *int64) {
	before, counted := mmapio.Transferred()
	return func() *int64 {
		after, ok := mmapio.Transferred()
		if !ok || !counted {
			return nil
		}
		n := after.Since(before).Read
		return &n
	}
}
