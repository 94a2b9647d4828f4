package names

import (
	"slices"
	"strconv"
	"strings"

	"weld/format"
)

// Piece is a block of elements of a stored tensor: a matrix that is stored row after row, or,
// turned, column after column.
type Piece struct {
	Tensor     int   // index of the stored tensor
	At         int64 // element at which it begins there
	Rows, Cols int64 // as they are wanted
	Turned     bool
}

// Elements is how many it has.
func (p Piece) Elements() int64 { return p.Rows * p.Cols }

// fusions are tensors that hold the rows of others, one after the other: those that transformers 5.23 joins and
// splits (Concatenate and Chunk in conversion_mapping.py).
var fusions = map[string][]string{
	"gate_up_proj": {"gate_proj", "up_proj"},
	"conv1d":       {"q_conv1d", "k_conv1d", "v_conv1d"},
	"gqkv_proj":    {"gate_proj", "q_proj", "k_proj", "v_proj"},
}

// StackedIn lists the matrices of an expert that a tensor of all experts holds, one after the other.
func StackedIn(tensor string) []string {
	if of := fusions[tensor]; of != nil {
		return of
	}
	return []string{tensor}
}

// experts names the module that has the experts of a layer: experts.7.up_proj.weight is a matrix of one of them,
// experts.up_proj a tensor [experts, rows, cols] of all.
const experts = "experts"

// fusedTensor is a tensor that may be others in one.
type fusedTensor struct {
	tensor int
	module string     // what holds it
	parts  [][]string // the common names of what it holds: for each expert, or once, those that are stacked
}

// fusedAs takes a common name apart; ok is false where it is none of a fused tensor.
func fusedAs(i int, name string, shape []int64) (f fusedTensor, ok bool) {
	parts := strings.Split(name, ".")
	n := len(parts)
	switch {
	case n >= 2 && len(shape) == 3 && parts[n-2] == experts:
		f = fusedTensor{tensor: i, module: strings.Join(parts[:n-1], ".")}
		stacked := fusions[parts[n-1]]
		if stacked == nil {
			stacked = parts[n-1:]
		}
		f.parts = [][]string{stacked}
		return f, true
	case n >= 3 && len(shape) >= 1 && fusions[parts[n-2]] != nil:
		f = fusedTensor{tensor: i, module: strings.Join(parts[:n-2], ".")}
		names := make([]string, 0, 4)
		for _, piece := range fusions[parts[n-2]] {
			names = append(names, f.module+"."+piece+"."+parts[n-1])
		}
		f.parts = [][]string{names}
		return f, true
	}
	return f, false
}

// pieces finds the tensors that a fused one holds by their common names, in the order of its elements.
// fits is false where they are there and it is not them one after the other.
func (f fusedTensor) pieces(shape []int64, tensors []format.Tensor, known map[string]int) (found []int, fits bool) {
	if !strings.HasSuffix(f.module, experts) {
		found = lookUp(found, f.parts[0], known)
		return found, found == nil || stacks(shape, tensors, found)
	}
	names := make([]string, len(f.parts[0]))
	for e := range shape[0] {
		for k, part := range f.parts[0] {
			names[k] = f.module + "." + strconv.FormatInt(e, 10) + "." + part + ".weight"
		}
		one := lookUp(nil, names, known)
		if one == nil {
			return nil, true
		}
		if !stacks(shape[1:], tensors, one) {
			return nil, false
		}
		found = append(found, one...)
	}
	next := f.module + "." + strconv.FormatInt(shape[0], 10) + "." + f.parts[0][0] + ".weight"
	if _, more := known[next]; more {
		return nil, false
	}
	return found, true
}

// lookUp finds all names, or none.
func lookUp(found []int, names []string, known map[string]int) []int {
	for _, name := range names {
		i, ok := known[name]
		if !ok || i == several {
			return nil
		}
		found = append(found, i)
	}
	return found
}

// stacks reports whether tensors one after the other have a shape.
func stacks(shape []int64, tensors []format.Tensor, of []int) bool {
	rows := int64(0)
	for _, i := range of {
		s := tensors[i].Shape
		if len(s) != len(shape) || len(s) == 0 || !slices.Equal(s[1:], shape[1:]) {
			return false
		}
		rows += s[0]
	}
	return rows == shape[0]
}

// fuse finds wanted tensors that are stored in pieces, and those that are stored as parts of others.
func (m *Meeting) fuse() {
	rest, left := m.rest(), m.left()
	if len(rest) == 0 || len(left) == 0 {
		return
	}
	wanted, have := index(m.wanted, rest, m.common), index(m.have, left, m.common)
	for _, f := range m.single(m.fusions(m.wanted, rest, m.have, have), func(f, piece int) Doubt {
		return Doubt{[]string{m.wanted[f].Name}, []string{m.have[piece].Name}}
	}) {
		m.Built[f.tensor] = joined(m.have, f.pieces)
		for _, j := range f.pieces {
			m.taken[j] = true
		}
	}
	for _, f := range m.single(m.fusions(m.have, left, m.wanted, wanted), func(f, piece int) Doubt {
		return Doubt{[]string{m.wanted[piece].Name}, []string{m.have[f].Name}}
	}) {
		m.taken[f.tensor] = true
		at := int64(0)
		for _, i := range f.pieces {
			p := blockOf(f.tensor, at, m.wanted[i])
			m.Built[i] = []Piece{p}
			at += p.Elements()
		}
	}
}

// expertFusion is a fused tensor and what it is made of.
type expertFusion struct {
	tensor int
	pieces []int
}

// single leaves out the fusions that have a piece in common, which is a doubt.
func (m *Meeting) single(all []expertFusion, doubt func(tensor, piece int) Doubt) []expertFusion {
	of, unfit := make(map[int]int), make(map[int]bool)
	for _, f := range all {
		for _, piece := range f.pieces {
			other, taken := of[piece]
			if !taken {
				of[piece] = f.tensor
				continue
			}
			if !unfit[other] && !unfit[f.tensor] && len(m.Doubts) < mostDoubts {
				d := doubt(other, piece)
				more := doubt(f.tensor, piece)
				m.Doubts = append(m.Doubts, Doubt{unique(d.Wanted, more.Wanted), unique(d.Have, more.Have)})
			}
			unfit[other], unfit[f.tensor] = true, true
		}
	}
	return slices.DeleteFunc(all, func(f expertFusion) bool { return unfit[f.tensor] })
}

// unique are names of two lists of one, one where they are the same.
func unique(a, b []string) []string { return slices.Compact(append(slices.Clone(a), b...)) }

// fusions finds what fused tensors are made of, but in modules one of whose tensors does not fit: a matrix
// that is square says nothing of its layout, the one beside it does.
func (m *Meeting) fusions(tensors []format.Tensor, of []int, others []format.Tensor, known map[string]int) (list []expertFusion) {
	found, module, unfit := make(map[int][]int), make(map[int]string), m.turning(tensors)
	for _, i := range of {
		f, ok := fusedAs(i, m.common(tensors[i].Name), tensors[i].Shape)
		if !ok {
			continue
		}
		pieces, fits := f.pieces(tensors[i].Shape, others, known)
		if !fits {
			unfit[f.module] = true
		} else if pieces != nil {
			found[i], module[i] = pieces, f.module
		}
	}
	for _, i := range of {
		if pieces := found[i]; pieces != nil && !unfit[module[i]] {
			list = append(list, expertFusion{i, pieces})
		}
	}
	return list
}

// turning are the modules with a bias of all experts, whatever has been found of it: that is gpt-oss, whose gates and
// ups take turns.
func (m *Meeting) turning(tensors []format.Tensor) map[string]bool {
	const ending = ".gate_up_proj_bias"
	unfit := make(map[string]bool)
	for _, t := range tensors {
		if strings.HasSuffix(t.Name, ending) {
			unfit[strings.TrimSuffix(m.common(t.Name), ending)] = true
		}
	}
	return unfit
}

// joined are whole tensors one after the other.
func joined(tensors []format.Tensor, of []int) (pieces []Piece) {
	for _, j := range of {
		pieces = append(pieces, blockOf(j, 0, tensors[j]))
	}
	return pieces
}

// blockOf is a block of tensor j that begins at an element and has the shape of another.
func blockOf(j int, at int64, like format.Tensor) Piece {
	rows := int64(1)
	if len(like.Shape) > 0 {
		rows = like.Shape[0]
	}
	return Piece{Tensor: j, At: at, Rows: rows, Cols: like.RowLen()}
}

// transpose finds experts whose matrices are stored the other way round, [experts, cols, rows]: so does Qwen3-VL, of
// which transformers turns them. Of a square matrix the one beside it says how it is stored.
func (m *Meeting) transpose() {
	turned := make(map[string]bool)
	matrices := func(yield func(i, j int, module string)) {
		for i, j := range m.Whole {
			if j == None || len(m.wanted[i].Shape) != 3 || len(m.have[j].Shape) != 3 {
				continue
			}
			name := m.wanted[i].Name
			if module := name[:strings.LastIndexByte(name, '.')+1]; strings.HasSuffix(module, experts+".") {
				yield(i, j, module)
			}
		}
	}
	swapped := func(i, j int) bool {
		a, b := m.wanted[i].Shape, m.have[j].Shape
		return a[0] == b[0] && a[1] == b[2] && a[2] == b[1]
	}
	matrices(func(i, j int, module string) {
		if swapped(i, j) && !slices.Equal(m.wanted[i].Shape, m.have[j].Shape) {
			turned[module] = true
		}
	})
	matrices(func(i, j int, module string) {
		if !turned[module] || !swapped(i, j) {
			return
		}
		shape := m.wanted[i].Shape
		m.Whole[i] = None
		for e := range shape[0] {
			m.Built[i] = append(m.Built[i], Piece{Tensor: j, At: e * shape[1] * shape[2], Rows: shape[1], Cols: shape[2], Turned: true})
		}
	})
}
