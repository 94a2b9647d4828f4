package packs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"weld/format"
	"weld/format/packed"
	"weld/format/patch"
	"weld/format/safetensors"
)

// verifyPack reads a pack or patch from its beginning; where its structure is damaged, it goes on
// by the index.
func (o *Options) verifyPack(ctx context.Context, path string, v *Verification) error {
	src, err := o.scan(path, "verify")
	if f := (*format.Error)(nil); errors.As(err, &f) && !isAnother(f) {
		v.Kind = "pack"
		v.Damage = append(v.Damage, Damage{Place: 0, What: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	o.fit([]string{path}, src.size())
	c := &packCheck{v: v, kind: src.Kind(), headers: make(map[int][]headerPiece), tables: make(map[[4]byte][]byte)}
	v.Kind = src.Kind().String()
	err = src.each(ctx, o.Threads, o.advance, c.deal)
	var damaged *format.Error
	switch {
	case err == nil:
		digest := src.Digest()
		v.Digest = hex.EncodeToString(digest[:])
		c.checkTables(path, src.Content())
	case ctx.Err() != nil || !errors.As(err, &damaged):
		return err
	default:
		c.add(Damage{Place: src.Place(), What: damaged.Detail}, -1)
		if err := o.goOn(ctx, src, c); err != nil {
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

// packCheck is what a verification knows of the pack so far.
type packCheck struct {
	v     *Verification
	kind  packed.FileKind
	files []packed.FileInfo

	tables   map[[4]byte][]byte // of a patch
	relative []headerPiece      // blocks of a patch that are coded against a base, without their data

	mu      sync.Mutex
	headers map[int][]headerPiece // of shards, in no order
	held    int                   // bytes of headers
	found   []found
}

// mostHeaders is how many bytes of headers are kept, to name the tensors that damage concerns.
const mostHeaders = 64 << 20

// headerPiece is a block of a header.
type headerPiece struct {
	offset int64
	bytes  int64
	data   []byte
}

// found is damage and the byte of the content that it concerns, or −1.
type found struct {
	Damage
	offset int64
}

func (c *packCheck) add(d Damage, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, found{d, offset})
}

// deal notes a file, or has a block checked.
func (c *packCheck) deal(found packed.Scanned) (blockJob, error) {
	switch {
	case found.File != nil:
		c.files = append(c.files, *found.File)
		return nil, nil
	case found.Table != nil:
		if c.kind == packed.Patch {
			c.tables[found.Table.Tag] = found.Table.Payload
		}
		return nil, nil
	}
	b, file := found.Block, len(c.files)-1
	header := b.Type() == format.Invalid && isShard(c.files[file].Name)
	if b.Relative() && c.kind == packed.Patch {
		c.relative = append(c.relative, headerPiece{offset: b.Offset, bytes: int64(b.Bytes)})
	}
	return func(w *blockWorker) error {
		content, fault := w.check(c.kind, b)
		if fault != nil {
			c.add(Damage{Place: b.Place, What: fmt.Sprintf("a block is damaged: %v", fault)}, b.Offset)
		} else if header && content != nil {
			c.header(file, headerPiece{offset: b.Offset, data: content})
		}
		return nil
	}, nil
}

// check decodes a block as far as that can be done without anything else: of one that is coded against a base, or that
// repeats one before it, the checksum is compared. The content is nil then.
func (w *blockWorker) check(kind packed.FileKind, b *packed.Block) (content []byte, fault error) {
	if b.Repeated() || b.Relative() && kind == packed.Patch {
		if !b.Intact() {
			return nil, errors.New("its checksum differs")
		}
		return nil, nil
	}
	return w.decode(b, nil)
}

// checkTables checks the tables of a patch, and that every block which is coded against a base is of an item that does.
func (c *packCheck) checkTables(path string, content int64) {
	if c.kind != packed.Patch {
		return
	}
	t, err := patch.ParseTables(path, c.tables, content)
	if err != nil {
		c.add(Damage{Place: -1, What: detail(err)}, -1)
		return
	}
	for _, b := range c.relative {
		if err := t.CheckRelative(b.offset, b.bytes); err != nil {
			c.add(Damage{Place: -1, What: detail(err)}, b.offset)
		}
	}
}

// header keeps a piece of a shard's header, which names what is damaged.
func (c *packCheck) header(file int, p headerPiece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held += len(p.data); c.held > mostHeaders {
		return
	}
	p.data = bytes.Clone(p.data)
	c.headers[file] = append(c.headers[file], p)
}

// name finds the files and tensors that the damage concerns.
func (c *packCheck) name() {
	tensors := make(map[int]*safetensors.Header)
	for file, pieces := range c.headers {
		slices.SortFunc(pieces, func(a, b headerPiece) int { return cmp.Compare(a.offset, b.offset) })
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

// goOn checks the blocks behind the place where a pack was found damaged by the index, if that can be read.
func (o Options) goOn(ctx context.Context, src *scannedPack, c *packCheck) error {
	from := src.Place()
	if src.file == nil {
		c.v.Notes = append(c.v.Notes, fmt.Sprintf("nothing behind byte %d could be checked", from))
		return nil
	}
	a, err := src.archive()
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

// blocks has the workers check all blocks of an archive, and report each, in no order.
func (o Options) blocks(ctx context.Context, a *packed.Archive, report func(i int, err error)) error {
	var mu sync.Mutex
	buffers := sync.Pool{New: func() any { buffer := make([]byte, packed.MaxBlock); return &buffer }}
	return o.chunks(ctx, a.Blocks(), func(i int) chunked {
		return chunked{bytes: 1, each: func(int64, int64) error {
			buffer := buffers.Get().(*[]byte)
			defer buffers.Put(buffer)
			err := a.Check(i, *buffer)
			mu.Lock()
			defer mu.Unlock()
			report(i, err)
			return nil
		}}
	})
}
