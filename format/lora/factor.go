package lora

import (
	"weld/format"
	"weld/internal/vec"
)

// factor is one side of a product: the rank's elements for each of its positions. Element k of
// position p of slice e lies at e·slice + p·position + k·rank of its tensor. Stored [rank, positions], its
// position is 1; else its rows hold a position each, in which slices are the fast axis if there are some.
type factor struct {
	tensor                int
	dtype                 format.DType
	slice, position, rank int64 // strides, in elements
	firstSlice, top       int64 // slice and position at which it begins in its tensor

	perRank     *vector // what index k of the rank is multiplied with
	perPosition *vector // what position p is multiplied with
}

// vector is a tensor whose elements multiply others.
type vector struct {
	tensor int
	dtype  format.DType
}

// Figures of factors.
const (
	stageElements = 16 << 10 // that are held to be put in order, if a row has not more
	leftElements  = 64 << 10 // of a left factor that are held at a time, likewise
	blockElements = 64 << 10 // of a right one, likewise
	blockCols     = 16       // columns of a right factor that are held at least
)

// staged is how many elements are held to put the factor in order.
func (f factor) staged() int64 { return max(stageElements, f.position) }

// reads lists the tensors that the factor needs.
func (f factor) reads() (list []int) {
	list = append(list, f.tensor)
	for _, v := range []*vector{f.perRank, f.perPosition} {
		if v != nil {
			list = append(list, v.tensor)
		}
	}
	return list
}

// load decodes positions [lo, hi) of a slice into dst: the rank's elements of each position, or,
// rankFirst, a row of positions for each index of the rank.
func load[T vec.Float](in *scratch[T], f factor, rank, slice int64, dst []T, lo, hi int64, rankFirst bool) error {
	var err error
	if f.position == 1 {
		err = fromRank(in, f, rank, f.firstSlice+slice, dst, f.top+lo, f.top+hi, rankFirst)
	} else {
		err = fromPositions(in, f, rank, f.firstSlice+slice, dst, f.top+lo, f.top+hi, rankFirst)
	}
	if err == nil && f.perRank != nil {
		err = multiply(in, *f.perRank, dst, 0, rank, hi-lo, rankFirst)
	}
	if err == nil && f.perPosition != nil {
		err = multiply(in, *f.perPosition, dst, lo, hi-lo, rank, !rankFirst)
	}
	return err
}

// fromRank loads a factor that is stored with a row of positions for each index of the rank.
func fromRank[T vec.Float](in *scratch[T], f factor, rank, slice int64, dst []T, lo, hi int64, rankFirst bool) error {
	n, first := hi-lo, slice*f.slice+lo
	if rankFirst && n == f.rank {
		return read(in.adapter, f.tensor, f.dtype, dst[:rank*n], first)
	}
	for k := range rank {
		if rankFirst {
			if err := read(in.adapter, f.tensor, f.dtype, dst[k*n:][:n], first+k*f.rank); err != nil {
				return err
			}
			continue
		}
		for at := int64(0); at < n; at += stageElements {
			part := in.stage[:min(stageElements, n-at)]
			if err := read(in.adapter, f.tensor, f.dtype, part, first+k*f.rank+at); err != nil {
				return err
			}
			scatter(dst[at*rank+k:], part, rank)
		}
	}
	return nil
}

// fromPositions loads a factor that is stored with a row for each position.
func fromPositions[T vec.Float](in *scratch[T], f factor, rank, slice int64, dst []T, lo, hi int64, rankFirst bool) error {
	n := hi - lo
	if f.rank == 1 && f.position == rank && !rankFirst {
		return read(in.adapter, f.tensor, f.dtype, dst[:n*rank], lo*rank)
	}
	most := int64(len(in.stage)) / f.position
	for at := int64(0); at < n; at += most {
		m := min(most, n-at)
		rows := in.stage[:m*f.position]
		if err := read(in.adapter, f.tensor, f.dtype, rows, (lo+at)*f.position); err != nil {
			return err
		}
		for j := range m {
			row := rows[j*f.position+slice*f.slice:]
			for k := range rank {
				to := (at+j)*rank + k
				if rankFirst {
					to = k*n + at + j
				}
				dst[to] = row[k*f.rank]
			}
		}
	}
	return nil
}

// multiply multiplies what is laid out as a matrix with elements [lo, lo+n) of a vector: its rows, of
// which each has other elements, with one each, or each of its rows with all of them.
func multiply[T vec.Float](in *scratch[T], v vector, dst []T, lo, n, other int64, rows bool) error {
	defer in.giveBack(in.used)
	by := in.take(n)
	if err := read(in.adapter, v.tensor, v.dtype, by, lo); err != nil {
		return err
	}
	if rows {
		for i, x := range by {
			row := dst[int64(i)*other:][:other]
			vec.Scale(row, row, x)
		}
		return nil
	}
	for j := range other {
		row := dst[j*n:][:n]
		vec.Mul(row, row, by)
	}
	return nil
}

// scatter writes elements at every stride-th place.
func scatter[T vec.Float](dst, src []T, stride int64) {
	for i, x := range src {
		dst[int64(i)*stride] = x
	}
}
