package stream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
	"weld/format/model"
	"weld/format/quant"
	"weld/internal/vec"
	"weld/mmapio"
	"weld/scoring"
	"weld/stream/destination"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Options are how a merge is run, in contrast to what it computes. None of them
// changes a byte of the output but ShardSize. The zero value is useful.
type Options struct {
	Threads   int       // workers; 0 for one per CPU
	Memory    int64     // byte budget; 0 for [DefaultMemory]
	ShardSize int64     // bytes of tensor data in a shard; 0 for the Hub's 5 GB
	Force     bool      // replace an output that exists
	Version   string    // of weld, for the output's metadata
	FS        mmapio.FS // nil for the operating system's
	Progress  *Progress // nil for none
	Read      mmapio.Reading
	Cache     Cache
	// Resume has an output that a killed run left half replaced completed before anything is
	// planned, so that a plan which is refused does not leave it so.
	Resume bool
	// Beyond is told how many bytes headers and plan take beyond Memory, while they grow; nil for nobody.
	Beyond func(bytes int64)
}

// Plan is a merge that can be run: everything is known but the numbers.
type Plan struct {
	Recipe  *recipe.Recipe
	Out     string // "" if nothing is to be written
	Options Options

	Tensors []Output // in the order of the output's bytes
	Sources []Source
	Notes   []string // what a user should know before it runs
	Budget  Budget

	remarks    []remark    // of single tensors, which become notes
	restacked  []restacked // runs of layers that slices put together
	base       *Source     // nil if there is none
	models     []*Source
	importance []*Source // nil entries where a model has none
	statistics []scoring.Statistic
	params     map[paramsKey]fuse.Params
	jobs       []int32 // of the fused tensors
	method     fuse.Method
	workers    []*worker
	variants   int               // of a sweep that this plan leads; 0 for none
	files      map[string][]byte // tokenizer files of the output, where the recipe asks for them
	rows       int64             // of the output's vocabulary, likewise; else 0
	target     target
	lists      int64 // tensors in the lists of all inputs, those that are shared once
	results    int64 // bytes of what is found of each tensor, where that is held
}

// roleImportance is the role of an importance file.
const roleImportance = "importance"

// Source is one input.
type Source struct {
	Role string // "base", "model", "importance"
	Path string // as in the recipe
	format.Checkpoint

	scheme  *quant.Scheme // that its values are stored in; nil if they are plain
	stale   []string      // what says so nevertheless
	foreign string        // of an importance file: which of its tensors are none of the model's, for messages
	strange bool          // its names meet none that are wanted, which has been said
}

// Output is one tensor of the output and where it comes from.
type Output struct {
	format.Tensor
	*origins
	parts  []part
	index  int32 // in from
	base   int32 // in reference; −1 for none
	Action Action

	unknown bool // importance of a model that lacks the tensor: it takes no part in what is weighed by it
}

// origins are what many tensors have in common.
type origins struct {
	from      *Source // of a copied tensor
	reference *Source // what differences are taken from: the base, or that of the slice
	shared    recipe.Values
}

// part is what one model brings to a tensor.
type part struct {
	*share
	index      int32 // of the tensor there, or absent, or supplied
	importance int32 // index in the model's importance file; −1 for none
}

// share is what it brings to many tensors.
type share struct {
	model  int // index in the plan's models
	params recipe.Values
}

// Action is what happens to a tensor.
type Action uint8

const (
	// Fuse combines it.
	Fuse Action = iota
	// Copy takes its bytes from one source.
	Copy
)

func (a Action) String() string { return [...]string{"fuse", "copy"}[a] }

// NewPlan opens the inputs of a recipe and plans its execution; out is "" where
// nothing is to be written. All that is wrong comes back as one [*InputError]. The
// plan must be closed.
func NewPlan(r *recipe.Recipe, out string, o Options) (*Plan, error) {
	p := &Plan{Recipe: r, Out: out, Options: o.withDefaults()}
	p.Notes = append(p.Notes, r.Unused...)
	problems := append(p.open(), p.bareAdapters()...)
	if len(problems) == 0 {
		problems = p.recognise()
	}
	var strange []error
	if len(problems) == 0 {
		strange = p.meetNames()
	}
	if len(problems) == 0 {
		if err := p.align(); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) == 0 {
		problems = p.match()
	}
	problems = append(strange, problems...)
	if err := p.checkPlace(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		problems = p.prepare()
	}
	if len(problems) > 0 {
		p.Close()
		return nil, &InputError{problems}
	}
	return p, nil
}

// Close closes the inputs.
func (p *Plan) Close() error {
	var errs []error
	for i := range p.Sources {
		errs = append(errs, p.Sources[i].Close())
	}
	return errors.Join(errs...)
}

// open opens every input.
func (p *Plan) open() (problems []error) {
	p.Sources = make([]Source, 0, 1+2*len(p.Recipe.Models)) // pointers into it stay good
	add := func(role, path string, adapters []string) *Source {
		c, err := model.Open(path, adapters, p.Options.Read)
		if err != nil {
			problems = append(problems, fmt.Errorf("open %s: %w", role, err))
			return nil
		}
		for _, n := range format.Notes(c) {
			if !slices.Contains(p.Notes, n) { // a model may serve twice
				p.Notes = append(p.Notes, n)
			}
		}
		p.Sources = append(p.Sources, Source{Role: role, Path: strings.Join(append([]string{path}, adapters...), "+"), Checkpoint: c})
		p.hold(len(p.Sources) - 1)
		return &p.Sources[len(p.Sources)-1]
	}
	if p.Recipe.Base != "" {
		p.base = add("base", p.Recipe.Base, p.Recipe.BaseLora)
	}
	needed := p.needsImportance()
	for _, m := range p.Recipe.Models {
		p.models = append(p.models, add("model", m.Path, m.Lora))
		path := m.Params.Text("importance")
		if path == "" || !needed {
			p.importance = append(p.importance, nil)
			p.statistics = append(p.statistics, 0)
			continue
		}
		s := add(roleImportance, path, nil)
		p.importance = append(p.importance, s)
		if s != nil {
			statistic, err := statisticOf(s, m.Params.Text("statistic"))
			if err != nil {
				problems = append(problems, err)
			}
			p.statistics = append(p.statistics, statistic)
		}
	}
	return problems
}

// needsImportance reports whether the method reads importance files at all.
func (p *Plan) needsImportance() bool {
	if p.Recipe.Method.Name == "fisher" {
		return true
	}
	score, err := scoring.ParseScore(p.Recipe.Params.Text("score"))
	return err == nil && score.NeedsImportance()
}

// statisticOf says what an importance file holds: the recipe's word, the file's own,
// or the default.
func statisticOf(s *Source, told string) (scoring.Statistic, error) {
	if told == "" {
		told = format.Metadata(s.Checkpoint)[scoring.StatisticKey]
	}
	if told == "" {
		return scoring.MeanAbsGrad, nil
	}
	statistic, err := scoring.ParseStatistic(told)
	if err != nil {
		return 0, &format.Error{Path: s.Path, Kind: format.KindMetadata, Detail: scoring.StatisticKey, Err: err}
	}
	return statistic, nil
}

// reference is the checkpoint that the output resembles.
func (p *Plan) reference() *Source {
	if p.base != nil {
		return p.base
	}
	return p.models[0]
}

func (p *Plan) note(text string, args ...any) { p.Notes = append(p.Notes, fmt.Sprintf(text, args...)) }

// noteDifferent says where models disagree on a tensor that is copied from one source.
func (p *Plan) noteDifferent(out Output, s site) {
	for _, in := range s.inputs {
		m := p.models[in.model]
		if m == out.from {
			continue
		}
		j, ok := m.Find(in.name)
		if !ok {
			p.noteTensor(m.Path, in.name, "not there; copied from %s as %v", out.from.Path, out.DType)
		} else if got := m.Tensors()[j]; got.DType != out.DType || !slices.Equal(got.Shape, out.Shape) {
			p.noteTensor(m.Path, in.name, "%v %v; copied from %s as %v %v", got.DType, got.Shape, out.from.Path, out.DType, out.Shape)
		} else if !p.sameBytes(m, j, out) {
			p.noteTensor(m.Path, in.name, "%v, differs; copied from %s", out.DType, out.from.Path)
		}
	}
}

// smallTensor is the most bytes that a plan reads of a tensor to compare it. Those
// that are copied are buffers, next to always.
const smallTensor = 1 << 20

// sameBytes reports whether a small tensor is the same in a model and where it is copied from;
// a large one is taken to be, and said to be unknown.
func (p *Plan) sameBytes(m *Source, j int, t Output) bool {
	if t.Bytes() > smallTensor {
		p.noteTensor(m.Path, t.Name, "%v, %d bytes, not compared; copied from %s", t.DType, t.Bytes(), t.from.Path)
		return true
	}
	a, err := format.Read(t.from.Checkpoint, int(t.index), 0, t.Bytes())
	if err != nil {
		return true // the run will say what is wrong with it
	}
	defer a.Release()
	b, err := format.Read(m.Checkpoint, j, 0, t.Bytes())
	if err != nil {
		return true
	}
	defer b.Release()
	same := true
	err = mmapio.Guard([]mmapio.View{a, b}, func() error {
		same = bytes.Equal(a.Data, b.Data)
		return nil
	})
	return same || err != nil
}

// prepare lays out the output, sets up the method and divides the memory.
func (p *Plan) prepare() (problems []error) {
	if err := p.layOut(); err != nil {
		return []error{err}
	}
	if p.base == nil && p.Recipe.Params.Text("nonfinite") == "base" {
		return []error{errors.New("nonfinite base: the recipe has no base model whose values could be taken")}
	}
	p.jobs = make([]int32, 0, len(p.Tensors))
	for i := range p.Tensors {
		if p.Tensors[i].Action == Fuse {
			p.jobs = append(p.jobs, int32(i))
		}
	}
	if p.Recipe.Params.Text("granularity") == "tensor" && p.Recipe.Params.Text("normalize_scores") == "mean" {
		p.note("granularity tensor with normalize_scores mean: every tensor's mean score is about 1, which ranks nothing; normalize_scores none compares whole tensors")
	}
	p.method = newMethod(p)
	if err := p.divide(); err != nil {
		return []error{err}
	}
	return nil
}

// work describes the fused tensors to the method; see [fuse.Jobs].
type work struct{ *Plan }

func (w work) Len() int { return len(w.jobs) }

func (w work) Job(i int) fuse.Job {
	p, t := w.Plan, &w.Tensors[w.jobs[i]]
	j := fuse.Job{
		Name: t.Name, Shape: t.Shape, DType: t.DType,
		Tiling: fuse.NewTiling(t.Elements(), t.RowLen()),
		Wide:   t.base >= 0 && t.reference.Tensors()[t.base].DType == format.F64,
		Params: p.numbers(t.shared, nil, t.base >= 0, t.unknown),
	}
	j.Models = make([]fuse.Contribution, 0, len(t.parts))
	for _, x := range t.parts {
		s, i := p.operand(t, x)
		j.Wide = j.Wide || i >= 0 && s.Tensors()[i].DType == format.F64
		j.Models = append(j.Models, fuse.Contribution{Importance: x.importance >= 0, Absent: i < 0, Params: p.numbers(x.params, x.share, t.base >= 0, false)})
	}
	return j
}

// Passes is the number of walks over the inputs that are planned, the last included.
// A search for a quantile may take one more.
func (p *Plan) Passes() int { return p.method.Expected() + 1 }

// ReadBytes is what the last pass reads.
func (p *Plan) ReadBytes() (n int64) {
	for i := range p.Tensors {
		n += p.spanBytes(&p.Tensors[i], p.method.Reads())
	}
	return n
}

// Largest returns the biggest tensors, for display.
func (p *Plan) Largest(n int) []Output {
	var list []Output
	larger := func(a, b Output) int { return cmp.Compare(b.Bytes(), a.Bytes()) }
	for _, t := range p.Tensors {
		if len(list) == n && larger(t, list[n-1]) >= 0 {
			continue
		}
		list = append(list, t)
		slices.SortStableFunc(list, larger)
		list = list[:min(n, len(list))]
	}
	return list
}

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
	ReadBytes int64          `json:"read_bytes"` // in the last pass
	Workers   int            `json:"workers"`
	SpanBytes int64          `json:"span_bytes"`
	Memory    int64          `json:"memory_bytes"`
	Held      int64          `json:"held_bytes"`   // of headers and plan, which count towards the memory up to half of it
	Beyond    int64          `json:"beyond_bytes"` // what they take beside it
	Kernels   string         `json:"kernels"`      // portable, avx2, avx512
	Recipe    string         `json:"recipe"`
	Notes     []string       `json:"notes"`
	// Differences are where the recipe means something else than to mergekit: docs/mergekit.md.
	Differences []string `json:"mergekit_differences"`
}

// InputSummary is one input.
type InputSummary struct {
	Role    string `json:"role"`
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	Tensors int    `json:"tensors"`
}

// FileSummary is one file of the output.
type FileSummary struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"` // before compression
	Tensors int    `json:"tensors"`
}

// Summary describes the plan.
func (p *Plan) Summary() Summary {
	s := Summary{
		Method: p.Recipe.Method.Name, Out: p.Out, Fused: len(p.jobs), Copied: len(p.Tensors) - len(p.jobs),
		Passes: p.Passes(), ReadBytes: p.ReadBytes(), Workers: p.Budget.Workers, SpanBytes: p.Budget.Span,
		Memory: p.Budget.Memory, Held: p.Budget.Held, Beyond: p.Budget.Beyond, Kernels: vec.Level().String(), Recipe: string(p.Recipe.YAML()), Carried: append([]string{}, p.target.sidecars...), Notes: append([]string{}, p.Notes...), // no null in JSON
		Differences: append([]string{}, Differences(p.Recipe)...),
	}
	for i := range p.Sources {
		src := &p.Sources[i]
		in := InputSummary{Role: src.Role, Path: src.Path, Tensors: len(src.Tensors())}
		for _, f := range src.Files() {
			in.Bytes += f.Info.Size()
		}
		s.Inputs = append(s.Inputs, in)
	}
	if p.Out != "" {
		for _, shard := range p.target.layout.Shards {
			name := shard.Name
			if p.target.container != destination.Directory {
				name = filepath.Base(p.Out)
			}
			s.Files = append(s.Files, FileSummary{name, shard.Size, shard.Last - shard.First})
		}
	}
	return s
}
