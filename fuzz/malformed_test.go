package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/gguf"
	"weld/format/safetensors"
)

var update = flag.Bool("update", false, "write the files of testdata/malformed")

const malformedDir = "testdata/malformed"

// specimen is a file with one fault.
type specimen struct {
	name   string
	bytes  []byte
	kind   format.Kind
	tensor string // that is at fault, or ""
	// lax says why the reference implementation lets the file pass, where weld is
	// deliberately stricter.
	lax string
}

// collection is the specimens of one format.
type collection struct {
	dir, ext  string
	specimens []specimen
	open      func(path string, file []byte) error
}

func (c collection) path(name string) string {
	return filepath.Join(malformedDir, c.dir, name+c.ext)
}

var collections = []collection{
	{"safetensors", ".safetensors", malformedSafetensors, func(path string, file []byte) error {
		_, err := safetensors.ReadHeader(path, bytes.NewReader(file), int64(len(file)))
		return err
	}},
	{"index", ".json", malformedIndexes, func(path string, file []byte) error {
		_, err := safetensors.ParseIndex(path, file)
		return err
	}},
	{"pack", ".weld", malformedPacks, scanPack},
	{"torch", ".pt", malformedTorch, openTorch},
	{"gguf", ".gguf", malformedGGUF, func(path string, file []byte) error {
		_, err := gguf.ReadHeader(path, bytes.NewReader(file), int64(len(file)))
		return err
	}},
	{"dcp", ".metadata", malformedDCP, openDCP},
	{"deepspeed", ".pt", malformedDeepSpeed, openDeepSpeed},
}

func TestMalformed(t *testing.T) {
	if *update {
		writeMalformed(t)
	}
	expected := readExpected(t)
	for _, c := range collections {
		for _, s := range c.specimens {
			id := c.dir + "/" + s.name
			t.Run(id, func(t *testing.T) {
				want, listed := expected[id]
				delete(expected, id)
				file, err := os.ReadFile(c.path(s.name))
				if err != nil || !listed || !bytes.Equal(file, s.bytes) || want != (expectation{s.kind, s.tensor}) {
					t.Fatalf("the file or its line in expected.txt is not what the table says (-update): %v", err)
				}
				demand(t, c, s.name, file, want)
			})
		}
		names, err := os.ReadDir(filepath.Join(malformedDir, c.dir))
		if err != nil || len(names) != len(c.specimens) {
			t.Errorf("%s: %d files for %d specimens, %v", c.dir, len(names), len(c.specimens), err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(expected)) {
		t.Errorf("expected.txt: %s is in no table", id)
	}
}

// demand opens a file and demands the error that is expected.
func demand(t *testing.T, c collection, name string, file []byte, want expectation) {
	t.Helper()
	err := c.open(c.path(name), file)
	var fault *format.Error
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want %s", err, want.kind)
	}
	if fault.Kind != want.kind || fault.Tensor != want.tensor {
		t.Errorf("got %s of tensor %q, want %s of %q: %v", fault.Kind, fault.Tensor, want.kind, want.tensor, err)
	}
	if fault.Path != c.path(name) || !strings.Contains(err.Error(), c.path(name)) || fault.Detail == "" {
		t.Errorf("the error does not say which file and what: %v", err)
	}
}

// expectation is a line of expected.txt.
type expectation struct {
	kind   format.Kind
	tensor string
}

const noTensor = "-"

// readExpected reads expected.txt: lines of collection/name, kind, and tensor or
// "-". What follows # is a comment.
func readExpected(t *testing.T) map[string]expectation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(malformedDir, "expected.txt"))
	if err != nil {
		t.Fatal(err)
	}
	expected := make(map[string]expectation)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 3 {
			t.Fatalf("expected.txt: %q", line)
		}
		e := expectation{kind: format.Kind(fields[1]), tensor: fields[2]}
		if e.tensor == noTensor {
			e.tensor = ""
		}
		expected[fields[0]] = e
	}
	return expected
}

// writeMalformed makes testdata/malformed from the tables.
func writeMalformed(t *testing.T) {
	t.Helper()
	var lines strings.Builder
	lines.WriteString("# file  kind of fault  tensor at fault (- for none)   # why the reference implementation accepts it\n")
	for _, c := range collections {
		dir := filepath.Join(malformedDir, c.dir)
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.specimens {
			if err := os.WriteFile(c.path(s.name), s.bytes, 0o666); err != nil {
				t.Fatal(err)
			}
			tensor := s.tensor
			if tensor == "" {
				tensor = noTensor
			}
			fmt.Fprintf(&lines, "%s/%s %s %s", c.dir, s.name, s.kind, tensor)
			if s.lax != "" {
				fmt.Fprintf(&lines, "  # %s", s.lax)
			}
			lines.WriteByte('\n')
		}
	}
	if err := os.WriteFile(filepath.Join(malformedDir, "expected.txt"), []byte(lines.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// seeds reads the specimens of one format, as they are on disk.
func seeds(f *testing.F, dir string) [][]byte {
	f.Helper()
	dir = filepath.Join(malformedDir, dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.Fatal(err)
	}
	var files [][]byte
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			f.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// sized is a file that declares n bytes of header.
func sized(n uint64, rest string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, n), rest...)
}

// file is a file with the length that its header has, and n bytes of data.
func file(header string, n int) []byte {
	return sized(uint64(len(header)), header+strings.Repeat("\x00", n))
}

// tensorA is a header in which "a", four bytes, has this for its description.
func tensorA(description string) []byte {
	return file(`{"a":`+description+`}`, 4)
}

// described is a header in which "a", four bytes of data, is described by these values.
func described(dtype, shape, offsets string) []byte {
	return tensorA(`{"dtype":` + dtype + `,"shape":` + shape + `,"data_offsets":` + offsets + `}`)
}

// bytesOf describes a tensor of bytes [begin, end).
func bytesOf(name string, begin, end int) string {
	return fmt.Sprintf(`"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}`, name, end-begin, begin, end)
}

// two is a header of the tensors "a" and "b", and n bytes of data.
func two(aBegin, aEnd, bBegin, bEnd, n int) []byte {
	return file(`{`+bytesOf("a", aBegin, aEnd)+`,`+bytesOf("b", bBegin, bEnd)+`}`, n)
}

// good is the header that specimens spoil, with four bytes of data.
var good = `{` + bytesOf("a", 0, 4) + `}`

const (
	laxName     = "the last of equal names wins"
	laxKey      = "unknown keys are passed over"
	laxSequence = "the fields of a structure may come as an array, in order"
	laxRank     = "a tensor has as many dimensions as its file says"
	laxEnum     = "a variant may be an object with null"
)

var malformedSafetensors = []specimen{
	// The length and what is there of it.
	{name: "empty", bytes: nil, kind: format.KindTruncated},
	{name: "length-cut", bytes: []byte("\x3c\x00\x00\x00\x00\x00\x00"), kind: format.KindTruncated},
	{name: "header-absent", bytes: sized(60, ""), kind: format.KindTruncated},
	{name: "header-cut", bytes: sized(uint64(len(good)), good[:len(good)-1]), kind: format.KindTruncated},
	{name: "length-zero", bytes: sized(0, good), kind: format.KindHeaderSize},
	{name: "length-over-limit", bytes: sized(safetensors.MaxHeader+1, good), kind: format.KindHeaderSize},
	{name: "length-sign-bit", bytes: sized(1<<63, good), kind: format.KindHeaderSize},
	{name: "length-wraps", bytes: sized(1<<64-8, good), kind: format.KindHeaderSize},
	{name: "length-big-endian", bytes: append([]byte("\x00\x00\x00\x00\x00\x00\x00\x36"), good...), kind: format.KindHeaderSize},
	{name: "length-one-less", bytes: sized(uint64(len(good)-1), good+"\x00\x00\x00\x00"), kind: format.KindJSON},
	{name: "length-one-more", bytes: sized(uint64(len(good)+1), good+"\x00\x00\x00\x00"), kind: format.KindJSON},

	// The data and what is there of it.
	{name: "data-absent", bytes: file(good, 0), kind: format.KindTruncated, tensor: "a"},
	{name: "data-cut", bytes: file(good, 3), kind: format.KindTruncated, tensor: "a"},
	{name: "data-cut-later", bytes: two(0, 2, 2, 6, 5), kind: format.KindTruncated, tensor: "b"},
	{name: "data-beyond-any-file", bytes: described(`"U8"`, `[1152921504606846975]`, `[0,1152921504606846975]`), kind: format.KindTruncated, tensor: "a"},

	// Encoding.
	{name: "utf8-name", bytes: file("{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4), kind: format.KindUTF8},
	{name: "utf8-metadata", bytes: file("{\"__metadata__\":{\"k\":\"\x80\"}}", 0), kind: format.KindUTF8},
	{name: "utf8-overlong", bytes: file("{\"__metadata__\":{\"k\":\"\xc0\xaf\"}}", 0), kind: format.KindUTF8},
	{name: "utf8-surrogate", bytes: file("{\"__metadata__\":{\"k\":\"\xed\xa0\x80\"}}", 0), kind: format.KindUTF8},
	{name: "utf8-beyond-unicode", bytes: file("{\"__metadata__\":{\"k\":\"\xf4\x90\x80\x80\"}}", 0), kind: format.KindUTF8},
	{name: "utf8-cut", bytes: file("{\"__metadata__\":{\"k\":\"\xe2\x82\"}}", 0), kind: format.KindUTF8},
	{name: "utf8-outside-strings", bytes: file("\xff\xff\xff\xff", 0), kind: format.KindUTF8},
	{name: "utf8-after-object", bytes: file("{}\xfe", 0), kind: format.KindUTF8},
	{name: "utf16", bytes: file("\xff\xfe{\x00}\x00", 0), kind: format.KindUTF8},

	// JSON.
	{name: "json-blank", bytes: file("        ", 0), kind: format.KindJSON},
	{name: "json-byte-order-mark", bytes: file("\ufeff{}", 0), kind: format.KindJSON},
	{name: "json-array", bytes: file("[]", 0), kind: format.KindJSON},
	{name: "json-string", bytes: file(`"a"`, 0), kind: format.KindJSON},
	{name: "json-null", bytes: file("null", 0), kind: format.KindJSON},
	{name: "json-open", bytes: file(`{`+bytesOf("a", 0, 4), 4), kind: format.KindJSON},
	{name: "json-open-string", bytes: file(`{"a`, 0), kind: format.KindJSON},
	{name: "json-trailing-comma", bytes: file(`{`+bytesOf("a", 0, 4)+`,}`, 4), kind: format.KindJSON},
	{name: "json-trailing-comma-array", bytes: described(`"U8"`, `[4,]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-leading-comma", bytes: file(`{,`+bytesOf("a", 0, 4)+`}`, 4), kind: format.KindJSON},
	{name: "json-no-comma", bytes: file(`{`+bytesOf("a", 0, 2)+` `+bytesOf("b", 2, 4)+`}`, 4), kind: format.KindJSON},
	{name: "json-no-colon", bytes: file(`{"a" {"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4), kind: format.KindJSON},
	{name: "json-wrong-bracket", bytes: described(`"U8"`, `[4}`, `[0,4]`), kind: format.KindJSON},
	{name: "json-two-objects", bytes: file(`{}{}`, 0), kind: format.KindJSON},
	{name: "json-nul-padding", bytes: file("{}\x00\x00\x00\x00\x00\x00", 0), kind: format.KindJSON},
	{name: "json-form-feed", bytes: file("{\f}", 0), kind: format.KindJSON},
	{name: "json-comment", bytes: file(`{/**/}`, 0), kind: format.KindJSON},
	{name: "json-single-quotes", bytes: file(`{'__metadata__':{}}`, 0), kind: format.KindJSON},
	{name: "json-bare-key", bytes: file(`{__metadata__:{}}`, 0), kind: format.KindJSON},
	{name: "json-leading-zero", bytes: described(`"U8"`, `[04]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-plus", bytes: described(`"U8"`, `[+4]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-hexadecimal", bytes: described(`"U8"`, `[0x4]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-fraction-without-digits", bytes: described(`"U8"`, `[4.]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-exponent-without-digits", bytes: described(`"U8"`, `[4e]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-minus", bytes: described(`"U8"`, `[-]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-nan", bytes: described(`"U8"`, `[NaN]`, `[0,4]`), kind: format.KindJSON},
	{name: "json-infinity", bytes: described(`"U8"`, `[4]`, `[0,Infinity]`), kind: format.KindJSON},
	{name: "json-python-none", bytes: file(`{"__metadata__":None}`, 0), kind: format.KindJSON},
	{name: "json-control-character", bytes: file("{\"__metadata__\":{\"k\":\"a\nb\"}}", 0), kind: format.KindJSON},
	{name: "json-unknown-escape", bytes: file(`{"__metadata__":{"k":"\x41"}}`, 0), kind: format.KindJSON},
	{name: "json-short-escape", bytes: file(`{"__metadata__":{"k":"\u041"}}`, 0), kind: format.KindJSON},
	{name: "json-lone-high-surrogate", bytes: file(`{"__metadata__":{"k":"\ud83d"}}`, 0), kind: format.KindJSON},
	{name: "json-lone-low-surrogate", bytes: file(`{"__metadata__":{"k":"\ude00"}}`, 0), kind: format.KindJSON},
	{name: "json-swapped-surrogates", bytes: file(`{"__metadata__":{"k":"\ude00\ud83d"}}`, 0), kind: format.KindJSON},
	{name: "json-surrogate-then-letter", bytes: file(`{"__metadata__":{"k":"\ud83d\u0041"}}`, 0), kind: format.KindJSON},

	// Names.
	{name: "rank-65", bytes: file(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 64)+`],"data_offsets":[0,1]}}`, 1), kind: format.KindShape, tensor: "a", lax: laxRank},
	{name: "duplicate-tensor", bytes: file(`{`+bytesOf("a", 0, 4)+`,`+bytesOf("a", 0, 4)+`}`, 4), kind: format.KindDuplicate, tensor: "a", lax: laxName},
	{name: "duplicate-tensor-escaped", bytes: file(`{`+bytesOf("a", 0, 4)+`,`+bytesOf(`\u0061`, 0, 4)+`}`, 4), kind: format.KindDuplicate, tensor: "a", lax: laxName},
	{name: "duplicate-tensor-empty", bytes: file(`{`+bytesOf("a", 0, 0)+`,`+bytesOf("a", 0, 0)+`}`, 0), kind: format.KindDuplicate, tensor: "a", lax: laxName},
	{name: "duplicate-dtype", bytes: tensorA(`{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}`), kind: format.KindDuplicate, tensor: "a"},
	{name: "duplicate-shape", bytes: tensorA(`{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}`), kind: format.KindDuplicate, tensor: "a"},
	{name: "duplicate-offsets", bytes: tensorA(`{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}`), kind: format.KindDuplicate, tensor: "a"},
	{name: "duplicate-shape-escaped", bytes: tensorA(`{"dtype":"U8","shape":[4],"sh\u0061pe":[4],"data_offsets":[0,4]}`), kind: format.KindDuplicate, tensor: "a"},
	{name: "duplicate-metadata", bytes: file(`{"__metadata__":{},"__metadata__":{}}`, 0), kind: format.KindDuplicate},
	{name: "duplicate-metadata-key", bytes: file(`{"__metadata__":{"k":"1","k":"2"}}`, 0), kind: format.KindDuplicate, lax: laxName},

	// Keys.
	{name: "key-none", bytes: tensorA(`{}`), kind: format.KindKey, tensor: "a"},
	{name: "key-no-dtype", bytes: tensorA(`{"shape":[4],"data_offsets":[0,4]}`), kind: format.KindKey, tensor: "a"},
	{name: "key-no-shape", bytes: tensorA(`{"dtype":"U8","data_offsets":[0,4]}`), kind: format.KindKey, tensor: "a"},
	{name: "key-no-offsets", bytes: tensorA(`{"dtype":"U8","shape":[4]}`), kind: format.KindKey, tensor: "a"},
	{name: "key-case", bytes: tensorA(`{"dType":"U8","shape":[4],"data_offsets":[0,4]}`), kind: format.KindKey, tensor: "a"},
	{name: "key-unknown", bytes: tensorA(`{"dtype":"U8","shape":[4],"data_offsets":[0,4],"stride":[1]}`), kind: format.KindKey, tensor: "a", lax: laxKey},

	// Types.
	{name: "type-tensor-null", bytes: tensorA(`null`), kind: format.KindType, tensor: "a"},
	{name: "type-tensor-array", bytes: tensorA(`["U8",[4],[0,4]]`), kind: format.KindType, tensor: "a", lax: laxSequence},
	{name: "type-tensor-string", bytes: tensorA(`"U8"`), kind: format.KindType, tensor: "a"},
	{name: "type-dtype-null", bytes: described(`null`, `[4]`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-dtype-number", bytes: described(`8`, `[4]`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-dtype-object", bytes: described(`{"U8":null}`, `[4]`, `[0,4]`), kind: format.KindType, tensor: "a", lax: laxEnum},
	{name: "type-shape-null", bytes: described(`"U8"`, `null`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-shape-number", bytes: described(`"U8"`, `4`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-dimension-string", bytes: described(`"U8"`, `["4"]`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-dimension-null", bytes: described(`"U8"`, `[4,null]`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-dimension-array", bytes: described(`"U8"`, `[[4]]`, `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-dimension-deep", bytes: described(`"U8"`, strings.Repeat("[", 500)+strings.Repeat("]", 500), `[0,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-offsets-null", bytes: described(`"U8"`, `[4]`, `null`), kind: format.KindType, tensor: "a"},
	{name: "type-offsets-object", bytes: described(`"U8"`, `[4]`, `{"0":0,"1":4}`), kind: format.KindType, tensor: "a"},
	{name: "type-offset-string", bytes: described(`"U8"`, `[4]`, `[0,"4"]`), kind: format.KindType, tensor: "a"},
	{name: "type-offset-null", bytes: described(`"U8"`, `[4]`, `[null,4]`), kind: format.KindType, tensor: "a"},
	{name: "type-offset-true", bytes: described(`"U8"`, `[1]`, `[0,true]`), kind: format.KindType, tensor: "a"},

	// Element types.
	{name: "dtype-unknown", bytes: described(`"F7"`, `[4]`, `[0,4]`), kind: format.KindDType, tensor: "a"},
	{name: "dtype-lower-case", bytes: described(`"u8"`, `[4]`, `[0,4]`), kind: format.KindDType, tensor: "a"},
	{name: "dtype-torch", bytes: described(`"float32"`, `[1]`, `[0,4]`), kind: format.KindDType, tensor: "a"},
	{name: "dtype-empty", bytes: described(`""`, `[4]`, `[0,4]`), kind: format.KindDType, tensor: "a"},
	{name: "dtype-space", bytes: described(`"U8 "`, `[4]`, `[0,4]`), kind: format.KindDType, tensor: "a"},

	// Shapes.
	{name: "shape-negative", bytes: described(`"U8"`, `[-4]`, `[0,4]`), kind: format.KindShape, tensor: "a"},
	{name: "shape-two-negatives", bytes: described(`"U8"`, `[-2,-2]`, `[0,4]`), kind: format.KindShape, tensor: "a"},
	{name: "shape-minus-zero", bytes: described(`"U8"`, `[4,-0]`, `[0,0]`), kind: format.KindShape, tensor: "a"},
	{name: "shape-fraction", bytes: described(`"U8"`, `[4.0]`, `[0,4]`), kind: format.KindShape, tensor: "a"},
	{name: "shape-exponent", bytes: described(`"U8"`, `[4e0]`, `[0,4]`), kind: format.KindShape, tensor: "a"},
	{name: "overflow-dimension", bytes: described(`"U8"`, `[18446744073709551620]`, `[0,4]`), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-dimension-signed", bytes: described(`"U8"`, `[9223372036854775808,0]`, `[0,0]`), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-elements", bytes: described(`"U8"`, `[4294967296,4294967297]`, `[0,4]`), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-elements-then-zero", bytes: described(`"U8"`, `[4294967296,4294967296,0]`, `[0,0]`), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-bytes", bytes: described(`"F32"`, `[4611686018427387905]`, `[0,4]`), kind: format.KindOverflow, tensor: "a"},

	// Offsets.
	{name: "offsets-none", bytes: described(`"U8"`, `[4]`, `[]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-one", bytes: described(`"U8"`, `[4]`, `[4]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-three", bytes: described(`"U8"`, `[4]`, `[0,4,4]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-swapped", bytes: described(`"U8"`, `[4]`, `[4,0]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-negative", bytes: described(`"U8"`, `[4]`, `[-4,0]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-minus-zero", bytes: described(`"U8"`, `[4]`, `[-0,4]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-fraction", bytes: described(`"U8"`, `[4]`, `[0,4.0]`), kind: format.KindOffsets, tensor: "a"},
	{name: "offsets-exponent", bytes: described(`"U8"`, `[4]`, `[0,4E0]`), kind: format.KindOffsets, tensor: "a"},
	{name: "overflow-offset", bytes: described(`"U8"`, `[4]`, `[0,18446744073709551620]`), kind: format.KindOverflow, tensor: "a"},

	// Sizes.
	{name: "size-too-small", bytes: described(`"U8"`, `[3]`, `[0,4]`), kind: format.KindSize, tensor: "a"},
	{name: "size-too-large", bytes: described(`"F32"`, `[2]`, `[0,4]`), kind: format.KindSize, tensor: "a"},
	{name: "size-scalar", bytes: described(`"U8"`, `[]`, `[0,4]`), kind: format.KindSize, tensor: "a"},
	{name: "size-of-nothing", bytes: described(`"F32"`, `[1,0]`, `[0,4]`), kind: format.KindSize, tensor: "a"},
	{name: "size-half-byte", bytes: described(`"F4"`, `[7]`, `[0,4]`), kind: format.KindSize, tensor: "a"},
	{name: "size-six-bits", bytes: described(`"F6_E3M2"`, `[5]`, `[0,4]`), kind: format.KindSize, tensor: "a"},

	// Places.
	{name: "gap-first", bytes: file(`{`+bytesOf("a", 4, 8)+`}`, 8), kind: format.KindGap, tensor: "a"},
	{name: "gap-between", bytes: two(0, 4, 5, 9, 9), kind: format.KindGap, tensor: "b"},
	{name: "gap-zero-size", bytes: two(0, 4, 5, 5, 5), kind: format.KindGap, tensor: "b"},
	{name: "gap-last", bytes: file(good, 5), kind: format.KindGap},
	{name: "gap-no-tensors", bytes: file(`{}`, 1), kind: format.KindGap},
	{name: "gap-archive-appended", bytes: append(file(good, 4), "PK\x05\x06"...), kind: format.KindGap},
	{name: "overlap-same", bytes: two(0, 4, 0, 4, 4), kind: format.KindOverlap, tensor: "b"},
	{name: "overlap-part", bytes: two(0, 4, 2, 6, 6), kind: format.KindOverlap, tensor: "b"},
	{name: "overlap-inside", bytes: two(0, 4, 1, 2, 4), kind: format.KindOverlap, tensor: "b"},
	{name: "overlap-zero-size", bytes: two(0, 4, 2, 2, 4), kind: format.KindOverlap, tensor: "b"},
	{name: "overlap-against-order", bytes: two(2, 4, 0, 3, 4), kind: format.KindOverlap, tensor: "a"},

	// Metadata.
	{name: "metadata-null-twice", bytes: file(`{"__metadata__":null,"__metadata__":{}}`, 0), kind: format.KindDuplicate},
	{name: "metadata-null-then-null", bytes: file(`{"__metadata__":null,"__metadata__":null}`, 0), kind: format.KindDuplicate},
	{name: "metadata-string", bytes: file(`{"__metadata__":"pt"}`, 0), kind: format.KindMetadata},
	{name: "metadata-array", bytes: file(`{"__metadata__":[["format","pt"]]}`, 0), kind: format.KindMetadata},
	{name: "metadata-number", bytes: file(`{"__metadata__":{"k":1}}`, 0), kind: format.KindMetadata},
	{name: "metadata-value-null", bytes: file(`{"__metadata__":{"k":null}}`, 0), kind: format.KindMetadata},
	{name: "metadata-true", bytes: file(`{"__metadata__":{"k":true}}`, 0), kind: format.KindMetadata},
	{name: "metadata-nested", bytes: file(`{"__metadata__":{"k":{"l":"m"}}}`, 0), kind: format.KindMetadata},
	{name: "metadata-list", bytes: file(`{"__metadata__":{"k":["v"]}}`, 0), kind: format.KindMetadata},
	{name: "metadata-is-tensor", bytes: file(`{`+bytesOf("__metadata__", 0, 4)+`}`, 4), kind: format.KindMetadata},
}

// placed is an index in which a shard of this name, as JSON, holds "a".
func placed(shard string) []byte {
	return []byte(`{"metadata":{"total_size":4},"weight_map":{"a":` + shard + `}}`)
}

// totalling is an index with this total size.
func totalling(size string) []byte {
	return []byte(`{"metadata":{"total_size":` + size + `},"weight_map":{"a":"s.safetensors"}}`)
}

var malformedIndexes = []specimen{
	{name: "empty", bytes: nil, kind: format.KindJSON},
	{name: "array", bytes: []byte(`[]`), kind: format.KindJSON},
	{name: "trailing-comma", bytes: []byte(`{"weight_map":{"a":"s.safetensors",}}`), kind: format.KindJSON},
	{name: "trailing-text", bytes: append(placed(`"s.safetensors"`), '}'), kind: format.KindJSON},
	{name: "ignored-key-malformed", bytes: []byte(`{"x":[1,{"y":tru}],"weight_map":{"a":"s.safetensors"}}`), kind: format.KindJSON},
	{name: "ignored-key-deep", bytes: []byte(`{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `,"weight_map":{"a":"s.safetensors"}}`), kind: format.KindJSON},
	{name: "lone-surrogate", bytes: placed(`"\ud800.safetensors"`), kind: format.KindJSON},
	{name: "utf8-shard", bytes: placed("\"\xff.safetensors\""), kind: format.KindUTF8},
	{name: "utf8-tensor", bytes: []byte("{\"weight_map\":{\"\xc3\":\"s.safetensors\"}}"), kind: format.KindUTF8},

	{name: "no-weight-map", bytes: []byte(`{"metadata":{"total_size":4}}`), kind: format.KindKey},
	{name: "weight-map-case", bytes: []byte(`{"Weight_Map":{"a":"s.safetensors"}}`), kind: format.KindKey},
	{name: "weight-map-empty", bytes: []byte(`{"metadata":{"total_size":0},"weight_map":{}}`), kind: format.KindIndex},
	{name: "weight-map-null", bytes: []byte(`{"weight_map":null}`), kind: format.KindType},
	{name: "weight-map-array", bytes: []byte(`{"weight_map":[["a","s.safetensors"]]}`), kind: format.KindType},
	{name: "shard-number", bytes: placed(`1`), kind: format.KindType, tensor: "a"},
	{name: "shard-null", bytes: placed(`null`), kind: format.KindType, tensor: "a"},
	{name: "shard-list", bytes: placed(`["s.safetensors"]`), kind: format.KindType, tensor: "a"},
	{name: "metadata-list", bytes: []byte(`{"metadata":[],"weight_map":{"a":"s.safetensors"}}`), kind: format.KindType},
	{name: "total-size-string", bytes: totalling(`"4"`), kind: format.KindType},
	{name: "total-size-null", bytes: totalling(`null`), kind: format.KindType},
	{name: "total-size-fraction", bytes: totalling(`4.5`), kind: format.KindType},
	{name: "total-size-negative", bytes: totalling(`-4`), kind: format.KindType},
	{name: "total-size-overflow", bytes: totalling(`9223372036854775808`), kind: format.KindOverflow},
	{name: "total-size-overflow-float", bytes: totalling(`1e99999`), kind: format.KindOverflow},

	{name: "duplicate-tensor", bytes: []byte(`{"weight_map":{"a":"s.safetensors","a":"t.safetensors"}}`), kind: format.KindDuplicate, tensor: "a"},
	{name: "duplicate-tensor-escaped", bytes: []byte(`{"weight_map":{"a":"s.safetensors","\u0061":"s.safetensors"}}`), kind: format.KindDuplicate, tensor: "a"},
	{name: "duplicate-weight-map", bytes: []byte(`{"weight_map":{"a":"s.safetensors"},"weight_map":{"b":"s.safetensors"}}`), kind: format.KindDuplicate},
	{name: "duplicate-metadata", bytes: []byte(`{"metadata":{},"metadata":{},"weight_map":{"a":"s.safetensors"}}`), kind: format.KindDuplicate},
	{name: "duplicate-total-size", bytes: totalling(`4,"total_size":4`), kind: format.KindDuplicate},

	{name: "shard-empty", bytes: placed(`""`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-dot", bytes: placed(`"."`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-dot-dot", bytes: placed(`".."`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-parent", bytes: placed(`"../s.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-parent-escaped", bytes: placed(`"\u002e\u002e\/s.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-parent-backslash", bytes: placed(`"..\\s.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-absolute", bytes: placed(`"/etc/passwd"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-subdirectory", bytes: placed(`"d/s.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-share", bytes: placed(`"\\\\host\\share\\s.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-drive", bytes: placed(`"C:s.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-stream", bytes: placed(`"s.safetensors:x"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-nul", bytes: placed(`"s\u0000.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-line-feed", bytes: placed(`"s\n.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-device", bytes: placed(`"NUL.safetensors"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-device-port", bytes: placed(`"com1"`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-trailing-dot", bytes: placed(`"s.safetensors."`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-trailing-space", bytes: placed(`"s.safetensors "`), kind: format.KindShardName, tensor: "a"},
	{name: "shard-of-second", bytes: []byte(`{"weight_map":{"a":"s.safetensors","b":"../s.safetensors"}}`), kind: format.KindShardName, tensor: "b"},
}
