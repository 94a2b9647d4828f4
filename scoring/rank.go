package scoring

// Scope says which elements are ranked together.
type Scope uint8

const (
	// WholeModel ranks over all fused tensors of a model.
	WholeModel Scope = iota
	// PerTensor ranks within each tensor.
	PerTensor
)

var scopeNames = []string{"model", "tensor"}

func (s Scope) String() string { return scopeNames[s] }

// Granularity says what is kept or dropped as one. An element takes the mean score
// of what it belongs to.
type Granularity uint8

const (
	// ByElement ranks single elements.
	ByElement Granularity = iota
	// ByRow ranks rows: one index of the first dimension.
	ByRow
	// ByTensor ranks whole tensors.
	ByTensor
)

var granularityNames = []string{"element", "row", "tensor"}

func (g Granularity) String() string { return granularityNames[g] }
