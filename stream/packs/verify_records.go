package packs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"weld/format"
	"weld/format/dcp"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/format/torch"
	"weld/mmapio"
	"weld/stream/run"
)

// summedRecord is a record of a file of torch.save, and the file.
type summedRecord struct {
	torch.Record
	file int
}

// verifyRecords holds every record in the files of torch.save that a checkpoint is made of against the zip file's checksum. done is false where
// there are no such files, none with checksums, or others beside them, such as a component's safetensors.
func (o *Options) verifyRecords(ctx context.Context, c format.Checkpoint, v *Verification) (done bool, err error) {
	files, records, unsummed, err := o.records(c)
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	if err != nil || len(records) == 0 {
		return false, err
	}
	bytes := int64(0)
	for _, r := range records {
		bytes += r.Size
	}
	if unsummed > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("%d files, or parts of files, were saved without checksums (torch.serialization.set_crc32_options): of those the structure was checked", unsummed))
	}
	o.Progress.Begin(run.Phase{Name: "verify", Index: 1, Count: 1, Bytes: bytes})
	var mu sync.Mutex
	var next atomic.Int64
	err = run.Workers(ctx, o.Threads, nil, func(ctx context.Context) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(records) || ctx.Err() != nil {
				return nil
			}
			r := records[i]
			if what := o.sumsWrong(ctx, files[r.file], r); what != "" {
				mu.Lock()
				v.Damage = append(v.Damage, Damage{Place: -1, File: files[r.file].Path(), Tensor: tensorIn(c, files[r.file].Path(), r), What: what})
				mu.Unlock()
			}
		}
	})
	slices.SortFunc(v.Damage, func(a, b Damage) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.What, b.What)) })
	v.Notes = append(v.Notes, "structure and the zip files' checksums of all records were checked")
	return err != nil || !slices.ContainsFunc(c.Files(), func(f format.InputFile) bool { return safetensors.IsWeights(f.Path) && !safetensors.IsIndex(f.Path) }), err
}

// records lists those of the files of torch.save behind a checkpoint; unsummed counts files, or chunks in them, that have no checksums.
func (o *Options) records(c format.Checkpoint) (files []safetensors.Source, list []summedRecord, unsummed int, err error) {
	chunks := make(map[string][]dcp.Archive)
	dir := format.Beside(c)
	if slices.ContainsFunc(c.Files(), func(f format.InputFile) bool { return filepath.Base(f.Path) == dcp.MetadataName }) {
		all, err := dcp.Archives(dir)
		if err != nil {
			return nil, nil, 0, err
		}
		for _, a := range all {
			chunks[dir.Join(a.File)] = append(chunks[dir.Join(a.File)], a)
		}
	}
	for _, f := range c.Files() {
		ranges := chunks[f.Path]
		if torch.IsFile(f.Path) && !torch.IsIndex(f.Path) {
			ranges = []dcp.Archive{{Length: f.Info.Size()}}
		}
		if len(ranges) == 0 {
			continue
		}
		src, err := open.Source(f.Path, o.Read)
		if err != nil {
			return files, nil, 0, err
		}
		files = append(files, src)
		for _, a := range ranges {
			records, summed, err := torch.Records(f.Path, src, a.Begin, a.Length)
			if err != nil {
				return files, nil, 0, err
			}
			if !summed {
				unsummed++
				continue
			}
			for _, r := range records {
				list = append(list, summedRecord{r, len(files) - 1})
			}
		}
	}
	return files, list, unsummed, nil
}

// recordPiece is how much of a record is read at a time.
const recordPiece = 1 << 20

// sumsWrong says what is wrong with a record; "" for nothing.
func (o *Options) sumsWrong(ctx context.Context, src safetensors.Source, r summedRecord) string {
	sum := uint32(0)
	for off := int64(0); off < r.Size && ctx.Err() == nil; off += recordPiece {
		n := min(recordPiece, r.Size-off)
		view, err := src.View(r.Begin+off, n)
		if err == nil {
			err = mmapio.Guard([]mmapio.View{view}, func() error {
				sum = crc32.Update(sum, crc32.IEEETable, view.Data)
				return nil
			})
			view.Release()
		}
		if err != nil {
			return err.Error()
		}
		o.advance(n)
	}
	if sum != r.CRC && ctx.Err() == nil {
		return fmt.Sprintf("record %s, %d bytes from byte %d on: they are not those that were written, by the zip file's checksum", r.Name, r.Size, r.Begin)
	}
	return ""
}

// tensorIn names a tensor whose bytes lie in a record; "" for none.
func tensorIn(c format.Checkpoint, path string, r summedRecord) string {
	for i, t := range c.Tensors() {
		if file, begin := format.Stored(c, i); file != nil && file.Path() == path && begin >= r.Begin && begin < r.Begin+r.Size {
			return t.Name
		}
	}
	return ""
}
