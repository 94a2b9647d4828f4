package torch

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gather"
)

// This file puts the parts of Llama's own releases together: consolidated.00.pth and so on, with params.json. Each file has a part of
// every large matrix, as fairscale's layers split them: ColumnParallelLinear by rows of the weight, RowParallelLinear by columns.
// Source: meta-llama/llama, llama/model.py at 689c7f2; meta-llama/llama3, llama/model.py at a0940f9.

// ParamsName is the configuration of a Llama release.
const ParamsName = "params.json"

func partName(i int) string { return fmt.Sprintf("consolidated.%02d.pth", i) }

var llamaPart = regexp.MustCompile(`^consolidated\.\d{2}\.pth$`)

// llamaParts are the parts of a Llama release among files, in order.
func llamaParts(files []string) (parts []string) {
	for _, name := range files {
		if llamaPart.MatchString(name) {
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	return parts
}

// parts is a Llama release that is being read.
type parts struct {
	file   format.InputFile
	params params
	count  int
	saved  []*Saved
	rest   []map[string]*Tensor // of the parts behind the first
	first  []Named
}

// params is what params.json says of the model.
type params struct {
	Dim     int64 `json:"dim"`
	Heads   int64 `json:"n_heads"`
	KVHeads int64 `json:"n_kv_heads"` // 0: as many as heads
	HeadDim int64 `json:"head_dim"`   // 0: dim / heads
	Vocab   int64 `json:"vocab_size"` // -1: what the tokenizer has
}

// maxParams is the most that is read of params.json.
const maxParams = 1 << 20

// readParts reads params.json.
func readParts(dir format.Folder, count int) (*parts, error) {
	p := &parts{count: count}
	path := dir.Join(ParamsName)
	fault := func(kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: path, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	raw, err := dir.Read(ParamsName, maxParams)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fault(format.KindMissing, "there is no such file beside the %d parts %s and so on; it says how large their matrices are together", count, partName(0))
	}
	info, err := dir.Stat(ParamsName)
	if err != nil {
		return nil, err
	}
	p.file = format.InputFile{Path: path, Info: info, Digest: sha256.Sum256(raw)}
	if err := json.Unmarshal(raw, &p.params); err != nil {
		return nil, fault(format.KindJSON, "%v", err)
	}
	m := &p.params
	if m.KVHeads == 0 {
		m.KVHeads = m.Heads
	}
	const most = 1 << 31
	if m.HeadDim == 0 && m.Heads > 0 && m.Dim%m.Heads == 0 {
		m.HeadDim = m.Dim / m.Heads
	}
	for key, v := range map[string]int64{"dim": m.Dim, "n_heads": m.Heads, "n_kv_heads": m.KVHeads, "head_dim": m.HeadDim} {
		if v <= 0 || v >= most {
			return nil, fault(format.KindKey, "%s is missing or no size (%d)", key, v)
		}
	}
	return p, nil
}

// addPart reads one more part, and with the last one puts all together.
func (c *Checkpoint) addPart(p *parts, src Source, key string) error {
	s, tensors, err := c.read(src, key)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if err := s.Plain(t.Name, t.Tensor); err != nil {
			return err
		}
	}
	if p.saved = append(p.saved, s); len(p.saved) == 1 {
		p.first = tensors
	} else {
		if len(tensors) != len(p.first) {
			return s.archive.fault(format.KindIndex, "%d tensors, where %s has %d", len(tensors), partName(0), len(p.first))
		}
		byName := make(map[string]*Tensor, len(tensors))
		for _, t := range tensors {
			byName[t.Name] = t.Tensor
		}
		p.rest = append(p.rest, byName)
	}
	if len(p.saved) < p.count {
		return nil
	}
	list := make([]Placed, len(p.first))
	for i, t := range p.first {
		if list[i], err = c.together(p, t); err != nil {
			return err
		}
	}
	c.take(list)
	return nil
}

// together puts a tensor's parts together.
func (c *Checkpoint) together(p *parts, first Named) (Placed, error) {
	fault := func(i int, kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: p.saved[i].archive.path, Tensor: first.Name, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	all := []*Tensor{first.Tensor}
	for i, byName := range p.rest {
		t, ok := byName[first.Name]
		switch {
		case !ok:
			return Placed{}, fault(i+1, format.KindIndex, "it is not in this part")
		case t.DType != first.Tensor.DType || len(t.Shape) != len(first.Tensor.Shape):
			return Placed{}, fault(i+1, format.KindShape, "%v of shape %v, where the first part has %v of shape %v", t.DType, t.Shape, first.Tensor.DType, first.Tensor.Shape)
		}
		all = append(all, t)
	}
	whole, dim, ok := p.params.shape(first.Name, first.Tensor.Shape)
	if !ok || first.Tensor.DType == format.F4 {
		return Placed{}, fault(0, format.KindUnsupported, "no tensor of Llama 1 to 3.1, so that nothing says how its %d parts belong together", p.count)
	}
	shape := slices.Clone(first.Tensor.Shape)
	l := &gather.Layout{Width: first.Tensor.width()}
	for i, t := range all {
		offset := make([]int64, len(shape))
		if dim >= 0 && i > 0 {
			offset[dim] = shape[dim]
			shape[dim] += t.Shape[dim]
		}
		l.Pieces = append(l.Pieces, p.saved[i].Piece(t, i, offset))
		for d, n := range t.Shape {
			if d != dim && n != shape[d] {
				return Placed{}, fault(i, format.KindShape, "shape %v, where the first part has %v", t.Shape, first.Tensor.Shape)
			}
		}
	}
	for d, n := range whole {
		if len(whole) != len(shape) || n > 0 && n != shape[d] {
			return Placed{}, fault(0, format.KindShape, "its %d parts have the shape %v together, and %s says %v", p.count, shape, ParamsName, whole)
		}
	}
	if dim < 0 {
		if err := c.same(l, shape); err != nil {
			return Placed{}, fmt.Errorf("%s: tensor %q: %w", p.saved[0].archive.path, first.Name, err)
		}
		return p.saved[0].Placed(first, 0)
	}
	l.Shape = shape
	if err := l.Check(); err != nil {
		return Placed{}, fault(0, format.KindShape, "put its %d parts together: %v", p.count, err)
	}
	return Placed{Tensor: format.Tensor{Name: first.Name, DType: first.Tensor.DType, Shape: shape}, Begin: l.Pieces[0].Begin, Layout: l}, nil
}

// same demands that what each part has whole is the same in all of them.
func (c *Checkpoint) same(l *gather.Layout, shape []int64) error {
	n, _ := format.Elements(shape)
	const some = 8 << 10 // elements
	source := func(i int) gather.Source { return c.sources[i] }
	one := func(i int) *gather.Layout {
		return &gather.Layout{Shape: shape, Width: l.Width, Pieces: l.Pieces[i : i+1]}
	}
	for lo := int64(0); lo < n; lo += some {
		size := min(some, n-lo) * l.Width
		want, got := make([]byte, size), make([]byte, size)
		if err := one(0).Read(want, lo, source); err != nil {
			return err
		}
		for i := 1; i < len(l.Pieces); i++ {
			if err := one(i).Read(got, lo, source); err != nil {
				return err
			}
			if !bytes.Equal(got, want) {
				return &format.Error{Path: c.sources[i].Path(), Kind: format.KindIndex, Detail: "each part has it whole, and they differ"}
			}
		}
	}
	return nil
}

// layerOf is the name of a tensor of a layer of Llama's.
var layerOf = regexp.MustCompile(`^layers\.\d+\.(.+)$`)

// shape is the shape of a Llama's tensor, with 0 for a size that params.json does not say, and the dimension that parts of it are joined
// along, negative for what each part has whole; part is the shape of one.
func (m params) shape(name string, part []int64) (whole []int64, dim int, ok bool) {
	if l := layerOf.FindStringSubmatch(name); l != nil {
		name = l[1]
	}
	queries, keys := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	switch name {
	case "attention.wq.weight":
		return []int64{queries, m.Dim}, 0, true
	case "attention.wk.weight", "attention.wv.weight":
		return []int64{keys, m.Dim}, 0, true
	case "attention.wo.weight":
		return []int64{m.Dim, queries}, 1, true
	case "feed_forward.w1.weight", "feed_forward.w3.weight":
		return []int64{0, m.Dim}, 0, true
	case "feed_forward.w2.weight":
		return []int64{m.Dim, 0}, 1, true
	case "output.weight":
		return []int64{max(0, m.Vocab), m.Dim}, 0, true
	case "tok_embeddings.weight": // by columns in Llama 1 and 2, by rows in Llama 3
		if len(part) == 2 && part[1] != m.Dim {
			return []int64{max(0, m.Vocab), m.Dim}, 1, true
		}
		return []int64{max(0, m.Vocab), m.Dim}, 0, true
	case "norm.weight", "attention_norm.weight", "ffn_norm.weight":
		return []int64{m.Dim}, -1, true
	}
	return []int64{m.HeadDim / 2}, -1, strings.HasSuffix(name, "rope.freqs")
}
