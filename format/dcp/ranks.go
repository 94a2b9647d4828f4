package dcp

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"weld/format"
	"weld/format/gather"
	"weld/format/safetensors"
	"weld/format/torch"
)

// HuggingFaceStorageWriter with save_distributed writes safetensors of each rank: every file has boxes of tensors under the tensors' whole names, and
// its header says where in the tensor each begins. There is no .metadata. Source: torch/distributed/checkpoint/hf_storage.py and _hf_utils.py of
// torch 2.15 (SHARDED_FILE_NAME, DCP_SHARDING_INFO).

// ranked is the name of such a file: of which rank, which of the files that it wrote, and how many of those there can be.
var ranked = regexp.MustCompile(`^shard-(\d{5,9})-model-(\d{5,9})-of-(\d{5,9})\.safetensors$`)

// shardingKey is the key of a header's metadata under which the places of boxes are.
const shardingKey = "DCP_SHARDING_INFO"

// IsOfRanks reports whether the weights of a directory are such files, and nothing else.
func IsOfRanks(dir format.Folder) bool {
	names, others := ofRanks(dir)
	return len(names) > 0 && !others
}

// ofRanks lists such files of a directory; others says whether there are other safetensors.
func ofRanks(dir format.Folder) (names []string, others bool) {
	entries, _ := dir.ReadDir(".")
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir():
		case ranked.MatchString(name):
			names = append(names, name)
		case safetensors.IsWeights(name):
			others = true
		}
	}
	return names, others
}

// OpenRanks opens a directory of such files. open opens one by name.
func OpenRanks(dir format.Folder, open func(name string) (torch.Source, error)) (*torch.Checkpoint, error) {
	names, _ := ofRanks(dir)
	ranks, err := complete(dir, names)
	if err != nil {
		return nil, err
	}
	r := &ranksReading{dir: dir, at: make(map[string]int)}
	for _, name := range names {
		if err := r.file(name, open); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	list := make([]torch.Placed, 0, len(r.tensors))
	for _, t := range r.tensors {
		p, err := t.placed(dir.Path())
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		list = append(list, p)
	}
	note := fmt.Sprintf("%s: it is put together from the files of %d ranks, shard-00001-… to shard-%05d-…; nothing in them says that there were no more", dir.Path(), ranks, ranks)
	return torch.Assemble(dir.Path(), dir, r.sources, r.files, list, []string{note})
}

// complete demands a file of every rank up to the last, and of every number that files have, and returns how many ranks there are.
func complete(dir format.Folder, names []string) (ranks int, err error) {
	fault := func(text string, args ...any) error {
		return &format.Error{Path: dir.Path(), Kind: format.KindMissing, Detail: fmt.Sprintf(text, args...)}
	}
	ofRank, ofNumber, count := make(map[int]bool), make(map[int]bool), ""
	for _, name := range names {
		m := ranked.FindStringSubmatch(name)
		rank, _ := strconv.Atoi(m[1])
		number, _ := strconv.Atoi(m[2])
		if count != "" && m[3] != count {
			return 0, &format.Error{Path: dir.Path(), Kind: format.KindIndex, Detail: fmt.Sprintf("files of two checkpoints are there: of %s, and of %s, such as %s", count, m[3], name)}
		}
		count = m[3]
		ofRank[rank], ofNumber[number] = true, true
		ranks = max(ranks, rank)
	}
	for rank := 1; rank <= ranks; rank++ {
		if !ofRank[rank] {
			return 0, fault("no file shard-%05d-… is there, of %d ranks or more", rank, ranks)
		}
	}
	files, _ := strconv.Atoi(count)
	for number := 1; number <= files; number++ {
		if !ofNumber[number] {
			return 0, fault("no file …-model-%05d-of-%s is there, of any rank", number, count)
		}
	}
	return ranks, nil
}

// ranksReading is a directory of files of ranks that is being read.
type ranksReading struct {
	dir     format.Folder
	sources []torch.Source
	files   []format.InputFile
	tensors []*spread
	at      map[string]int // of tensors, by name
}

// spread is a tensor whose boxes are in files of several ranks.
type spread struct {
	format.Tensor
	pieces []gather.Piece
	count  int // of boxes, those without elements included
}

func (r *ranksReading) close() error {
	var errs []error
	for _, s := range r.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// file reads the header of a file, and takes its boxes.
func (r *ranksReading) file(name string, open func(name string) (torch.Source, error)) error {
	src, err := open(name)
	if err != nil {
		return err
	}
	number := len(r.sources)
	r.sources = append(r.sources, src)
	header, err := safetensors.ReadHeader(src.Path(), src, src.Size())
	if err != nil {
		return err
	}
	info, ok := header.Metadata[shardingKey]
	if !ok {
		return &format.Error{Path: src.Path(), Kind: format.KindMetadata, Detail: "its name is one that HuggingFaceStorageWriter gives to what a rank wrote, and its header has no " + shardingKey}
	}
	var places map[string]struct {
		Offsets []int64 `json:"saved_offsets"`
	}
	if err := json.Unmarshal([]byte(info), &places); err != nil {
		return &format.Error{Path: src.Path(), Kind: format.KindMetadata, Detail: shardingKey + " does not say where tensors begin", Err: err}
	}
	digest := sha256.New()
	for _, e := range header.Tensors {
		place, ok := places[e.Name]
		if !ok || len(place.Offsets) != len(e.Shape) {
			return &format.Error{Path: src.Path(), Tensor: e.Name, Kind: format.KindMetadata, Detail: fmt.Sprintf("%s does not say where it begins, in %d dimensions", shardingKey, len(e.Shape))}
		}
		fmt.Fprintf(digest, "%q %v %v %v %d\n", e.Name, e.DType, e.Shape, place.Offsets, header.DataStart+e.Begin)
		if err := r.box(number, e, header.DataStart+e.Begin, place.Offsets); err != nil {
			return err
		}
	}
	r.files = append(r.files, format.InputFile{Path: src.Path(), Info: src.Info(), Digest: [sha256.Size]byte(digest.Sum(nil))})
	return nil
}

// box takes a box of a tensor.
func (r *ranksReading) box(number int, e safetensors.Entry, begin int64, offset []int64) error {
	fault := func(kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: r.sources[number].Path(), Tensor: e.Name, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	k, known := r.at[e.Name]
	if !known {
		k = len(r.tensors)
		r.at[e.Name] = k
		r.tensors = append(r.tensors, &spread{Tensor: format.Tensor{Name: e.Name, DType: e.DType, Shape: make([]int64, len(e.Shape))}})
	}
	t := r.tensors[k]
	if t.DType != e.DType || len(t.Shape) != len(e.Shape) {
		return fault(format.KindShape, "it is %v in %d dimensions here, and %v in %d elsewhere", e.DType, len(e.Shape), t.DType, len(t.Shape))
	}
	for d, at := range offset {
		if at < 0 || at+e.Shape[d] < at {
			return fault(format.KindOffsets, "it begins at %v", offset)
		}
		t.Shape[d] = max(t.Shape[d], at+e.Shape[d])
	}
	t.count++
	if n, _ := format.Elements(e.Shape); n > 0 {
		if e.DType.Bits()%8 != 0 && known {
			return fault(format.KindDType, "parts of a tensor of %v, whose elements share bytes", e.DType)
		}
		t.pieces = append(t.pieces, gather.Piece{Source: number, Begin: begin, Offset: offset, Shape: e.Shape, Strides: gather.Rows(e.Shape)})
	}
	return nil
}

// placed puts a tensor together.
func (t *spread) placed(path string) (torch.Placed, error) {
	p := torch.Placed{Tensor: t.Tensor}
	l := &gather.Layout{Shape: t.Shape, Width: t.DType.Align(), Pieces: t.pieces}
	slices.SortFunc(l.Pieces, func(a, b gather.Piece) int { return slices.Compare(a.Offset, b.Offset) })
	if len(t.pieces) == 1 && t.count == 1 && slices.Equal(t.pieces[0].Shape, t.Shape) { // whole: also of elements that share bytes
		p.Source, p.Begin = t.pieces[0].Source, t.pieces[0].Begin
		return p, nil
	}
	if err := l.Check(); err != nil {
		return p, &format.Error{Path: path, Tensor: t.Name, Kind: format.KindShape, Detail: fmt.Sprintf("put its parts in %d files together: %v; are files of a rank missing?", t.count, err)}
	}
	if len(l.Pieces) > 0 {
		p.Source, p.Begin = l.Pieces[0].Source, l.Pieces[0].Begin
	}
	if len(l.Pieces) != 1 {
		p.Layout = l
	}
	return p, nil
}
