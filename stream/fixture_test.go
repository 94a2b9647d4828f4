package stream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
	"weld/stream/recipe"
	"weld/stream/run"
)

// This file makes recipes over families on disk, and runs them.

// savedFamily is a family on disk.
type savedFamily struct {
	dir, base          string
	models, importance []string
}

func (f family) save(t testing.TB) savedFamily {
	t.Helper()
	return f.saveIn(t, t.TempDir())
}

func (f family) saveIn(t testing.TB, dir string) savedFamily {
	t.Helper()
	p := savedFamily{dir: dir, base: f.base.save(t, filepath.Join(dir, "base", "model.safetensors"))}
	p.base = filepath.Dir(p.base)
	for m := range f.models {
		p.models = append(p.models, f.models[m].save(t, filepath.Join(dir, fmt.Sprintf("m%d.safetensors", m))))
		p.importance = append(p.importance, f.importance[m].save(t, filepath.Join(dir, fmt.Sprintf("g%d.safetensors", m))))
	}
	return p
}

// out is a path for an output.
func (p savedFamily) out(name string) string { return filepath.Join(p.dir, name) }

// request is a recipe in short: KEY=VALUE settings, global ones or of all models.
type request struct {
	method   string
	settings []string
}

func ask(method string, settings ...string) request { return request{method, settings} }

// recipe resolves a request over a family on disk.
func (p savedFamily) recipe(t testing.TB, q request) *recipe.Recipe {
	t.Helper()
	d := &recipe.Draft{Method: recipe.Setting{Text: q.method}}
	method, ok := Schema().Find(q.method)
	if !ok {
		t.Fatalf("method %s", q.method)
	}
	if method.Base == recipe.Required {
		d.Base.Text = p.base
	}
	models := p.models
	if method.MaxModels > 0 {
		models = models[:method.MaxModels]
	}
	for _, path := range models {
		d.Models = append(d.Models, recipe.DraftModel{Path: recipe.Setting{Text: path}})
	}
	if method.BaseIs == recipe.BaseFirst {
		d.Models = d.Models[:method.MaxModels-1] // beside the base
	}
	importance := slices.Contains([]string{"sta", "ota", "perta", "fisher", "fisher_arithmetic"}, q.method)
	for _, s := range q.settings {
		key, value, _ := strings.Cut(s, "=")
		switch key {
		case "base":
			d.Base.Text = value
		case "dtype":
			d.DType = recipe.Setting{Key: key, Text: value}
		case "weights":
			for m, w := range strings.Split(value, ",") {
				d.Models[m].Params = append(d.Models[m].Params, recipe.Setting{Key: "weight", Text: w})
			}
		default:
			importance = importance && s != "score=magnitude"
			d.Params = append(d.Params, recipe.Setting{Key: key, Text: value})
		}
	}
	if importance {
		for m := range d.Models {
			d.Models[m].Params = append(d.Models[m].Params, recipe.Setting{Key: "importance", Text: p.importance[m]})
		}
	}
	r, err := Schema().Resolve(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plan plans a request that must be sound.
func (p savedFamily) plan(t testing.TB, q request, out string, o Options) *Prepared {
	t.Helper()
	plan, err := Prepare(p.recipe(t, q), out, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// merge runs a request, successful or not.
func (p savedFamily) merge(t testing.TB, ctx context.Context, q request, out string, o Options) (*Report, error) {
	t.Helper()
	plan := p.plan(t, q, out, o)
	defer func() {
		if err := plan.Close(); err != nil {
			t.Error(err)
		}
	}()
	return plan.Merge(ctx)
}

// must runs a request that must succeed.
func (p savedFamily) must(t testing.TB, q request, out string, o Options) *Report {
	t.Helper()
	r, err := p.merge(t, context.Background(), q, out, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// nothingAt demands that no output and no stage is there.
func nothingAt(t testing.TB, out string) {
	t.Helper()
	for _, path := range []string{out, mmapio.StagingPath(out)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there (%v)", path, err)
		}
	}
}

// watch has begun called with the name of each pass, when it reads for the first time.
func watch(p *Prepared, begun func(pass string)) {
	s := &reading{progress: p.Options.Progress, begun: begun}
	for i := range p.Opened {
		p.Opened[i].Checkpoint = watched{p.Opened[i].Checkpoint, s}
	}
}

// reading knows which pass reads.
type reading struct {
	progress *run.Progress
	begun    func(pass string)
	mu       sync.Mutex
	last     int
}

// watched is a checkpoint that says when it is read.
type watched struct {
	format.Checkpoint
	*reading
}

func (w watched) View(i int, off, n int64) (mmapio.View, error) {
	w.mu.Lock()
	if now, _ := w.progress.Now(); now.Index > w.last {
		w.last = now.Index
		w.begun(now.Name)
	}
	w.mu.Unlock()
	return w.Checkpoint.View(i, off, n)
}
