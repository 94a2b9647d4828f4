package patch

import (
	"crypto/sha256"
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
//
// Of each tensor it holds some hundred bytes: a million of them are no reason to run out of memory.
type Writer struct {
	*packed.Writer
	base    format.Checkpoint
	renamed map[string]string

	mu      sync.Mutex
	bases   []baseItem      // items of the base: its tensors, then files
	files   []format.Tensor // these
	regions []region        // items of the result, by their place in the content
}

// baseItem is what is known of an item of the base.
type baseItem struct {
	digesting
	first int32 // the region that is coded against it and digests it, counted from 1; 0 for none
}

// region is an item of the result.
type region struct {
	digesting
	tensor *format.Tensor
	begin  int64
	base   int32 // the item of the base that it is coded against, −1 for none
	file   bool
}

func (r *region) end() int64 { return r.begin + r.tensor.Bytes() }

// NewWriter begins a patch against a base. workers is the number of goroutines that write to it.
// renamed are tensors of the result, by name, that hold what others of the base do; it may be nil.
func NewWriter(out io.Writer, workers int, base format.Checkpoint, renamed map[string]string) *Writer {
	w := &Writer{base: base, renamed: renamed, bases: make([]baseItem, len(base.Tensors()))}
	w.Writer = packed.NewPatchWriter(out, workers, w.findBase)
	return w
}

// add notes an item of the result, and what it is coded against.
func (w *Writer) add(r region) {
	if r.tensor.Bytes() == 0 {
		r.Digest = ofNothing
	}
	w.regions = append(w.regions, r)
	if r.base >= 0 && w.bases[r.base].first == 0 {
		w.bases[r.base].first = int32(len(w.regions))
	}
}

// item is one of the base.
func (w *Writer) item(i int) Item {
	it := Item{Digest: w.bases[i].Digest, Known: w.bases[i].first > 0}
	if tensors := w.base.Tensors(); i < len(tensors) {
		it.Tensor = tensors[i]
	} else {
		it.Tensor, it.File = w.files[i-len(tensors)], true
	}
	return it
}

// place is an item of the result as it stands in the patch.
func (w *Writer) place(i int) placedItem {
	r := &w.regions[i]
	return placedItem{Item{*r.tensor, r.file, r.Digest, true}, r.begin, int(r.base)}
}

// Shard announces the next file, of the safetensors layout, as in package packed. The tensors must stay as they are.
func (w *Writer) Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.FileWriter, error) {
	f, err := w.Writer.Shard(name, header, tensors, given)
	if err != nil {
		return nil, err
	}
	at := f.Begin() + header
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range tensors {
		t := &tensors[i]
		r := region{tensor: t, begin: at, base: -1}
		at = r.end()
		source := t.Name
		if old, ok := w.renamed[t.Name]; ok {
			source = old
		}
		if i, ok := w.base.Find(source); ok && t.Bytes() > 0 && w.base.Tensors()[i].DType == t.DType && equal(w.base.Tensors()[i].Shape, t.Shape) {
			r.base = int32(i)
		}
		w.add(r)
	}
	return f, nil
}

// Bytes announces the next file, which holds no tensors.
func (w *Writer) Bytes(name string, size int64) (*packed.FileWriter, error) {
	w.region(name, size)
	return w.Writer.Bytes(name, size)
}

// Small adds a whole file that holds no tensors.
func (w *Writer) Small(name string, data []byte) error {
	w.region(name, int64(len(data)))
	return w.Writer.Small(name, data)
}

// region notes a file before its bytes come. It is coded against the base's of that name and size.
func (w *Writer) region(name string, size int64) {
	t := format.Tensor{Name: name, DType: format.U8, Shape: []int64{size}}
	r := region{tensor: &t, file: true, begin: w.Writer.Content(), base: -1}
	info, err := format.Beside(w.base).Stat(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && info.Mode().IsRegular() && info.Size() == size && size > 0 {
		r.base = int32(len(w.bases))
		w.bases, w.files = append(w.bases, baseItem{}), append(w.files, t)
	}
	w.add(r)
}

// at is the item of the result that holds a byte of the content; ok is false in a header.
func (w *Writer) at(offset int64) (i int, r region, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i = sort.Search(len(w.regions), func(i int) bool { return w.regions[i].begin > offset }) - 1
	if i < 0 || w.regions[i].end() <= offset {
		return 0, region{}, false
	}
	return i, w.regions[i], true
}

// on is the item of the base that a region is coded against, and whether that region is the one that digests it.
func (w *Writer) on(i int, r region) (it Item, digests bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.item(int(r.base)), w.bases[r.base].first == int32(i)+1
}

// findBase finds what a block is coded against, and digests both.
func (w *Writer) findBase(offset int64, content []byte) (mmapio.View, error) {
	i, r, ok := w.at(offset)
	if !ok {
		return mmapio.View{}, nil // a header
	}
	from := offset - r.begin
	own, theirs := TreeDigest(sha256.Sum256(content)), TreeDigest{}
	note := func(digests bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.regions[i].add(from, r.tensor.Bytes(), own)
		if digests {
			w.bases[r.base].add(from, r.tensor.Bytes(), theirs)
		}
	}
	if r.base < 0 {
		note(false)
		return mmapio.View{}, nil
	}
	on, digests := w.on(i, r)
	view, err := w.viewOf(r, on, from, int64(len(content)))
	if err != nil {
		return view, err
	}
	if digests {
		err = mmapio.Guard([]mmapio.View{view}, func() error { theirs = sha256.Sum256(view.Data); return nil })
	}
	if err != nil {
		view.Release()
		return view, err
	}
	note(digests)
	return view, nil
}

// viewOf lends bytes of the item of the base that a region is coded against.
func (w *Writer) viewOf(r region, on Item, off, n int64) (mmapio.View, error) {
	if on.File {
		return viewOf(w.base, on, off, n)
	}
	if n <= format.FewBytes {
		return format.Read(w.base, int(r.base), off, n)
	}
	return w.base.View(int(r.base), off, n)
}

// Compared counts the tensors of the result that are coded against one of the base: those that hold the same,
// and those that differ. It is known once the patch is complete.
func (w *Writer) Compared() (same, changed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.regions {
		switch r := &w.regions[i]; {
		case r.file || r.base < 0:
		case r.Digest == w.bases[r.base].Digest:
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
	for i := range w.regions {
		r := &w.regions[i]
		if !r.file {
			continue
		}
		name := r.tensor.Name
		_, err := format.Beside(w.base).Stat(name)
		switch {
		case err != nil:
			added = append(added, name)
		case r.base >= 0 && r.Digest == w.bases[r.base].Digest, r.tensor.Bytes() == 0 && w.empty(name):
			same = append(same, name)
		default:
			changed = append(changed, name)
		}
	}
	return same, changed, added
}

// empty reports whether the base's file of that name is; nothing is coded against such a file.
func (w *Writer) empty(name string) bool {
	info, err := format.Beside(w.base).Stat(name)
	return err == nil && info.Size() == 0
}

// Complete ends the patch: all content must have been written.
func (w *Writer) Complete() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.Writer.CompleteWith(tables(len(w.bases), w.item, len(w.regions), w.place)...); err != nil {
		return fmt.Errorf("complete the patch: %w", err)
	}
	return nil
}
