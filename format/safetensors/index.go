package safetensors

import (
	"cmp"
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

// ParseIndex reads an index. Keys that it does not know are passed over, whatever
// their values; every fault is a [*format.Error]. A shard is a plain file name on
// every system: it leads neither out of the index's directory nor to a device.
func ParseIndex(path string, raw []byte) (*Index, error) {
	p := indexParser{
		scanner: scanner{path: path, src: raw},
		parsed:  Index{TotalSize: -1},
		begun:   make(map[string]int),
		shards:  make(map[string]string),
	}
	if err := p.index(); err != nil {
		return nil, err
	}
	ix := p.parsed // a copy: the parser holds raw
	return &ix, nil
}

// indexParser reads an index's JSON.
type indexParser struct {
	scanner
	parsed Index
	begun  map[string]int    // where each tensor's name stands
	shards map[string]string // every shard's name, once
}

func (p *indexParser) index() error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t.kind != tokenObject {
		return p.fault(format.KindJSON, t.start, "expected an object, found %v", t.kind)
	}
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
		return p.fault(format.KindKey, t.start, "the key %s is missing", weightMapKey)
	case len(p.parsed.WeightMap) == 0:
		return p.fault(format.KindIndex, t.start, "%s lists no tensor", weightMapKey)
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
	return p.members(func(key token) error {
		w := Weight{Name: p.text(key)}
		if first, again := p.begun[w.Name]; again {
			return p.tensorFault(format.KindDuplicate, w.Name, key.start, "it is listed twice, first at byte %d", first)
		}
		p.begun[w.Name] = key.start
		var err error
		w.Shard, err = p.shard(w.Name)
		p.parsed.WeightMap = append(p.parsed.WeightMap, w)
		return err
	})
}

// shard reads the name of the shard that holds a tensor.
func (p *indexParser) shard(tensor string) (string, error) {
	t, err := p.next()
	if err != nil {
		return "", err
	}
	if t.kind != tokenString {
		return "", p.tensorFault(format.KindType, tensor, t.start, "expected a string as the shard's name, found %v", t.kind)
	}
	if !t.escaped {
		if known, ok := p.shards[string(p.src[t.start+1:t.end-1])]; ok {
			return known, nil
		}
	}
	name := p.text(t)
	if fault := format.NameFault(name); fault != "" {
		return "", p.tensorFault(format.KindShardName, tensor, t.start, "expected a plain file name of a shard, found %q, which %s", excerpt(name), fault)
	}
	p.shards[name] = name
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
	dst = append(dst, "{\n  \""+indexMetadataKey+"\": {"...)
	if ix.TotalSize >= 0 {
		dst = append(dst, "\n    \""+totalSizeKey+"\": "...)
		dst = strconv.AppendInt(dst, ix.TotalSize, 10)
		dst = append(dst, "\n  "...)
	}
	dst = append(dst, "},\n  \""+weightMapKey+"\": {"...)
	weights := slices.SortedFunc(slices.Values(ix.WeightMap), func(a, b Weight) int { return cmp.Compare(a.Name, b.Name) })
	for i, w := range weights {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "\n    "...)
		dst = appendString(dst, w.Name)
		dst = append(dst, ": "...)
		dst = appendString(dst, w.Shard)
	}
	if len(weights) > 0 {
		dst = append(dst, "\n  "...)
	}
	return append(dst, "}\n}\n"...)
}
