package safetensors

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"weld/format"
)

const (
	indexMetadataKey = "metadata"
	totalSizeKey     = "total_size"
	weightMapKey     = "weight_map"
)

// Index says which shard holds which tensor of a checkpoint, as the Hub's
// model.safetensors.index.json does.
type Index struct {
	TotalSize int64    // bytes of all tensors; -1 where the file does not say
	WeightMap []Weight // in the order of the file
}

// Weight is the name of a tensor and the file, in the index's own directory,
// that holds it.
type Weight struct {
	Name  string
	Shard string
}

// MaxIndex is the largest index, in bytes, that weld reads: of some ten million tensors. It is never in memory whole.
const MaxIndex = 1 << 30

// MaxShards is the most files that an index may name: all of them are held open.
const MaxShards = 1 << 16

// ParseIndex reads an index. Keys that it does not know are passed over, whatever
// their values; every fault is a [*format.Error]. A shard is a plain file name on
// every system: it leads neither out of the index's directory nor to a device.
func ParseIndex(path string, raw []byte) (*Index, error) {
	ix := &Index{TotalSize: -1}
	begun := make(map[string]int64)
	p := indexParser{scanner: scanner{path: path, src: raw}, parsed: ix}
	p.found = func(key []byte, shard string, at int64) error {
		name := string(key)
		if first, again := begun[name]; again {
			return p.listedTwice(name, at, first)
		}
		begun[name] = at
		ix.WeightMap = append(ix.WeightMap, Weight{name, shard})
		return nil
	}
	if err := p.index(); err != nil {
		return nil, err
	}
	return ix, nil
}

// ScanIndex reads an index as [ParseIndex] does, and holds but a piece of it: found is called with each tensor, whose name
// is good for the call, of its shard, and of where in the file it is listed. Whether one is listed twice is
// for found to say.
func ScanIndex(path string, r io.Reader, found func(name []byte, shard string, at int64) error) error {
	p := indexParser{scanner: scanner{path: path, more: named{r, path}}, parsed: new(Index), found: found}
	return p.index()
}

// named reads a file, whose path its errors have.
type named struct {
	io.Reader
	path string
}

func (n named) Read(p []byte) (int, error) {
	got, err := n.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read %s: %w", n.path, err)
	}
	return got, err
}

// indexParser reads an index's JSON.
type indexParser struct {
	scanner
	parsed *Index // all but the tensors
	found  func(name []byte, shard string, at int64) error
	listed int
	shards map[string]string // every shard's name, once
	last   string            // the shard of the last tensor
}

// listedTwice is the fault of a tensor at an offset of the file.
func (p *indexParser) listedTwice(name string, at, first int64) error {
	return p.tensorFault(format.KindDuplicate, name, p.at(at), "it is listed twice, first at byte %d", first)
}

func (p *indexParser) index() error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t.kind != tokenObject {
		return p.fault(format.KindJSON, t.start, "expected an object, found %v", t.kind)
	}
	begin := p.base + int64(t.start)
	var metadata, weightMap bool
	err = p.members(func(key token) error {
		switch {
		case p.is(key, indexMetadataKey):
			return p.once(&metadata, key, p.metadata)
		case p.is(key, weightMapKey):
			return p.once(&weightMap, key, p.weightMap)
		}
		return p.skip()
	})
	if err != nil {
		return err
	}
	if _, err := p.next(); err != nil {
		return err
	}
	switch {
	case !weightMap:
		return p.fault(format.KindKey, p.at(begin), "the key %s is missing", weightMapKey)
	case p.listed == 0:
		return p.fault(format.KindIndex, p.at(begin), "%s lists no tensor", weightMapKey)
	}
	return nil
}

// once reads the value of a key that must not have been there before.
func (p *indexParser) once(done *bool, key token, read func() error) error {
	if *done {
		return p.fault(format.KindDuplicate, key.start, "the key %s appears twice", p.text(key))
	}
	*done = true
	return read()
}

func (p *indexParser) object(what string) error {
	t, err := p.next()
	if err == nil && t.kind != tokenObject {
		err = p.fault(format.KindType, t.start, "expected an object as %s, found %v", what, t.kind)
	}
	return err
}

func (p *indexParser) metadata() error {
	if err := p.object(indexMetadataKey); err != nil {
		return err
	}
	var totalSize bool
	return p.members(func(key token) error {
		if p.is(key, totalSizeKey) {
			return p.once(&totalSize, key, p.totalSize)
		}
		return p.skip()
	})
}

// totalSize reads the size of all tensors. Some writers print it as a float.
func (p *indexParser) totalSize() error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t.kind != tokenNumber {
		return p.fault(format.KindType, t.start, "expected a number as %s, found %v", totalSizeKey, t.kind)
	}
	literal := string(p.src[t.start:t.end])
	n, kind := wholeNumber(literal)
	if kind != "" {
		return p.fault(kind, t.start, "expected a whole number from 0 to %d as %s, found %s", int64(math.MaxInt64), totalSizeKey, excerpt(literal))
	}
	p.parsed.TotalSize = n
	return nil
}

func (p *indexParser) weightMap() error {
	if err := p.object(weightMapKey); err != nil {
		return err
	}
	p.shards = make(map[string]string)
	return p.members(func(key token) error {
		name, at := p.bytes(key), p.base+int64(key.start)
		shard, err := p.shard(name)
		if err != nil {
			return err
		}
		p.listed++
		return p.found(name, shard, at)
	})
}

// shard reads the name of the shard that holds a tensor.
func (p *indexParser) shard(tensor []byte) (string, error) {
	t, err := p.next()
	if err != nil {
		return "", err
	}
	if t.kind != tokenString {
		return "", p.tensorFault(format.KindType, string(tensor), t.start, "expected a string as the shard's name, found %v", t.kind)
	}
	text := p.bytes(t)
	if p.last != "" && string(text) == p.last {
		return p.last, nil
	}
	name, known := p.shards[string(text)]
	if !known {
		name = string(text)
		if fault := format.NameFault(name); fault != "" {
			return "", p.tensorFault(format.KindShardName, string(tensor), t.start, "expected a plain file name of a shard, found %q, which %s", excerpt(name), fault)
		}
		if len(p.shards) == MaxShards {
			return "", p.tensorFault(format.KindIndex, string(tensor), t.start, "more than %d shards are named", MaxShards)
		}
		p.shards[name] = name
	}
	p.last = name
	return name, nil
}

// wholeNumber is the value of a JSON number if it is a whole one from 0 on that
// fits, however it is printed; otherwise the kind of fault that it is. It computes
// with the digits: a float would round.
func wholeNumber(literal string) (n int64, fault format.Kind) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	fraction = strings.TrimRight(fraction, "0")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return 0, ""
	}
	power, err := strconv.ParseInt(cmp.Or(exponent, "0"), 10, 32)
	switch {
	case negative || err != nil && power < 0:
		return 0, format.KindType
	case err != nil:
		return 0, format.KindOverflow
	}
	for ; power < int64(len(fraction)) && strings.HasSuffix(digits, "0"); power++ {
		digits = digits[:len(digits)-1]
	}
	switch zeros := power - int64(len(fraction)); {
	case zeros < 0:
		return 0, format.KindType
	case zeros > 18:
		return 0, format.KindOverflow
	default:
		digits += strings.Repeat("0", int(zeros))
	}
	n, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, format.KindOverflow
	}
	return n, ""
}

// Shards lists the names of the shards, each once, sorted.
func (ix *Index) Shards() []string {
	names := make([]string, len(ix.WeightMap))
	for i, w := range ix.WeightMap {
		names[i] = w.Shard
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Append prints the index as the Hub's tools do: indented by two spaces, and the
// tensors sorted by name. Names must be UTF-8.
func (ix *Index) Append(dst []byte) []byte {
	dst = appendIndexOpening(dst, ix.TotalSize)
	weights := slices.SortedFunc(slices.Values(ix.WeightMap), func(a, b Weight) int { return cmp.Compare(a.Name, b.Name) })
	for i, w := range weights {
		dst = w.append(dst, i == 0)
	}
	return appendIndexEnd(dst, len(weights) == 0)
}

// appendIndexOpening prints what comes before the tensors.
func appendIndexOpening(dst []byte, totalSize int64) []byte {
	dst = append(dst, "{\n  \""+indexMetadataKey+"\": {"...)
	if totalSize >= 0 {
		dst = append(dst, "\n    \""+totalSizeKey+"\": "...)
		dst = strconv.AppendInt(dst, totalSize, 10)
		dst = append(dst, "\n  "...)
	}
	return append(dst, "},\n  \""+weightMapKey+"\": {"...)
}

// append prints the tensor's member of the index.
func (w Weight) append(dst []byte, first bool) []byte {
	if !first {
		dst = append(dst, ',')
	}
	dst = append(dst, "\n    "...)
	dst = appendString(dst, w.Name)
	dst = append(dst, ": "...)
	return appendString(dst, w.Shard)
}

// appendIndexEnd prints what comes behind the tensors.
func appendIndexEnd(dst []byte, empty bool) []byte {
	if !empty {
		dst = append(dst, "\n  "...)
	}
	return append(dst, "}\n}\n"...)
}
