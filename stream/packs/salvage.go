package packs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weld/format"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/run"
)

// Salvage is what was saved of a damaged pack.
type Salvage struct {
	Out     string   `json:"out"`
	Files   []string `json:"files"`   // restored, byte for byte
	Shards  []string `json:"shards"`  // written anew with the tensors that are whole
	Tensors int      `json:"tensors"` // saved
	Lost    []Damage `json:"lost"`    // tensors and files
	Seconds float64  `json:"seconds"`
}

// Unharmed reports whether nothing was lost.
func (s *Salvage) Unharmed() bool { return len(s.Lost) == 0 }

// SalvagePack restores what is whole of a damaged pack into a directory: files byte for byte, and of shards
// that are damaged the tensors that are not.
func SalvagePack(ctx context.Context, in, out string, o Options) (*Salvage, error) {
	start := time.Now()
	if in == Stream || out == Stream {
		return nil, errors.New("--salvage looks for what is whole in a file, and writes a directory: name both")
	}
	defer o.forget()
	a, lost, err := packed.Recover(in, o.Read)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	o.fit([]string{in}, 2*a.Info().Size())
	dst, err := o.create(out, mmapio.Directory, fileInput("pack", in, a.Info()))
	if err != nil {
		return nil, err
	}
	s := &salvaging{Options: o, a: a, dst: dst, report: Salvage{Out: out, Files: []string{}, Shards: []string{}, Lost: []Damage{}}}
	for _, l := range lost {
		what := fmt.Sprintf("no record in %d bytes", l.End-l.Place)
		if l.End == a.Info().Size() {
			what = "the pack ends here, before its index: what followed is lost"
		}
		s.lose(l.Place, "", "", what)
	}
	if err := dst.finish(ctx, s.run(ctx)); err != nil {
		return nil, err
	}
	s.report.Seconds = time.Since(start).Seconds()
	return &s.report, nil
}

// salvaging is one run of SalvagePack.
type salvaging struct {
	Options
	a      *packed.Archive
	dst    *sink
	bad    []bool                     // blocks
	saved  map[string][]format.Tensor // of each file that holds tensors
	report Salvage
}

func (s *salvaging) lose(place int64, file, tensor, what string) {
	s.report.Lost = append(s.report.Lost, Damage{Place: place, File: file, Tensor: tensor, What: what})
}

func (s *salvaging) run(ctx context.Context) error {
	s.bad = make([]bool, s.a.Blocks())
	s.saved = make(map[string][]format.Tensor)
	s.Progress.Begin(run.Phase{Name: "look for damage", Index: 1, Count: 2, Bytes: int64(s.a.Blocks())})
	if err := s.blocks(ctx, s.a, func(i int, err error) { s.bad[i] = err != nil }); err != nil {
		return err
	}
	if err := s.dst.needs(s.needed(), "what is whole"); err != nil {
		return err
	}
	s.Progress.Begin(run.Phase{Name: "salvage", Index: 2, Count: 2, Bytes: s.a.Content()})
	for i, f := range s.a.Files() {
		if safetensors.IsIndex(f.Name) {
			continue // once it is known what is left
		}
		if err := s.file(ctx, i, f); err != nil {
			return err
		}
	}
	return s.indexes(ctx)
}

// needed is how many bytes will be written, but for headers and an index that are made anew.
func (s *salvaging) needed() (bytes int64) {
	for i, f := range s.a.Files() {
		if ok, _ := s.whole(f.Begin, f.Size); ok {
			bytes += f.Size
			continue
		}
		h := s.header(i, f)
		if h == nil {
			continue
		}
		for _, e := range h.Tensors {
			if ok, _ := s.whole(f.Begin+h.DataStart+e.Begin, e.End-e.Begin); ok {
				bytes += e.End - e.Begin
			}
		}
	}
	return bytes
}

// whole reports whether all blocks of a part of the content are; if not, where one is that is not.
func (s *salvaging) whole(begin, bytes int64) (ok bool, place int64) {
	for i := s.a.BlockAt(begin); bytes > 0 && i < s.a.Blocks(); i++ {
		at, from, _ := s.a.Extent(i)
		if from >= begin+bytes {
			break
		}
		if s.bad[i] {
			return false, at
		}
	}
	return bytes == 0 || begin+bytes <= s.a.Content(), -1
}

// file restores a file, or what is left of it.
func (s *salvaging) file(ctx context.Context, i int, f packed.FileInfo) error {
	ok, place := s.whole(f.Begin, f.Size)
	header := s.header(i, f)
	if ok {
		if header != nil {
			for _, t := range header.Tensors {
				s.saved[f.Name] = append(s.saved[f.Name], t.Tensor)
			}
			s.report.Tensors += len(header.Tensors)
		}
		s.report.Files = append(s.report.Files, f.Name)
		return s.restore(ctx, i, f)
	}
	if header == nil {
		s.lose(place, f.Name, "", "the file is damaged")
		return nil
	}
	return s.shard(ctx, i, f, header)
}

// header is that of a shard, if the file is one and it can be read.
func (s *salvaging) header(i int, f packed.FileInfo) *safetensors.Header {
	if !isShard(f.Name) {
		return nil
	}
	src := s.a.Source(i)
	h, err := safetensors.ReadHeader(src.Path(), src, f.Size)
	if err != nil {
		return nil
	}
	return h
}

// restore writes a file as it was.
func (s *salvaging) restore(ctx context.Context, i int, f packed.FileInfo) error {
	out, err := s.dst.file(f.Name, f.Size)
	if err != nil {
		return err
	}
	src := s.a.Source(i)
	return s.copy(ctx, src, 0, f.Size, func(p []byte, off int64) error {
		_, err := out.WriteAt(p, off)
		return err
	})
}

// copy has the workers copy a part of a file.
func (s *salvaging) copy(ctx context.Context, src *packed.FileReader, from, bytes int64, write func(p []byte, off int64) error) error {
	return s.chunks(ctx, 1, func(int) chunked {
		each := func(off, n int64) error {
			v, err := src.View(from+off, n)
			if err != nil {
				return err
			}
			defer v.Release()
			return write(v.Data, off)
		}
		return chunked{bytes: bytes, each: each}
	})
}

// shard writes the tensors of a shard that are whole.
func (s *salvaging) shard(ctx context.Context, i int, f packed.FileInfo, h *safetensors.Header) error {
	var saved []format.Tensor
	var from []int64
	for _, e := range h.Tensors {
		begin := h.DataStart + e.Begin
		if ok, place := s.whole(f.Begin+begin, e.End-e.Begin); !ok {
			s.lose(place, f.Name, e.Name, "the tensor is damaged")
			continue
		}
		saved, from = append(saved, e.Tensor), append(from, begin)
	}
	s.saved[f.Name] = saved
	s.report.Shards = append(s.report.Shards, f.Name)
	s.report.Tensors += len(saved)
	layout, err := safetensors.NewLayout(saved, h.Metadata, 1<<62)
	if err != nil {
		return err
	}
	out, err := s.dst.file(f.Name, layout.Size())
	if err != nil {
		return err
	}
	w, err := safetensors.NewWriter(layout, []safetensors.Target{out})
	if err != nil {
		return err
	}
	src := s.a.Source(i)
	for k, t := range saved {
		err := s.copy(ctx, src, from[k], t.Bytes(), func(p []byte, off int64) error { return w.WriteAt(k, off, p) })
		if err != nil {
			return err
		}
	}
	return w.Close()
}
