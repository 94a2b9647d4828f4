package packs

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/lora"
	"weld/format/model"
	"weld/format/safetensors"
	"weld/mmapio"
)

// sum reads a checkpoint with adapters, or a component of one, as the safetensors file that it would be saved as: a header, then the
// tensors in the types that the model has them in, each value rounded once.
type sum struct {
	of      format.Checkpoint
	tensors []format.Tensor // of the file
	shown   []int           // as which tensor of the checkpoint
	order   []int           // of their bytes
	header  *bytes.Reader
	next    int   // in order
	at      int64 // in the tensor
}

// summed adds a checkpoint with adapters, and the small files beside it.
func (in *packFiles) summed(path string, adapters []string, how mmapio.Reading) error {
	c, err := model.Open(path, adapters, how)
	if err != nil {
		return err
	}
	in.sum, in.closers = c, append(in.closers, c)
	in.Notes = append(in.Notes, format.Notes(c)...)
	if beside := format.Beside(c); beside.Exists() {
		names, skipped, err := hub.Sidecars(beside)
		if err != nil {
			return fmt.Errorf("list the files beside the weights of %s: %w", beside.Path(), err)
		}
		for _, name := range names {
			if name == lora.ConfigName { // an adapter beside the model is not in the sum
				continue
			}
			text, err := beside.Read(name, hub.MaxSidecar)
			if err != nil {
				return err
			}
			in.files = append(in.files, packFile{name: name, size: int64(len(text)), header: int64(len(text)), pipe: bytes.NewReader(text)})
		}
		for _, name := range skipped {
			in.Notes = append(in.Notes, fmt.Sprintf("%s: the directory %s stays outside the pack", beside.Path(), name))
		}
	}
	return in.addSum(c)
}

// addSum adds the tensors as one file, or as one for each component.
func (in *packFiles) addSum(c format.Checkpoint) error {
	parts := format.Parts(c)
	if len(parts) == 0 {
		parts = []format.Part{{Stem: strings.TrimSuffix(safetensors.SingleName, ".safetensors")}}
	}
	for k := range parts {
		if err := in.addSumOf(c, parts, k); err != nil {
			return err
		}
	}
	return nil
}

// addSumOf adds the tensors of one part, by the names that they have in it, as one file.
func (in *packFiles) addSumOf(c format.Checkpoint, parts []format.Part, part int) error {
	s := &sum{of: c}
	prefix := parts[part].Prefix()
	file := prefix + parts[part].Stem + ".safetensors"
	for i, t := range c.Tensors() {
		if format.PartOf(parts, t.Name) == part {
			s.tensors = append(s.tensors, format.Tensor{Name: t.Name[len(prefix):], DType: t.StoredDType(), Shape: t.Shape})
			s.shown = append(s.shown, i)
		}
	}
	layout, err := safetensors.NewLayout(s.tensors, map[string]string{"format": "pt"}, math.MaxInt64)
	if err != nil {
		return err
	}
	size := layout.Shards[0].HeaderSize
	s.order, s.header = layout.Order(), bytes.NewReader(layout.Header(0))
	f := packFile{name: file, header: size, pipe: s}
	for _, i := range s.order {
		f.tensors = append(f.tensors, s.tensors[i])
		size += s.tensors[i].Bytes()
	}
	f.size = size
	in.files = append(in.files, f)
	return nil
}

// Read implements [io.Reader]. What is asked for of a tensor is whole elements.
func (s *sum) Read(p []byte) (int, error) {
	if s.header.Len() > 0 {
		return s.header.Read(p)
	}
	for s.next < len(s.order) && s.at == s.tensors[s.order[s.next]].Bytes() {
		s.next, s.at = s.next+1, 0
	}
	if s.next == len(s.order) {
		return 0, io.EOF
	}
	i := s.order[s.next]
	t := s.tensors[i]
	n := min(int64(len(p)), t.Bytes()-s.at, mmapio.MaxView/8)
	if t.DType != s.of.Tensors()[s.shown[i]].DType {
		n -= n % int64(t.DType.Bits()/8)
	}
	if n == 0 {
		return 0, io.ErrShortBuffer
	}
	if err := s.fill(p[:n], i); err != nil {
		return 0, err
	}
	s.at += n
	return int(n), nil
}

// fill reads bytes of a tensor from where the file is, rounded where the checkpoint shows it wider.
func (s *sum) fill(p []byte, i int) error {
	t, shown := s.tensors[i], s.of.Tensors()[s.shown[i]].DType
	off, n := s.at, int64(len(p))
	elements := int64(0)
	if t.DType != shown {
		elements = n * 8 / int64(t.DType.Bits())
		off, n = off*int64(shown.Bits())/int64(t.DType.Bits()), elements*int64(shown.Bits())/8
	}
	view, err := s.of.View(s.shown[i], off, n)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		if t.DType == shown {
			copy(p, view.Data)
			return nil
		}
		values := make([]float64, elements)
		format.Decode(shown, values, view.Data)
		format.Encode(t.DType, p, values)
		rounded := make([]float64, elements)
		format.Decode(t.DType, rounded, p)
		for k, x := range values {
			if math.IsInf(rounded[k], 0) && !math.IsInf(x, 0) {
				return &format.Error{Path: s.of.Path(), Tensor: t.Name, Kind: format.KindNonfinite, Detail: fmt.Sprintf("the value %g is too large for %v, in which the base has the tensor", x, t.DType)}
			}
		}
		return nil
	})
}
