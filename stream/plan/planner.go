package plan

import (
	"fmt"
	"strings"

	"weld/format/llamacpp"
	"weld/format/quant"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/recipe"
)

// Options are what a plan depends on beside the recipe. The zero value is useful.
type Options struct {
	ShardSize int64  // bytes of tensor data in a shard; 0 for the Hub's 5 GB
	Force     bool   // the output may replace one that exists
	Version   string // of weld, for the output's metadata
	Read      mmapio.Reading
	Raw       bool  // of a pair: values are compared as they are stored
	Varied    bool  // there are variants of the merge, in which other numbers stand: nothing is copied for what a number is
	Found     int64 // bytes that are kept of each tensor beside the plan
	// Conversion says that the recipe's only model is converted, and how; nil for a merge.
	Conversion *Conversion
	// Early says whether a merge that touches so many bytes of files is to be fused in the walk that finds thresholds, where that is possible; nil
	// for never.
	Early func(bytes int64) bool
	// Held is told how many bytes headers and plan hold, while they grow; nil for nobody.
	Held func(bytes int64)
	// Decoding is called when the values of an input are decoded; nil for nobody.
	Decoding func()
}

// InputError reports inputs that do not fit together or cannot be opened.
type InputError struct{ Problems []error }

func (e *InputError) Error() string {
	remarks := make([]remark, len(e.Problems))
	for i, p := range e.Problems {
		remarks[i] = remarkOf(p)
	}
	return strings.Join(byCause(remarks), "\n")
}

// Unwrap lets errors.As look at every problem.
func (e *InputError) Unwrap() []error { return e.Problems }

// planner makes a plan. What it needs on the way is no part of the plan.
type planner struct {
	*Plan
	out       string // "" if nothing is to be written
	options   Options
	remarks   []remark          // of single tensors, which become notes
	restacked []restacked       // runs of layers that slices put together
	encodes   bool              // the output is stored in the reference's scheme
	caches    bool              // it has the scales of the reference's key-value cache
	inBlocks  []*quant.Encoding // how tensors of an output in GGUF are stored, by their numbers; nil for plainly
	config    []byte            // how it is stored, in the words of config.json, where the recipe names a scheme
	hub       *llamacpp.Hub     // the only model, where it is in GGUF and gets the form of the Hub; else nil
	generated map[string][]byte // files that are written of it
	gguf      *llamacpp.GGUF    // the only model, where it is of the Hub and gets the form of GGUF; else nil
	layoutsOf map[string]bool   // in which the reference stores weights; nil before they are asked for
}

// New opens the inputs of a recipe and plans its execution; out is "" where
// nothing is to be written. All that is wrong comes back as one [*InputError]. The
// plan must be closed.
func New(r *recipe.Recipe, out string, o Options) (*Plan, error) {
	p := newPlanner(r, out, o)
	if err := p.checkAsked(); err != nil {
		return nil, &InputError{[]error{err}}
	}
	p.Notes = append(p.Notes, r.Unused...)
	problems := append(p.open(), p.bareAdapters()...)
	if len(problems) == 0 {
		problems = p.checkArchitecture()
	}
	if len(problems) == 0 {
		problems = p.recognise()
	}
	if len(problems) == 0 {
		if err := p.convert(); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) == 0 {
		problems = append(p.checkImportance(), p.noteMeasured()...)
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
	plan, err := p.decide(strange, problems)
	if err != nil {
		p.Close()
	}
	return plan, err
}

// Variant plans another merge of the same inputs, which stay those of p.
func (p *Plan) Variant(r *recipe.Recipe, out string, o Options) (*Plan, error) {
	v := newPlanner(r, out, o)
	v.Inputs = p.Inputs
	if err := v.checkAsked(); err != nil {
		return nil, &InputError{[]error{err}}
	}
	return v.decide(nil, nil)
}

func newPlanner(r *recipe.Recipe, out string, o Options) *planner {
	if o.ShardSize <= 0 {
		o.ShardSize = safetensors.DefaultShardSize
	}
	return &planner{Plan: &Plan{Recipe: r}, out: out, options: o}
}

// decide finds out what becomes of the tensors of inputs that can be read, and are named as they are wanted: strange
// says which are not.
func (p *planner) decide(strange, problems []error) (*Plan, error) {
	if len(problems) == 0 {
		problems = p.match()
	}
	problems = append(strange, problems...)
	if err := p.checkPlace(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		if err := p.complete(); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return nil, &InputError{problems}
	}
	return p.Plan, nil
}

// complete lays out the output and counts what the merge costs.
func (p *planner) complete() error {
	if err := p.checkGGUF(); err != nil {
		return err
	}
	encoded, err := p.encode()
	if err != nil {
		return err
	}
	p.settleCache()
	if err := p.checkEncodedNames(len(encoded) > 0); err != nil {
		return err
	}
	p.noteUntied()
	if p.out != "" && p.options.Conversion == nil {
		p.noteWrapped(p.Reference().Path, p.Reference().Tensors())
	}
	p.noteOfLlamaCpp()
	if err := p.layOut(encoded); err != nil {
		return err
	}
	p.target(encoded)
	p.asStored()
	p.fused = make([]int32, 0, len(p.Tensors))
	for i := range p.Tensors {
		if a := p.Tensors[i].Action; a == Fuse || a == Encode {
			p.fused = append(p.fused, int32(i))
		}
	}
	p.Notes = append(p.Notes, p.method().Notes(p.Recipe.Params)...)
	p.count()
	return nil
}

func (p *planner) note(text string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(text, args...))
}
