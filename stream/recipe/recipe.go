package recipe

import "weld/format"

// Recipe is a merge that was asked for, complete and consistent in itself.
type Recipe struct {
	Origin   string // the file that it was read from; "" for the command line
	Method   *MethodSchema
	Base     string   // "" if there is none
	BaseLora []string // adapters that are added to the base
	Models   []Model
	Params   Values
	DType    format.DType // of the output: out_dtype, else dtype; Invalid: as the base's tensors
	OutDType format.DType // out_dtype; Invalid if it was not given

	Slices       []Slice    // nil where all layers of all models are merged
	Modules      []Module   // nil where the recipe is of the whole model
	Tokenizer    *Tokenizer // nil: the base's files
	ChatTemplate string     // "": the tokenizer's own; else auto, the name of a template, Jinja, or the path of a .jinja file

	// Unused says, a line each, what has no effect: parameters of other methods and the like, which
	// mergekit passes over too, and published recipes have.
	Unused []string

	scopes []scopedParams // of each slice, or one
	all    *paramSet      // what is said of no slice and no model
}

// Model is one model of a recipe.
type Model struct {
	Path   string   // or name@revision
	Lora   []string // adapters that are added to it, in this order
	Params Values
	Where  Position
}

// Module is a part of a model that is merged by itself, such as the vision tower: its slices are
// Slices[First:Last].
type Module struct {
	Name        string // as mergekit calls it, or the prefix of its tensors' names
	First, Last int
	Where       Position
}

// Slice is a run of layers of the output. Its layers follow those of the slice before
// it.
type Slice struct {
	Whole    bool          // all of a module, layers or not: the sources have no ranges
	Sources  []SliceSource // all with as many layers; the base first where it is [BaseFirst]
	Base     string        // the base of this slice, if it is another than the recipe's
	BaseLora []string
	Where    Position
}

// SliceSource is a model of which a slice takes the layers from First up to, but
// without, Last.
type SliceSource struct {
	Model       int // index in the recipe's models
	First, Last int
	Base        bool // it is the base model of the slice
}
