package patch

import (
	"fmt"
	"io"
	"sort"
	"sync"

	"weld/format"
	"weld/format/packed"
	"weld/mmapio"
)

// Writer makes a patch of a result that is written to it. Its methods may be called from any
// goroutine, but files are announced in order.
type Writer struct {
	*packed.Writer
	base    format.Checkpoint
	renamed map[string]string

	mu     sync.Mutex
	items  []*leaning // of the base: its tensors, then files
	places []*region  // of the result, by their place in the content
}

// leaning is an item of the base and what was digested of it.
type leaning struct {
	Item
	tree  Tree
	first *region // that leans on it, and digests it
}

// leanOn notes what a region leans on.
func (r *region) leanOn(i int, it *leaning) {
	r.base = i
	if it.first == nil {
		it.first = r
	}
}

// region is an item of the result, and what it leans on.
type region struct {
	place
	tree Tree
}

// NewWriter begins a patch against a base. workers is the number of goroutines that write to it.
// renamed are tensors of the result, by name, that hold what others of the base do; it may be nil.
func NewWriter(out io.Writer, workers int, base format.Checkpoint, renamed map[string]string) *Writer {
	w := &Writer{base: base, renamed: renamed}
	for _, t := range base.Tensors() {
		w.items = append(w.items, &leaning{Item: Item{Tensor: t}})
	}
	w.Writer = packed.NewPatchWriter(out, workers, w.lean)
	return w
}

// Shard announces the next file, of the safetensors layout, as in package packed.
func (w *Writer) Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.File, error) {
	f, err := w.Writer.Shard(name, header, tensors, given)
	if err != nil {
		return nil, err
	}
	at := f.Begin() + header
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range tensors {
		r := &region{place: place{Item: Item{Tensor: t, Known: true}, begin: at, base: -1}}
		at = r.end()
		source := t.Name
		if old, ok := w.renamed[t.Name]; ok {
			source = old
		}
		if i, ok := w.base.Find(source); ok && t.Bytes() > 0 && w.base.Tensors()[i].DType == t.DType && equal(w.base.Tensors()[i].Shape, t.Shape) {
			r.leanOn(i, w.items[i])
		}
		w.places = append(w.places, r)
	}
	return f, nil
}

// Bytes announces the next file, which holds no tensors.
func (w *Writer) Bytes(name string, size int64) (*packed.File, error) {
	w.region(name, size)
	return w.Writer.Bytes(name, size)
}

// Small adds a whole file that holds no tensors.
func (w *Writer) Small(name string, data []byte) error {
	w.region(name, int64(len(data)))
	return w.Writer.Small(name, data)
}

// region notes a file before its bytes come. It leans on the base's of that name and size.
func (w *Writer) region(name string, size int64) {
	it := Item{Tensor: format.Tensor{Name: name, DType: format.U8, Shape: []int64{size}}, File: true, Known: true}
	r := &region{place: place{Item: it, begin: w.Writer.Content(), base: -1}}
	info, err := w.base.Beside().Stat(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && info.Mode().IsRegular() && info.Size() == size && size > 0 {
		w.items = append(w.items, &leaning{Item: it})
		r.leanOn(len(w.items)-1, w.items[len(w.items)-1])
	}
	w.places = append(w.places, r)
}

// lean finds what a block leans on, and digests both.
func (w *Writer) lean(offset int64, content []byte) (mmapio.View, error) {
	w.mu.Lock()
	i := sort.Search(len(w.places), func(i int) bool { return w.places[i].end() > offset })
	if i == len(w.places) || w.places[i].begin > offset {
		w.mu.Unlock()
		return mmapio.View{}, nil // a header
	}
	r := w.places[i]
	var on *leaning
	if r.base >= 0 {
		on = w.items[r.base]
	}
	w.mu.Unlock()
	from := offset - r.begin
	r.tree.Add(from/ChunkSize, content)
	if on == nil {
		return mmapio.View{}, nil
	}
	view, err := viewOf(w.base, on.Item, from, int64(len(content)))
	if err != nil {
		return view, err
	}
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		if on.first == r {
			on.tree.Add(from/ChunkSize, view.Data)
		}
		return nil
	})
	if err != nil {
		view.Release()
	}
	return view, err
}

// Leaning counts the tensors of the result that lean on one of the base: those that hold the same,
// and those that differ. It is known once the patch is complete.
func (w *Writer) Leaning() (same, changed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.places {
		switch {
		case r.File || r.base < 0:
		case r.Digest == w.items[r.base].Digest:
			same++
		default:
			changed++
		}
	}
	return same, changed
}

// Files sorts the files of the result that hold no tensors by whether the base has one of that name, and the
// same in it. It is known once the patch is complete.
func (w *Writer) Files() (same, changed, added []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.places {
		if !r.File {
			continue
		}
		_, err := w.base.Beside().Stat(r.Name)
		switch {
		case err != nil:
			added = append(added, r.Name)
		case r.base >= 0 && r.Digest == w.items[r.base].Digest, r.Bytes() == 0 && w.empty(r.Name):
			same = append(same, r.Name)
		default:
			changed = append(changed, r.Name)
		}
	}
	return same, changed, added
}

// empty reports whether the base's file of that name is; nothing leans on such.
func (w *Writer) empty(name string) bool {
	info, err := w.base.Beside().Stat(name)
	return err == nil && info.Size() == 0
}

// Complete ends the patch: all content must have been written.
func (w *Writer) Complete() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var items []Item
	for _, it := range w.items {
		if it.first != nil {
			it.Digest, it.Known = it.tree.Sum(), true
		}
		items = append(items, it.Item)
	}
	var places []place
	for _, r := range w.places {
		r.Digest = r.tree.Sum()
		places = append(places, r.place)
	}
	if err := w.Writer.CompleteWith(appendTables(items, places)...); err != nil {
		return fmt.Errorf("complete the patch: %w", err)
	}
	return nil
}
