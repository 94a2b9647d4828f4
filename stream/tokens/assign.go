package tokens

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weld/format"
)

// group is one embedding: the tensors of one name, or those that stand for them.
type group struct {
	tensor []int // by model, −1 where it has none; of another name where that is tied
	*assignment
}

// assignment says where rows come from that a model lacks, or may not have of its own.
// It is shared between embeddings that the same models have.
type assignment struct {
	rows  []int32 // of the output, ascending
	from  []rowOrigin
	force []bool
}

// rowOrigin is one row of the output, as other rows make it.
type rowOrigin struct {
	model int32 // or one of the values below
	row   int32 // in the model, or in the output
}

const (
	fromNothing = -1 - iota // zeros
	fromAll                 // the mean over the models that have the row of the output
	fromRows                // the mean over all rows that belong to a token
)

// groupNames lists the embeddings, in order.
func (v *Vocabulary) groupNames() []string { return slices.Sorted(maps.Keys(v.groups)) }

// assign decides for every embedding.
func (v *Vocabulary) assign() error {
	shared := make(map[string]*assignment)
	var errs []error
	for _, name := range v.groupNames() {
		g := v.groups[name]
		var key strings.Builder
		for _, i := range g.tensor {
			key.WriteByte(map[bool]byte{true: '+', false: '-'}[i >= 0])
		}
		a := shared[key.String()]
		if a == nil {
			var err error
			if a, err = v.assignRows(name, g); err != nil {
				errs = append(errs, err)
			}
			shared[key.String()] = a
		}
		g.assignment = a
	}
	return errors.Join(errs...)
}

// assignRows decides for the models that have one embedding.
func (v *Vocabulary) assignRows(name string, g *group) (*assignment, error) {
	a := &assignment{}
	zeros := 0
	var errs []error
	for r := range int32(v.Size) {
		if !v.token[r] {
			continue
		}
		has, of, only := 0, 0, -1
		for m, i := range g.tensor {
			if i >= 0 {
				of++
				if v.own[m][r] >= 0 {
					has, only = has+1, m
				}
			}
		}
		request, named := v.requested[r]
		force := named && request.Force
		if has == of && !force {
			continue
		}
		from := rowOrigin{fromAll, r}
		switch {
		case named && request.Zero:
			from = rowOrigin{fromNothing, 0}
		case named && request.FromModel >= 0:
			var err error
			if from, err = v.requestedRow(name, g, request, r); err != nil {
				errs = append(errs, err)
			}
		case has == 1:
			from = rowOrigin{int32(only), v.own[only][r]}
		case has == 0:
			from = rowOrigin{fromNothing, 0}
			zeros++
		case v.base >= 0 && g.tensor[v.base] >= 0 && v.own[v.base][r] >= 0:
			from = rowOrigin{int32(v.base), v.own[v.base][r]}
		}
		a.rows, a.from, a.force = append(a.rows, r), append(a.from, from), append(a.force, force)
	}
	if zeros > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("tensor %q: %d tokens are in no model; their rows are zero", clip(name), zeros))
	}
	return a, errors.Join(errs...)
}

// requestedRow finds the row that the recipe names for row r.
func (v *Vocabulary) requestedRow(name string, g *group, request RowSource, r int32) (rowOrigin, error) {
	m := request.FromModel
	if g.tensor[m] < 0 {
		return rowOrigin{}, &format.Error{Path: v.models[m].Path, Tensor: name, Kind: format.KindMissing, Detail: fmt.Sprintf("token %q is to have a row of it, and the model lacks it", clip(request.Token))}
	}
	row := v.own[m][r]
	if request.FromID >= 0 {
		row = int32(min(request.FromID, maxID+1))
	}
	if row < 0 {
		return rowOrigin{}, &format.Error{Path: v.models[m].Path, Tensor: name, Kind: format.KindMissing, Detail: fmt.Sprintf("the model lacks token %q, whose row is to come from it", clip(request.Token))}
	}
	if n := v.models[m].Tensors()[g.tensor[m]].Shape[0]; int64(row) >= n {
		return rowOrigin{}, &format.Error{Path: v.models[m].Path, Tensor: name, Kind: format.KindShape, Detail: fmt.Sprintf("token %q is to have row %d of %d", clip(request.Token), row, n)}
	}
	return rowOrigin{int32(m), row}, nil
}

// rowMap says for one tensor of one model where each row of the output comes from.
type rowMap struct {
	at   []int32 // a row of the model's own; or −1−k for from[k]
	from []rowOrigin
}

type rowMapKey struct {
	own        *int32
	assignment *assignment // nil for a map of the model's own rows alone
	rows       int64
}

// rowMap makes the map of model m for a tensor of so many rows.
func (v *Vocabulary) rowMap(m int, a *assignment, rows int64) *rowMap {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := rowMapKey{&v.own[m][0], a, rows}
	if t := v.rowMaps[key]; t != nil {
		return t
	}
	t := &rowMap{at: make([]int32, v.Size)}
	if a == nil {
		t.from = []rowOrigin{{fromNothing, 0}}
		for r := range t.at {
			t.at[r] = -1
			if own := v.own[m][r]; own >= 0 && int64(own) < rows && !v.requested[int32(r)].Force {
				t.at[r] = own
			}
		}
	} else {
		t.from = append(slices.Clone(a.from), rowOrigin{fromRows, 0})
		mean, k := int32(-len(t.from)), 0
		for r := range t.at {
			t.at[r] = v.own[m][r]
			switch {
			case k < len(a.rows) && a.rows[k] == int32(r):
				if t.at[r] < 0 || a.force[k] {
					t.at[r] = int32(-1 - k)
				}
				k++
			case t.at[r] < 0 || int64(t.at[r]) >= rows: // only rows without a token
				t.at[r] = mean
			}
		}
	}
	v.rowMaps[key] = t
	return t
}

// identity reports whether the map leaves a tensor of so many rows as it is.
func (t *rowMap) identity(rows int64) bool {
	if int64(len(t.at)) != rows {
		return false
	}
	for r, own := range t.at {
		if int(own) != r {
			return false
		}
	}
	return true
}
