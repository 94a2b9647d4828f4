package importance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"weld/format"
	"weld/mmapio"
	"weld/stream"
	"weld/stream/destination"
	"weld/stream/plan"
	"weld/stream/recipe"
)

// Statistics are what can be measured; both at once costs no second run.
var Statistics = []string{"mean_abs_grad", "mean_sq_grad", both}

const both = "both"

// DTypes are the types that a measurement computes in; the first is that of the model's files.
var DTypes = []string{"auto", "float32", "bfloat16", "float16", "float64"}

// Request is what is measured.
type Request struct {
	Model string // path, or path+adapter+…
	Texts string // "" for tokens at random
	Out   string

	Samples   int
	Length    int // tokens of a sample at most
	Batch     int // samples whose gradient is taken at once
	Seed      int64
	Device    string // as torch calls it
	DType     string // one of [DTypes]
	Statistic string // one of [Statistics]

	Python string            // a program, or a command of uv; "" for the python3 of the path
	Note   func(text string) // what the user should know, as it turns out
}

// Measured is what was measured.
type Measured struct {
	Model   string   `json:"model"`
	Out     []string `json:"out"` // one for each statistic
	Samples int      `json:"samples"`
	Tokens  int64    `json:"tokens"`
	Loss    float64  `json:"loss"` // the mean over samples
	DType   string   `json:"dtype"`
	Tensors int      `json:"tensors"`
	Written int64    `json:"written_bytes"`
	Resumed bool     `json:"resumed,omitempty"` // an earlier run had begun it
	Seconds float64  `json:"seconds"`

	versions string // of torch and transformers
}

// outputs are where each statistic goes.
func (q Request) outputs() map[string]string {
	if q.Statistic != both {
		return map[string]string{q.Statistic: q.Out}
	}
	outs := make(map[string]string)
	stem, ending := apart(q.Out)
	for _, statistic := range Statistics[:2] {
		outs[statistic] = stem + "-" + statistic + ending
	}
	return outs
}

// apart splits a name before the endings of containers.
func apart(name string) (stem, ending string) {
	for _, ending := range []string{".safetensors.zst", ".safetensors", ".weld"} {
		if at := len(name) - len(ending); at > 0 && strings.EqualFold(name[at:], ending) {
			return name[:at], name[at:]
		}
	}
	return name, ""
}

// Measure measures a model's importance. What an earlier run of the same request left unfinished is gone on with. The error of a Python without what is
// needed is a [*MissingError].
func Measure(ctx context.Context, q Request, o stream.Options) (*Measured, error) {
	start := time.Now()
	if err := q.check(o.Force); err != nil {
		return nil, err
	}
	python, versions, err := find(ctx, q.Python, q.Note)
	if err != nil {
		return nil, err
	}
	work, err := openFolder(q.Out)
	if err != nil {
		return nil, err
	}
	defer work.release()
	m := measurement{q, o, work, python, versions}
	done, err := m.run(ctx)
	if err != nil {
		if work.keeps() {
			q.Note(fmt.Sprintf("the layers that are finished stay in %s; the same command goes on behind them", work.path))
			return nil, err
		}
		return nil, errors.Join(err, work.remove())
	}
	done.Seconds = time.Since(start).Seconds()
	return done, work.remove()
}

// check looks at what can be seen before any work.
func (q Request) check(force bool) error {
	switch c, err := destination.ContainerOf(q.Out); {
	case err != nil:
		return err
	case c != destination.SingleFile && c != destination.Compressed && c != destination.Pack:
		return &destination.NameError{Output: q.Out, Reason: "an importance file is *.safetensors, *.safetensors.zst, or *.weld (a pack)"}
	}
	if err := q.checkPlaces(force, nil); err != nil {
		return err
	}
	if q.Texts == "" {
		return nil
	}
	switch info, err := os.Stat(q.Texts); {
	case err != nil:
		return &format.Error{Path: q.Texts, Kind: format.KindMissing, Detail: "the texts cannot be read", Err: pathless(err)}
	case !info.Mode().IsRegular():
		return &format.Error{Path: q.Texts, Kind: format.KindType, Detail: "no file: texts are *.jsonl, *.parquet, or plain text"}
	}
	return nil
}

// pathless is the cause of an error that names a path.
func pathless(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// checkPlaces demands that the outputs can be put where they are wanted.
func (q Request) checkPlaces(force bool, inputs []destination.InUse) error {
	for _, out := range q.outputs() {
		c, err := destination.ContainerOf(out)
		if err != nil {
			return err
		}
		if err := (destination.Candidate{Name: out, Kind: c.Kind(), Force: force, Inputs: inputs}).Check(); err != nil {
			return err
		}
	}
	return nil
}

// measurement is one run.
type measurement struct {
	Request
	options stream.Options
	work    *folder

	python   python
	versions string // of what it computes with
}

func (m *measurement) run(ctx context.Context) (*Measured, error) {
	model, digest, err := m.prepare(ctx)
	if err != nil {
		return nil, err
	}
	done := &Measured{Model: m.Model, Resumed: m.work.keeps()}
	if done.Resumed {
		m.Note("an earlier run of this measurement is gone on with")
	}
	if err := os.WriteFile(m.work.script(), []byte(Script), 0o666); err != nil {
		return nil, err
	}
	if err := m.python.run(ctx, m.arguments(model, digest), m.options, m.Note, done); err != nil {
		return nil, err
	}
	return done, m.assemble(ctx, done)
}

// prepare opens the model, and decodes it into a directory that transformers loads where it is none. The working folder is of this model and request
// afterwards.
func (m *measurement) prepare(ctx context.Context) (dir, digest string, err error) {
	plain := filepath.Join(m.work.path, "model")
	conversion := stream.Conversion{In: m.Model, Quantize: "none"}
	o := m.options
	o.Force = true
	p, err := stream.PrepareConversion(conversion, plain, o)
	if err != nil {
		return "", "", err
	}
	defer p.Close()
	if err := m.checkInputs(p.Plan); err != nil {
		return "", "", err
	}
	if err := m.work.belong(m.key(p.Models[0].Fingerprint(), p.Plan)); err != nil {
		return "", "", err
	}
	if err := m.checkSpace(p.Models[0].Tensors()); err != nil {
		return "", "", err
	}
	if asTransformersLoads(m.Model, p.Plan) {
		digest, err = p.Models[0].Weights()
		return m.Model, digest, err
	}
	if _, err := os.Stat(plain); err != nil { // it appears when it is complete
		m.Note(fmt.Sprintf("%s is written plainly to %s first, for transformers to load", m.Model, plain))
		if _, err := p.Convert(ctx); err != nil {
			return "", "", err
		}
	}
	digest, err = weightsOf(plain)
	return plain, digest, err
}

// weightsOf identifies the values of a model that was written plainly: of one in GGUF they are in another order.
func weightsOf(path string) (digest string, err error) {
	p, err := stream.PrepareConversion(stream.Conversion{In: path}, "", stream.Options{})
	if err != nil {
		return "", err
	}
	defer p.Close()
	return p.Models[0].Weights()
}

// checkInputs demands that no output takes the place of what is measured.
func (m *measurement) checkInputs(p *plan.Plan) error {
	var inputs []destination.InUse
	for _, in := range p.Opened {
		inputs = append(inputs, destination.InUse{Role: in.Role, Path: in.Path, Files: in.Files()})
	}
	if info, err := os.Stat(m.Texts); err == nil {
		inputs = append(inputs, destination.InUse{Role: "texts", Path: m.Texts, Files: []format.InputFile{{Path: m.Texts, Info: info}}})
	}
	return m.checkPlaces(m.options.Force, inputs)
}

// checkSpace demands that the disk can hold sums, and the outputs that are made of them. What a run that was ended has written of them is there already.
func (m *measurement) checkSpace(tensors []format.Tensor) error {
	if m.work.keeps() {
		return nil
	}
	var sums int64 // in float32
	for _, t := range tensors {
		if t.Computable() {
			sums += 4 * t.Elements()
		}
	}
	sums *= int64(len(m.outputs()))
	needed := sums + sums/4 // a pack may take so little
	switch c, _ := destination.ContainerOf(m.Out); c {
	case destination.SingleFile:
		needed = sums + sums
	case destination.Compressed:
		needed = sums + sums/2
	}
	if free, ok := mmapio.FreeSpace(m.work.path); ok && free < needed {
		return fmt.Errorf("output %s: %s are needed, for it and for the working folder beside it, %s are free in %s", m.Out, humanize.Bytes(uint64(needed)), humanize.Bytes(uint64(free)), filepath.Dir(m.Out))
	}
	return nil
}

// asTransformersLoads reports whether a model is a directory of safetensors whose tensors are values.
func asTransformersLoads(name string, p *plan.Plan) bool {
	for i := range p.Tensors {
		if p.Tensors[i].Action != plan.Copy {
			return false
		}
	}
	for _, file := range []string{"model.safetensors", "model.safetensors.index.json"} {
		if info, err := os.Stat(filepath.Join(name, file)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// arguments are those of measure.py.
func (m *measurement) arguments(model, digest string) []string {
	args := []string{m.work.script(), "--model", model, "--out", m.work.path, "--samples", fmt.Sprint(m.Samples), "--length", fmt.Sprint(m.Length), "--batch", fmt.Sprint(m.Batch),
		"--seed", fmt.Sprint(m.Seed), "--device", m.Device, "--dtype", m.DType, "--statistic", m.Statistic, "--name", m.Model, "--digest", digest, "--with-parent"}
	if m.Texts != "" {
		args = append(args, "--texts", m.Texts)
	}
	return args
}

// assemble writes what was measured under the names of the outputs.
func (m *measurement) assemble(ctx context.Context, done *Measured) error {
	for _, statistic := range Statistics[:2] {
		out, wanted := m.outputs()[statistic]
		if !wanted {
			continue
		}
		made := stream.Conversion{In: filepath.Join(m.work.path, statistic), Made: true}
		p, err := stream.PrepareConversion(made, out, m.options)
		if err != nil {
			var problems recipe.Problems
			if errors.As(err, &problems) {
				return fmt.Errorf("%s: %w", out, err)
			}
			return err
		}
		r, err := p.Convert(ctx)
		p.Close()
		if err != nil {
			return err
		}
		done.Out = append(done.Out, out)
		done.Tensors, done.Written = r.Copied+r.Converted, done.Written+r.Written
	}
	return nil
}
