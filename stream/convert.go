package stream

import (
	"context"
	"regexp"
	"slices"

	"weld/format/names"
	"weld/stream/fuse/methods"
	"weld/stream/plan"
	"weld/stream/recipe"
)

// Conversion is what a checkpoint is to become: a merge that passes on one model, with some of its tensors, under other names. The zero
// value of all but In leaves everything as it is.
type Conversion struct {
	In       string // path, or path+adapter+…
	DType    string // of floating tensors
	Quantize string // how values are stored, as the parameter quantize of a merge says it
	Policy   string // for values that the type does not hold, as the parameter nonfinite says it
	Only     []string
	Drop     []string
	Rename   []string // as sed has them: s/EXPRESSION/TEXT/FLAGS
	Made     bool     // In is what the program has just made: the output does not say what it was converted from
}

// PrepareConversion plans a conversion as [Prepare] plans a merge. What is wrong with what is said is a [recipe.Problems].
func PrepareConversion(c Conversion, out string, o Options) (*Prepared, error) {
	said, problems := c.expressions()
	r, err := Recipes().Resolve(c.draft())
	if err != nil {
		more, ok := err.(recipe.Problems)
		if !ok {
			return nil, err
		}
		problems = append(more, problems...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	o.conversion = said
	return Prepare(r, out, o)
}

// draft is the recipe that passes the model on.
func (c Conversion) draft() *recipe.Draft {
	at := func(flag, key, text string) recipe.Setting {
		return recipe.Setting{Key: key, Text: text, Where: recipe.Position{Flag: flag}}
	}
	d := &recipe.Draft{
		Method: recipe.Setting{Key: "method", Text: passingOn()}, DType: at("--dtype", "dtype", c.DType),
		Models: []recipe.DraftModel{{Path: recipe.Setting{Key: "model", Text: c.In}}},
	}
	if c.Quantize != "" {
		d.Params = append(d.Params, at("--quantize", plan.Quantize.Key, c.Quantize))
	}
	if c.Policy != "" {
		d.Params = append(d.Params, at("--nonfinite", "nonfinite", c.Policy))
	}
	return d
}

// passingOn is the method that gives one model as it is.
func passingOn() string {
	schema := methods.Schema()
	return schema[slices.IndexFunc(schema, func(m recipe.MethodSchema) bool {
		method, _ := methods.Find(m.Name)
		return method.PassesOn()
	})].Name
}

// expressions reads what is taken and what it is called.
func (c Conversion) expressions() (*plan.Conversion, recipe.Problems) {
	var problems recipe.Problems
	wrong := func(flag string, err error) {
		problems = append(problems, recipe.Problem{Position: recipe.Position{Flag: flag}, Text: err.Error()})
	}
	compiled := func(flag string, texts []string) (list []*regexp.Regexp) {
		for _, text := range texts {
			e, err := regexp.Compile(text)
			if err != nil {
				wrong(flag, err)
				continue
			}
			list = append(list, e)
		}
		return list
	}
	said := &plan.Conversion{Made: c.Made, Only: compiled(plan.OnlyFlag, c.Only), Drop: compiled(plan.DropFlag, c.Drop)}
	for _, text := range c.Rename {
		s, err := names.ParseSubstitution(text)
		if err != nil {
			wrong(plan.RenameFlag, err)
			continue
		}
		said.Rename = append(said.Rename, s)
	}
	return said, problems
}

// Converted is what a conversion did.
type Converted struct {
	In        string  `json:"in"`
	Out       string  `json:"out"`
	Converted int     `json:"converted"` // tensors of another type, or stored otherwise
	Copied    int     `json:"copied"`
	LeftOut   int     `json:"left_out"`
	Written   int64   `json:"written_bytes"`          // before compression
	Stored    int64   `json:"stored_bytes,omitempty"` // of an output that is compressed, on the disk
	Nonfinite int64   `json:"nonfinite"`              // values that the type does not hold, and that were let through
	Seconds   float64 `json:"seconds"`
}

// Convert runs a plan of [PrepareConversion], as [Prepared.Merge] runs one of a merge.
func (p *Prepared) Convert(ctx context.Context) (*Converted, error) {
	r, err := p.Merge(ctx)
	if err != nil {
		return nil, err
	}
	return &Converted{In: p.Models[0].Path, Out: r.Out, Converted: r.Fused, Copied: r.Copied, LeftOut: p.LeftOut,
		Written: r.Written, Stored: r.Stored, Nonfinite: r.Nonfinite, Seconds: r.Seconds}, nil
}
