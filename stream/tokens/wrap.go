package tokens

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/mmapio"
)

// Wrap returns model m's checkpoint with the rows of its embeddings in the order of the
// vocabulary: the checkpoint itself if they are so already. An output layer that is tied to an
// embedding, and that other models have, is a tensor of its own: rows that the model lacks come
// from output layers there. The checkpoints of all models must stay open as long as it is used;
// closing it closes model m's.
func (v *Vocabulary) Wrap(m int) (format.Checkpoint, error) {
	return v.WrapTwin(m, v.models[m].Checkpoint)
}

// WrapTwin is [Vocabulary.Wrap] for a checkpoint that is model m's opened once more, as that of a base
// is that is a model too. Closing what it returns closes the twin.
func (v *Vocabulary) WrapTwin(m int, c format.Checkpoint) (format.Checkpoint, error) {
	return v.wrap(c, v.tied(m), func(t format.Tensor) (*newEmbedding, error) {
		g := v.groups[t.Name]
		if g == nil || g.tensor[m] < 0 {
			return nil, nil
		}
		x := &newEmbedding{rows: v.rowMap(m, g.assignment, t.Shape[0]), token: v.token, models: make([]modelEmbedding, len(v.models)), self: m}
		for k, i := range g.tensor {
			if i >= 0 {
				x.models[k] = modelEmbedding{Checkpoint: v.models[k].Checkpoint, index: i, tensor: v.models[k].Tensors()[i], own: v.own[k]}
			}
		}
		x.models[m].Checkpoint = c
		return x, x.check()
	})
}

// head is an output layer that a checkpoint does not hold, and the embedding that stands for it.
type head struct {
	name  string
	index int
}

// tied lists the output layers that model m has by other tensors.
func (v *Vocabulary) tied(m int) (heads []head) {
	for _, name := range v.groupNames() {
		if i := v.groups[name].tensor[m]; i >= 0 && v.models[m].Tensors()[i].Name != name {
			heads = append(heads, head{name, i})
		}
	}
	return heads
}

// WrapImportance is [Vocabulary.Wrap] for the importance file of model m. Rows that are
// the model's own go where the model's go; all others are zero, for what a model did not
// learn is not important to it. The rows of forced tokens are zero as well.
func (v *Vocabulary) WrapImportance(m int, c format.Checkpoint) (format.Checkpoint, error) {
	return v.wrap(c, nil, func(t format.Tensor) (*newEmbedding, error) {
		g := v.groups[t.Name]
		if g == nil || g.tensor[m] < 0 || len(t.Shape) == 0 {
			return nil, nil
		}
		if t.Shape[0] < v.used[m] {
			return nil, &format.Error{Path: c.Path(), Tensor: t.Name, Kind: format.KindShape, Detail: fmt.Sprintf("%d rows for the %d tokens of %s", t.Shape[0], v.used[m], v.models[m].Path)}
		}
		x := &newEmbedding{rows: v.rowMap(m, nil, t.Shape[0]), token: v.token, models: make([]modelEmbedding, len(v.models)), self: m}
		i, _ := c.Find(t.Name)
		x.models[m] = modelEmbedding{Checkpoint: c, index: i, tensor: t, own: v.own[m]}
		return x, x.check()
	})
}

// StandsIn reports whether tensor i of a checkpoint is an output layer that [Vocabulary.Wrap] shows in
// place of an embedding, and that the checkpoint does not hold.
func StandsIn(c format.Checkpoint, i int) bool {
	w, ok := c.(*gathered)
	return ok && i >= len(w.tensors)-len(w.heads)
}

// wrap shows the tensors of a checkpoint, and behind them its tied heads, with the new embedding of each
// that has one. An embedding that would change nothing is left as it is, and a head without a new one is not
// shown: its embedding stands for it.
func (v *Vocabulary) wrap(c format.Checkpoint, heads []head, of func(format.Tensor) (*newEmbedding, error)) (format.Checkpoint, error) {
	w := &gathered{Checkpoint: c}
	changed := false
	for _, t := range c.Tensors() {
		x, err := v.show(w, &t, of)
		if err != nil {
			return nil, err
		}
		changed = changed || x != nil
		w.tensors, w.embeddings = append(w.tensors, t), append(w.embeddings, x)
	}
	for _, h := range heads {
		t := c.Tensors()[h.index]
		t.Name = h.name
		x, err := v.show(w, &t, of)
		if err != nil {
			return nil, err
		}
		if x != nil {
			w.tensors, w.embeddings, w.heads = append(w.tensors, t), append(w.embeddings, x), append(w.heads, h)
		}
	}
	if !changed && len(w.heads) == 0 {
		return c, nil
	}
	return w, nil
}

// show finds the new embedding of a tensor, and gives the tensor its shape.
func (v *Vocabulary) show(w *gathered, t *format.Tensor, of func(format.Tensor) (*newEmbedding, error)) (*newEmbedding, error) {
	x, err := of(*t)
	if err != nil || x == nil || x.rows.identity(t.Shape[0]) {
		return nil, err
	}
	t.Shape = slices.Clone(t.Shape)
	t.Shape[0] = v.Size
	if _, ok := format.Size(t.DType, t.Shape); !ok {
		return nil, &format.Error{Path: w.Path(), Tensor: t.Name, Kind: format.KindOverflow, Detail: fmt.Sprintf("%d rows are too many", v.Size)}
	}
	w.overhead = max(w.overhead, x.cost())
	return x, nil
}

// gathered is a checkpoint whose embeddings are put together from rows.
type gathered struct {
	format.Checkpoint
	tensors    []format.Tensor
	embeddings []*newEmbedding // nil for tensors that stay as they are
	heads      []head          // the last tensors, which the checkpoint does not hold
	overhead   int64           // bytes that a view takes beside what it shows
	lent       mmapio.Buffers
}

// Tensors implements [format.Checkpoint].
func (w *gathered) Tensors() []format.Tensor { return w.tensors }

// Find implements [format.Checkpoint].
func (w *gathered) Find(name string) (i int, ok bool) {
	if k := slices.IndexFunc(w.heads, func(h head) bool { return h.name == name }); k >= 0 {
		return len(w.tensors) - len(w.heads) + k, true
	}
	return w.Checkpoint.Find(name)
}

// Unwrap implements [format.Wrapper].
func (w *gathered) Unwrap() format.Checkpoint { return w.Checkpoint }

// FileOf implements [format.Sharded]: a head is where its embedding is.
func (w *gathered) FileOf(i int) int {
	if StandsIn(w, i) {
		i = w.heads[i-(len(w.tensors)-len(w.heads))].index
	}
	return format.FileOf(w.Checkpoint, i)
}

// View implements [format.Checkpoint].
func (w *gathered) View(i int, off, n int64) (mmapio.View, error) {
	if w.embeddings[i] == nil {
		return w.Checkpoint.View(i, off, n)
	}
	return w.gather(i, off, n, false)
}

// Read implements [format.Copied].
func (w *gathered) Read(i int, off, n int64) (mmapio.View, error) {
	if w.embeddings[i] == nil {
		return format.Read(w.Checkpoint, i, off, n)
	}
	return w.gather(i, off, n, true)
}

func (w *gathered) gather(i int, off, n int64, copied bool) (mmapio.View, error) {
	t := &w.tensors[i]
	if err := format.CheckView(w, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	view, err := w.lent.Lend(off, n, 1, func(data []byte, off int64) error { return w.embeddings[i].read(data, off, copied) })
	if err != nil {
		return mmapio.View{}, &format.Error{Path: w.Path(), Tensor: t.Name, Kind: format.KindOf(err), Detail: "gather rows of the new vocabulary", Err: err}
	}
	return view, nil
}

// ViewCost implements [format.Costly].
func (w *gathered) ViewCost(n int64) int64 {
	return max(format.ViewCost(w.Checkpoint, n), n+w.overhead)
}

// Advise implements [format.Advised]: it passes on what is said of the model's own
// rows, where enough of them are together.
func (w *gathered) Advise(a mmapio.Advice, i int, off, n int64) {
	if x := w.embeddings[i]; x != nil {
		x.advise(a, off, n)
		return
	}
	format.Advise(w.Checkpoint, a, i, off, n)
}

// InPieces implements [format.Pieced]: of what is not gathered.
func (w *gathered) InPieces(i int) bool {
	return w.embeddings[i] == nil && format.InPieces(w.Checkpoint, i)
}

// Stored implements [format.Verbatim].
func (w *gathered) Stored(i int) (file *mmapio.File, begin int64) {
	if w.embeddings[i] != nil {
		return nil, 0
	}
	return format.Stored(w.Checkpoint, i)
}
