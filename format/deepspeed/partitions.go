package deepspeed

import (
	"cmp"
	"math"
	"slices"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
	"weld/format/torch"
)

// shard is what one rank saved of its optimizer.
type shard struct {
	*saved
	state *pickle.Dict   // under optimizer_state_dict
	flats []flat         // a partition of each group
	maps  []*pickle.Dict // where parameters lie in each, in stages 1 and 2; nil where the file does not say
}

// flat is a partition: a row of elements in a file.
type flat struct {
	begin int64 // byte of the first
	count int64
	dtype format.DType
}

// stretch is a part of a parameter: elements of one rank's partition of one group.
type stretch struct {
	rank, group int
	start, size int64
}

// laid is a parameter, and where its parts are, in the order of its elements.
type laid struct {
	shaped
	parts []stretch
}

// row takes a tensor as a partition.
func (s *saved) row(what string, v any) (flat, error) {
	t, ok := v.(*torch.Tensor)
	if !ok {
		return flat{}, s.fault(format.KindType, what, "%s, where a partition is a tensor", pickle.Kind(v))
	}
	if err := s.Plain(what, t); err != nil {
		return flat{}, err
	}
	count, _ := format.Elements(t.Shape) // within its storage
	if count > 0 && !gather.InRow(t.Shape, t.Strides) {
		return flat{}, s.fault(format.KindShape, what, "a partition whose elements do not lie in one row")
	}
	if t.DType.Bits()%8 != 0 {
		return flat{}, s.fault(format.KindDType, what, "a partition of %v", t.DType)
	}
	return flat{s.Begin(t), count, t.DType}, nil
}

// rows are the partitions of a list of groups.
func (s *saved) rows(key string, list *pickle.List) ([]flat, error) {
	flats := make([]flat, 0, len(list.Items))
	for _, item := range list.Items {
		f, err := s.row(key, item)
		if err != nil {
			return nil, err
		}
		flats = append(flats, f)
	}
	return flats, nil
}

// partitions are those of all ranks, by which the parameters are found.
type partitions struct {
	stage  int64
	model  *modelStates
	shards []*shard
}

// aligned demands that all ranks have the groups of the model.
func (p *partitions) aligned(groups int) error {
	for _, s := range p.shards {
		if len(s.flats) != groups {
			return s.fault(format.KindIndex, "", "it has partitions of %d groups of parameters, and %d are there", len(s.flats), groups)
		}
		for g, f := range s.flats {
			if first := p.shards[0].flats[g]; f.dtype != first.dtype {
				return s.fault(format.KindDType, "", "its partition of group %d is %v, and that of rank 0 %v", g, f.dtype, first.dtype)
			}
		}
	}
	return nil
}

// behind finds the parameters of stages 1 and 2.
func (p *partitions) behind() (list []laid, err error) {
	if err := p.aligned(len(p.model.groups)); err != nil {
		return nil, err
	}
	for g, group := range p.model.groups {
		found, err := p.inRow(g, group)
		if err != nil {
			return nil, err
		}
		if err := p.confirmed(g, found); err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// confirmed demands that each rank says of a group what follows from the sizes, where it says something. Where gradients went round the ranks
// (round_robin_gradients), partitions are in the order of param_shapes, and param_slice_mappings are of another one: that in which the optimizer was
// given the parameters. DeepSpeed's zero_to_fp32 goes by the first.
func (p *partitions) confirmed(g int, found []laid) error {
	if p.shards[0].maps == nil {
		return nil
	}
	said, err := p.mapped(g, p.model.groups[g])
	if err != nil {
		return err
	}
	for i, x := range found {
		if slices.Equal(x.parts, said[i].parts) {
			continue
		}
		if !p.model.robin {
			return p.model.fault(format.KindIndex, x.name, "param_shapes and param_slice_mappings have it at different places of the partitions of group %d", g)
		}
		p.model.misled = true
	}
	return nil
}

// mapped finds the parameters of a group where each rank says what it has.
func (p *partitions) mapped(g int, group []shaped) ([]laid, error) {
	at := make(map[string]int, len(group))
	list := make([]laid, len(group))
	for i, x := range group {
		list[i].shaped, at[x.name] = x, i
	}
	for rank, s := range p.shards {
		if len(s.maps) != len(p.model.groups) {
			return nil, s.fault(format.KindIndex, "", "its param_slice_mappings are of %d groups of parameters, and %d are there", len(s.maps), len(p.model.groups))
		}
		taken := make([]stretch, 0, len(s.maps[g].Items))
		for _, item := range s.maps[g].Items {
			name, _ := item.Key.(string)
			i, known := at[name]
			start, size, ok := address(item.Value)
			switch {
			case !known:
				return nil, s.fault(format.KindNames, name, "param_slice_mappings have %s that is not in param_shapes", pickle.Kind(item.Key))
			case !ok || start < 0 || size < 0 || start > s.flats[g].count-size:
				return nil, s.fault(format.KindOffsets, name, "param_slice_mappings have it from element %d on for %d, and the partition of group %d has %d", start, size, g, s.flats[g].count)
			}
			if size > 0 {
				taken = append(taken, stretch{rank, g, start, size})
				list[i].parts = append(list[i].parts, taken[len(taken)-1])
			}
		}
		slices.SortFunc(taken, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })
		for i := 1; i < len(taken); i++ {
			if before := taken[i-1]; before.start+before.size > taken[i].start {
				return nil, s.fault(format.KindOverlap, "", "param_slice_mappings have one parameter of group %d end at element %d, and the next begin at %d", g, before.start+before.size, taken[i].start)
			}
		}
	}
	for _, x := range list {
		sum := int64(0)
		for _, part := range x.parts {
			sum += part.size // of elements in files
		}
		if sum != x.size {
			return nil, p.model.fault(format.KindSize, x.name, "it has the shape %v, and the ranks have %d elements of it", x.shape, sum)
		}
	}
	return list, nil
}

// address is where a parameter lies in a partition.
func address(v any) (start, size int64, ok bool) {
	o, isObject := v.(*pickle.Object)
	if !isObject || o.Class != fragment {
		return 0, 0, false
	}
	s, _ := o.Get("start")
	n, _ := o.Get("numel")
	start, isStart := s.(int64)
	size, isSize := n.(int64)
	return start, size, isStart && isSize
}

// inRow finds the parameters of a group that lie one behind the other, over all ranks. Partitions are filled up to a multiple of twice their number.
func (p *partitions) inRow(g int, group []shaped) ([]laid, error) {
	paddings, err := p.paddings(g, len(group))
	if err != nil {
		return nil, err
	}
	list := make([]laid, len(group))
	at := cursor{p: p, group: g}
	for i, x := range group {
		list[i] = laid{x, at.take(x.size)}
		if got := sum(list[i].parts); got != x.size {
			return nil, p.model.fault(format.KindSize, x.name, "it has the shape %v, and only %d elements of it are left in the partitions of group %d", x.shape, got, g)
		}
		if paddings != nil {
			at.take(paddings[i])
		}
	}
	if left, most := at.rest(), int64(2*len(p.shards)); left >= most {
		return nil, p.model.fault(format.KindSize, "", "%d elements of group %d are of no parameter, where fewer than %d fill the partitions", left, g, most)
	}
	return list, nil
}

func sum(parts []stretch) (n int64) {
	for _, part := range parts {
		n += part.size
	}
	return n
}

// paddings are the elements that follow each parameter of a group; nil for none.
func (p *partitions) paddings(g, count int) ([]int64, error) {
	s := p.shards[0]
	all, ok, err := get[*pickle.List](s.saved, s.state, "param_alignment_paddings")
	if err != nil || !ok {
		return nil, err
	}
	if g >= len(all.Items) {
		return nil, s.fault(format.KindIndex, "", "param_alignment_paddings are of %d groups of parameters", len(all.Items))
	}
	list, err := torch.Sizes(all.Items[g])
	if err != nil || len(list) != count {
		return nil, s.fault(format.KindIndex, "", "param_alignment_paddings have %s for a group of %d parameters", pickle.Kind(all.Items[g]), count)
	}
	return list, nil
}

// cursor goes through the partitions of a group, rank by rank.
type cursor struct {
	p     *partitions
	group int
	rank  int
	start int64
}

// take is the next elements, as many as there are.
func (c *cursor) take(n int64) (parts []stretch) {
	for n > 0 && c.rank < len(c.p.shards) {
		size := min(n, c.p.shards[c.rank].flats[c.group].count-c.start)
		if size > 0 {
			parts = append(parts, stretch{c.rank, c.group, c.start, size})
		}
		c.start, n = c.start+size, n-size
		if c.start == c.p.shards[c.rank].flats[c.group].count {
			c.rank, c.start = c.rank+1, 0
		}
	}
	return parts
}

// rest is the number of elements that were not taken.
func (c *cursor) rest() (n int64) {
	for rank := c.rank; rank < len(c.p.shards); rank++ {
		n += c.p.shards[rank].flats[c.group].count
	}
	return n - c.start
}

// each finds the parameters of stage 3: of every one, each rank has as many elements, behind those of the ones before it.
func (p *partitions) each() ([]laid, error) {
	if err := p.aligned(len(p.shards[0].flats)); err != nil {
		return nil, err
	}
	for _, s := range p.shards {
		for g, f := range s.flats {
			if first := p.shards[0].flats[g].count; f.count != first {
				return nil, s.fault(format.KindSize, "", "its partition of group %d has %d elements, and that of rank 0 has %d", g, f.count, first)
			}
		}
	}
	var list []laid
	at, left := cursor{p: p}, int64(0)
	for _, f := range p.shards[0].flats {
		if left > math.MaxInt64-f.count {
			return nil, p.shards[0].fault(format.KindOverflow, "", "its partitions have more than 63 bits of elements")
		}
		left += f.count
	}
	ranks := int64(len(p.shards))
	for _, group := range p.model.groups {
		for _, x := range group {
			share := x.size / ranks
			if x.size%ranks != 0 {
				share++
			}
			if left -= share; left < 0 {
				return nil, p.model.fault(format.KindSize, x.name, "it has the shape %v, of which each of %d ranks has %d elements, and the partitions end %d before", x.shape, ranks, share, -left)
			}
			list = append(list, laid{x, at.share(share, x.size, ranks)})
		}
	}
	if left > 0 {
		return nil, p.model.fault(format.KindSize, "", "%d elements of each rank are of no parameter", left)
	}
	return list, nil
}

// share is the parts that the ranks have of a parameter: as many elements each, from where the cursor is, in as many groups as they lie in. What is
// beyond the parameter's size fills up.
func (c *cursor) share(share, size, ranks int64) (parts []stretch) {
	first := *c
	for rank := range ranks {
		*c = first
		for n := share; n > 0; {
			flats := c.p.shards[rank].flats
			here := min(n, flats[c.group].count-c.start)
			if real := min(here, size); real > 0 {
				parts = append(parts, stretch{int(rank), c.group, c.start, real})
				size -= real
			}
			c.start, n = c.start+here, n-here
			if c.start == flats[c.group].count {
				c.group, c.start = c.group+1, 0
			}
		}
	}
	return parts
}
