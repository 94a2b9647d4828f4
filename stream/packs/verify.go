package packs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"weld/format"
	"weld/format/hub"
	"weld/format/model"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/patch"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/run"
)

// Verification is what was found out about a checkpoint, a pack or a patch.
type Verification struct {
	Path    string   `json:"path"`
	Kind    string   `json:"kind"`
	Files   int      `json:"files"`
	Tensors int      `json:"tensors,omitempty"`
	Bytes   int64    `json:"bytes"` // of the content
	Digest  string   `json:"digest,omitempty"`
	Damage  []Damage `json:"damage"`
	Notes   []string `json:"notes,omitempty"`
	Seconds float64  `json:"seconds"`
}

// Damage is a part that is not what it should be.
type Damage struct {
	Place  int64  `json:"byte"`             // of the pack; −1 if it is elsewhere
	File   string `json:"file,omitempty"`   // in the pack
	Tensor string `json:"tensor,omitempty"` // that the bytes belong to
	What   string `json:"what"`
}

func (d Damage) String() string {
	var b strings.Builder
	if d.Place >= 0 {
		fmt.Fprintf(&b, "byte %d: ", d.Place)
	}
	if d.File != "" {
		fmt.Fprintf(&b, "%s: ", d.File)
	}
	if d.Tensor != "" {
		fmt.Fprintf(&b, "tensor %q: ", d.Tensor)
	}
	return b.String() + d.What
}

// Verify reads all of a checkpoint, a pack or a patch and compares it with its checksums, as far as
// it has some. Damage is no error but part of the result. With a base, that a patch was made against,
// what the patch makes of it is compared with the digests of the result.
func Verify(ctx context.Context, path, base string, o Options) (*Verification, error) {
	start := time.Now()
	defer o.forget()
	v := &Verification{Path: path, Damage: []Damage{}}
	err := o.verify(ctx, path, base, v)
	v.Seconds = time.Since(start).Seconds()
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (o *Options) verify(ctx context.Context, path, base string, v *Verification) error {
	if base != "" {
		return o.verifyOn(ctx, path, base, v)
	}
	if path != Stream {
		located, err := hub.Locate(path)
		if err != nil {
			return err
		}
		if !packed.IsName(located) && !patch.IsName(located) {
			return o.verifyCheckpoint(ctx, path, v)
		}
		path = located
	}
	return o.verifyPack(ctx, path, v)
}

// verifyCheckpoint checks the structure of a checkpoint without checksums, and reads every byte.
func (o *Options) verifyCheckpoint(ctx context.Context, path string, v *Verification) error {
	v.Kind = "checkpoint"
	c, err := open.Checkpoint(path, o.Read)
	if f := (*format.Error)(nil); errors.As(err, &f) {
		v.Damage = append(v.Damage, damageOf(f.Tensor, err))
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	o.fit(filesOf(c))
	v.Files, v.Tensors = len(c.Files()), len(c.Tensors())
	for _, t := range c.Tensors() {
		v.Bytes += t.Bytes()
	}
	v.Notes = append(append(v.Notes, format.Notes(c)...), "this container has no checksums for tensors: structure and readability were checked")
	if strings.HasSuffix(strings.ToLower(path), ".zst") {
		v.Notes = []string{"structure and the checksums of all frames were checked"}
	}
	o.Progress.Begin(run.Phase{Name: "verify", Index: 1, Count: 1, Bytes: v.Bytes})
	var mu sync.Mutex
	return o.chunks(ctx, len(c.Tensors()), func(i int) (int64, func(off, n int64) error, func() error) {
		t := c.Tensors()[i]
		told := false
		each := func(off, n int64) error {
			view, err := c.View(i, off, n)
			if err == nil {
				err = mmapio.Guard([]mmapio.View{view}, func() error { touch(view.Data); return nil })
				view.Release()
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				if !told {
					v.Damage = append(v.Damage, damageOf(t.Name, err))
				}
				told = true
			}
			return nil
		}
		return t.Bytes(), each, func() error { return nil }
	})
}

// damageOf is what an error says of a tensor.
func damageOf(tensor string, err error) Damage {
	d := Damage{Place: -1, Tensor: tensor, What: err.Error()}
	if f := (*format.Error)(nil); errors.As(err, &f) && f.Detail != "" {
		d.File, d.What = f.Path, f.Detail
	}
	return d
}

// touch reads bytes.
func touch(p []byte) (sum byte) {
	for i := 0; i < len(p); i += 512 {
		sum += p[i]
	}
	return sum
}

// verifyPack reads a pack or patch from its beginning; where its structure is damaged, it goes on
// by the index.
func (o *Options) verifyPack(ctx context.Context, path string, v *Verification) error {
	src, err := o.scan(path, "verify")
	if f := (*format.Error)(nil); errors.As(err, &f) && f.Kind != format.KindMissing {
		v.Kind = "pack"
		v.Damage = append(v.Damage, Damage{Place: 0, What: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	o.fit([]string{src.path}, src.size)
	c := &check{v: v, kind: src.Kind(), headers: make(map[int][]piece), tables: make(map[[4]byte][]byte)}
	v.Kind = src.Kind().String()
	err = src.each(ctx, o.Threads, o.advance, c.deal)
	var damaged *format.Error
	switch {
	case err == nil:
		digest := src.Digest()
		v.Digest = hex.EncodeToString(digest[:])
		c.leans(path, src.Content())
	case ctx.Err() != nil || !errors.As(err, &damaged):
		return err
	default:
		c.add(Damage{Place: src.Place(), What: damaged.Detail}, -1)
		if err := o.goOn(ctx, path, src.Place(), c); err != nil {
			return err
		}
	}
	v.Files = len(c.files)
	for _, f := range c.files {
		v.Bytes += f.Size
	}
	c.name()
	return nil
}

// check is what a verification knows of the pack so far.
type check struct {
	v     *Verification
	kind  packed.FileKind
	files []packed.FileInfo

	tables   map[[4]byte][]byte // of a patch
	relative []piece            // blocks of a patch that lean on a base, without their data

	mu      sync.Mutex
	headers map[int][]piece // of shards, in no order
	held    int             // bytes of headers
	found   []found
}

// mostHeaders is how many bytes of headers are kept, to name the tensors that damage concerns.
const mostHeaders = 64 << 20

// piece is a block of a header.
type piece struct {
	offset int64
	bytes  int64
	data   []byte
}

// found is damage and the byte of the content that it concerns, or −1.
type found struct {
	Damage
	offset int64
}

func (c *check) add(d Damage, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, found{d, offset})
}

// deal notes a file, or has a block checked.
func (c *check) deal(part packed.Scanned) (work, error) {
	switch {
	case part.File != nil:
		c.files = append(c.files, *part.File)
		return nil, nil
	case part.Table != nil:
		if c.kind == packed.Patch {
			c.tables[part.Table.Tag] = part.Table.Payload
		}
		return nil, nil
	}
	b, file := part.Block, len(c.files)-1
	header := b.Type() == format.Invalid && isShard(c.files[file].Name)
	if b.Relative() && c.kind == packed.Patch {
		c.relative = append(c.relative, piece{offset: b.Offset, bytes: int64(b.Bytes)})
	}
	return func(w *worker) error {
		content, fault := w.check(c.kind, b)
		if fault != nil {
			c.add(Damage{Place: b.Place, What: fmt.Sprintf("a block is damaged: %v", fault)}, b.Offset)
		} else if header && content != nil {
			c.header(file, piece{offset: b.Offset, data: content})
		}
		return nil
	}, nil
}

// check decodes a block as far as that can be done without anything else: of one that leans on a base, or that
// repeats one before it, the checksum is compared. The content is nil then.
func (w *worker) check(kind packed.FileKind, b *packed.Block) (content []byte, fault error) {
	if b.Repeated() || b.Relative() && kind == packed.Patch {
		if !b.Intact() {
			return nil, errors.New("its checksum differs")
		}
		return nil, nil
	}
	return w.decode(b, nil)
}

// leans checks the tables of a patch, and that every block which leans on a base is of an item that does.
func (c *check) leans(path string, content int64) {
	if c.kind != packed.Patch {
		return
	}
	t, err := patch.ParseTables(path, c.tables, content)
	if err != nil {
		c.add(Damage{Place: -1, What: detail(err)}, -1)
		return
	}
	for _, b := range c.relative {
		if err := t.Leans(b.offset, b.bytes); err != nil {
			c.add(Damage{Place: -1, What: detail(err)}, b.offset)
		}
	}
}

// header keeps a piece of a shard's header, which names what is damaged.
func (c *check) header(file int, p piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held += len(p.data); c.held > mostHeaders {
		return
	}
	p.data = bytes.Clone(p.data)
	c.headers[file] = append(c.headers[file], p)
}

// name finds the files and tensors that the damage concerns.
func (c *check) name() {
	tensors := make(map[int]*safetensors.Header)
	for file, pieces := range c.headers {
		slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.offset, b.offset) })
		var raw []byte
		for _, p := range pieces {
			raw = append(raw, p.data...)
		}
		if len(raw) >= 8 {
			if h, err := safetensors.ParseHeader(c.files[file].Name, raw[8:], c.files[file].Size); err == nil {
				tensors[file] = h
			}
		}
	}
	for _, f := range c.found {
		for i, file := range c.files {
			if f.offset < file.Begin || f.offset >= file.Begin+file.Size {
				continue
			}
			f.File = file.Name
			if h := tensors[i]; h != nil {
				f.Tensor = tensorAt(h, f.offset-file.Begin)
			}
		}
		c.v.Damage = append(c.v.Damage, f.Damage)
	}
	slices.SortStableFunc(c.v.Damage, func(a, b Damage) int { return cmp.Compare(a.Place, b.Place) })
}

// tensorAt is the tensor that holds a byte of a shard.
func tensorAt(h *safetensors.Header, off int64) string {
	for _, e := range h.Tensors {
		if h.DataStart+e.Begin <= off && off < h.DataStart+e.End {
			return e.Name
		}
	}
	return ""
}

// goOn checks the blocks behind a place by the index, if that can be read.
func (o Options) goOn(ctx context.Context, path string, from int64, c *check) error {
	if path == Stream {
		c.v.Notes = append(c.v.Notes, fmt.Sprintf("nothing behind byte %d could be checked", from))
		return nil
	}
	openAny := packed.Open
	if c.v.Kind == packed.Patch.String() {
		openAny = packed.OpenPatch
	}
	a, err := openAny(path, o.Read)
	if err != nil {
		c.v.Notes = append(c.v.Notes, fmt.Sprintf("nothing behind byte %d could be checked: the index is damaged too", from))
		return nil
	}
	defer a.Close()
	c.files = a.Files()
	return o.blocks(ctx, a, func(i int, err error) {
		if place, begin, _ := a.Extent(i); place > from && err != nil {
			c.add(Damage{Place: place, What: detail(err)}, begin)
		}
	})
}

// detail is an error without the path, which stands above.
func detail(err error) string {
	if f := (*format.Error)(nil); errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}

// blocks has the workers check all blocks of an archive; tell hears of each, in no order.
func (o Options) blocks(ctx context.Context, a *packed.Archive, tell func(i int, err error)) error {
	var mu sync.Mutex
	rooms := sync.Pool{New: func() any { room := make([]byte, packed.MaxBlock); return &room }}
	return o.chunks(ctx, a.Blocks(), func(i int) (int64, func(off, n int64) error, func() error) {
		each := func(int64, int64) error {
			room := rooms.Get().(*[]byte)
			defer rooms.Put(room)
			err := a.Check(i, *room)
			mu.Lock()
			defer mu.Unlock()
			tell(i, err)
			return nil
		}
		return 1, each, func() error { return nil }
	})
}

// verifyOn compares what a patch makes of a base with its digests.
func (o *Options) verifyOn(ctx context.Context, path, base string, v *Verification) error {
	from, err := model.Named(base, o.Read)
	if err != nil {
		return fmt.Errorf("open base: %w", err)
	}
	defer from.Close()
	paths, bytes := filesOf(from)
	o.hold(len(from.Tensors()), applyTensor)
	o.fit(append(paths, path), bytes)
	a := &application{Options: *o, base: from, dst: &output{name: os.TempDir() + "/x"}}
	err = errors.Join(a.verify(ctx, path), a.close())
	if err != nil {
		return err
	}
	v.Kind, v.Files, v.Bytes, v.Digest = packed.Patch.String(), a.report.Files, a.report.Bytes, a.report.Digest
	v.Notes = append(v.Notes, "the result was compared with its digests, on "+base)
	return nil
}
