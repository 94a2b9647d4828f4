package renamed

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/format/names"
	"weld/mmapio"
)

// shownFrom is where a shown tensor comes from: one of the checkpoint's as it is, or pieces.
type shownFrom struct {
	whole  int // index in the checkpoint, or names.None
	pieces []names.Piece
	ends   []int64 // elements up to the end of each piece
}

// shownCheckpoint shows another one. It implements [format.Checkpoint].
type shownCheckpoint struct {
	format.Checkpoint
	tensors []format.Tensor
	from    []shownFrom
	byName  map[string]int
	lent    mmapio.Buffers
	turns   bool
	gathers bool
}

// Show shows c's tensors under the names of those that are wanted, as m found them; those that nobody wants
// keep their names, if no other has it now. Closing what it returns closes c.
func Show(c format.Checkpoint, wanted []format.Tensor, m *names.Meeting) (format.Checkpoint, error) {
	s := &shownCheckpoint{Checkpoint: c}
	for i, t := range wanted {
		if j := m.Whole[i]; j != names.None {
			one := c.Tensors()[j]
			one.Name = t.Name
			s.add(one, shownFrom{whole: j})
			continue
		}
		if pieces := m.Built[i]; pieces != nil {
			if err := s.build(t, pieces); err != nil {
				return nil, err
			}
		}
	}
	used := make(map[string]bool, len(s.tensors))
	for _, t := range s.tensors {
		used[t.Name] = true
	}
	for _, j := range m.Unused() {
		if t := c.Tensors()[j]; !used[t.Name] {
			s.add(t, shownFrom{whole: j})
		}
	}
	s.sort()
	return s, nil
}

func (s *shownCheckpoint) add(t format.Tensor, from shownFrom) {
	s.tensors, s.from = append(s.tensors, t), append(s.from, from)
}

// build adds a tensor that is put together from pieces; those of several types have no type together.
func (s *shownCheckpoint) build(t format.Tensor, pieces []names.Piece) error {
	from := shownFrom{whole: names.None, pieces: pieces, ends: make([]int64, 0, len(pieces))}
	stored := s.Checkpoint.Tensors()
	t.DType, t.Stored = stored[pieces[0].Tensor].DType, stored[pieces[0].Tensor].Stored
	end := int64(0)
	for _, p := range pieces {
		one := stored[p.Tensor]
		if one.DType != t.DType || !t.DType.Computable() {
			return &format.Error{Path: s.Path(), Tensor: one.Name, Kind: format.KindDType, Detail: fmt.Sprintf("it is %v, and a part of %q with others of %v: weld puts together what has one type that it computes with", one.DType, t.Name, t.DType)}
		}
		end += p.Elements()
		from.ends = append(from.ends, end)
		s.turns = s.turns || p.Turned
		s.gathers = s.gathers || p.Turned || len(pieces) > 1
	}
	if end != t.Elements() {
		return &format.Error{Path: s.Path(), Tensor: t.Name, Kind: format.KindShape, Detail: fmt.Sprintf("its pieces have %d elements where %v is expected", end, t.Shape)}
	}
	s.add(t, from)
	return nil
}

// sort brings the tensors into the order of their bytes.
func (s *shownCheckpoint) sort() {
	order := make([]int, len(s.tensors))
	for i := range order {
		order[i] = i
	}
	first := func(i int) (tensor int, at int64) {
		if f := s.from[i]; f.whole == names.None {
			return f.pieces[0].Tensor, f.pieces[0].At
		}
		return s.from[i].whole, 0
	}
	slices.SortStableFunc(order, func(a, b int) int {
		i, at := first(a)
		j, other := first(b)
		if i != j {
			return i - j
		}
		return int(min(max(at-other, -1), 1))
	})
	tensors, from := make([]format.Tensor, len(order)), make([]shownFrom, len(order))
	s.byName = make(map[string]int, len(order))
	for k, i := range order {
		tensors[k], from[k] = s.tensors[i], s.from[i]
		s.byName[tensors[k].Name] = k
	}
	s.tensors, s.from = tensors, from
}

// Tensors implements [format.Checkpoint].
func (s *shownCheckpoint) Tensors() []format.Tensor { return s.tensors }

// Find implements [format.Checkpoint].
func (s *shownCheckpoint) Find(name string) (int, bool) {
	i, ok := s.byName[name]
	return i, ok
}

// Unwrap implements [format.Wrapper].
func (s *shownCheckpoint) Unwrap() format.Checkpoint { return s.Checkpoint }

// FileOf implements [format.Sharded]: of several pieces, where the first is.
func (s *shownCheckpoint) FileOf(i int) int {
	if f := s.from[i]; f.whole == names.None {
		return format.FileOf(s.Checkpoint, f.pieces[0].Tensor)
	}
	return format.FileOf(s.Checkpoint, s.from[i].whole)
}

// InPieces implements [format.Pieced]: of what is as it is.
func (s *shownCheckpoint) InPieces(i int) bool {
	whole := s.from[i].whole
	return whole != names.None && format.InPieces(s.Checkpoint, whole)
}

// Blocks implements [format.Blocked]: of what is as it is.
func (s *shownCheckpoint) Blocks(i int) (b *format.Blocks, shape []int64) {
	if whole := s.from[i].whole; whole != names.None {
		return format.BlocksOf(s.Checkpoint, whole)
	}
	return nil, nil
}

// Stored implements [format.Verbatim]: what is put together lies nowhere as it is, but for a single block.
func (s *shownCheckpoint) Stored(i int) (file *mmapio.File, begin int64) {
	f := s.from[i]
	if f.whole != names.None {
		return format.Stored(s.Checkpoint, f.whole)
	}
	if len(f.pieces) > 1 || f.pieces[0].Turned {
		return nil, 0
	}
	p := f.pieces[0]
	file, begin = format.Stored(s.Checkpoint, p.Tensor)
	if file == nil {
		return nil, 0
	}
	return file, begin + p.At*s.width(i)
}

// width is the bytes of one element of a tensor that is put together.
func (s *shownCheckpoint) width(i int) int64 { return int64(s.tensors[i].DType.Bits() / 8) }
