package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"weld/format"
)

// file is a whole file: a header and n bytes of data.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func read(b []byte) (*Header, error) {
	return ReadHeader("dir/m.safetensors", bytes.NewReader(b), int64(len(b)))
}

func entry(name string, dtype format.DType, begin, end int64, shape ...int64) Entry {
	return Entry{Tensor: format.Tensor{Name: name, DType: dtype, Shape: append([]int64{}, shape...)}, Begin: begin, End: end}
}

func TestReadHeader(t *testing.T) {
	for _, c := range []struct {
		name     string
		header   string
		data     int
		tensors  []Entry
		metadata map[string]string
		printed  string // without the padding
	}{
		{"empty", `{}`, 0, nil, nil, `{}`},
		{"empty metadata", `{"__metadata__":{}}`, 0, nil, map[string]string{}, `{"__metadata__":{}}`},
		{"metadata after tensors", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"z":"<&>","a":"\u00e9\n"}}`, 1,
			[]Entry{entry("a", format.U8, 0, 1, 1)}, map[string]string{"z": "<&>", "a": "é\n"},
			`{"__metadata__":{"a":"é\n","z":"<&>"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`},
		{"rank 0", `{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`, 8,
			[]Entry{entry("a", format.F64, 0, 8)}, nil, `{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`},
		{"keys in any order", `{"a":{"data_offsets":[0,8],"shape":[2,2],"dtype":"F16"}}`, 8,
			[]Entry{entry("a", format.F16, 0, 8, 2, 2)}, nil, `{"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}}`},
		{"tensors in any order", `{"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, 5,
			[]Entry{entry("a", format.U8, 0, 3, 3), entry("b", format.U8, 3, 5, 2)}, nil,
			`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}`},
		{"zero-size", `{"z":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}}`, 0,
			[]Entry{entry("z", format.F32, 0, 0, 2, 0)}, nil, `{"z":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}}`},
		{"zero-size between and at the ends keep the file's order",
			`{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},` +
				`"y":{"dtype":"I8","shape":[0],"data_offsets":[1,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},` +
				`"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"e":{"dtype":"U8","shape":[0,9223372036854775807],"data_offsets":[2,2]}}`, 2,
			[]Entry{entry("x", format.U8, 0, 0, 0), entry("a", format.U8, 0, 1, 1), entry("z", format.U8, 1, 1, 0), entry("y", format.I8, 1, 1, 0),
				entry("b", format.U8, 1, 2, 1), entry("e", format.U8, 2, 2, 0, 1<<63-1)}, nil, ""},
		{"unaligned", `{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}}`, 7,
			[]Entry{entry("a", format.U8, 0, 3, 3), entry("b", format.F32, 3, 7, 1)}, nil, ""},
		{"less than a byte an element", `{"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]},"b":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[3,6]}}`, 6,
			[]Entry{entry("a", format.F4, 0, 3, 3, 2), entry("b", format.F6E2M3, 3, 6, 4)}, nil, ""},
		{"white space", "\t\n {\r\"a\" : { \"dtype\" :\"U8\",\n\"shape\": [ 1 , 1 ] ,\"data_offsets\":[0 ,1]\t} }\n  ", 1,
			[]Entry{entry("a", format.U8, 0, 1, 1, 1)}, nil, `{"a":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]}}`},
		{"names", `{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0041é😀\"\\/\u0000":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},` +
			`"\ud83d\ude00":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__Metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0,
			[]Entry{entry("", format.U8, 0, 0, 0), entry("Aé😀\"\\/\x00", format.U8, 0, 0, 0), entry("😀", format.U8, 0, 0, 0), entry("__Metadata__", format.U8, 0, 0, 0)}, nil,
			`{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"Aé😀\"\\/\u0000":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},` +
				`"😀":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__Metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`},
		{"escaped keys", `{"\u005f_metadata__":{"\u0061":"b"},"a":{"d\u0074ype":"\u00558","sh\u0061pe":[],"data_\u006fffsets":[0,1]}}`, 1,
			[]Entry{entry("a", format.U8, 0, 1)}, map[string]string{"a": "b"},
			`{"__metadata__":{"a":"b"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`},
		{"null metadata, as MLX writes", `{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1,
			[]Entry{entry("a", format.U8, 0, 1, 1)}, nil, `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`},
		{"null metadata at the end", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__" : null }`, 1,
			[]Entry{entry("a", format.U8, 0, 1, 1)}, nil, ""},
		{"many dimensions", `{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 63) + `1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2,
			[]Entry{entry("a", format.U8, 0, 1, slices.Repeat([]int64{1}, format.MaxRank)...), entry("b", format.U8, 1, 2, 1)}, nil, ""},
	} {
		h, err := read(file(c.header, c.data))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := Header{Tensors: c.tensors, Metadata: c.metadata, DataStart: 8 + int64(len(c.header))}
		if !reflect.DeepEqual(*h, want) {
			t.Errorf("%s: got %+v\nwant %+v", c.name, *h, want)
		}
		printed := h.Append([]byte("x"))[1:]
		if got := strings.TrimRight(string(printed), " "); c.printed != "" && got != c.printed {
			t.Errorf("%s: printed %s\nwant %s", c.name, got, c.printed)
		}
		if len(printed)%8 != 0 || len(printed)-len(bytes.TrimRight(printed, " ")) > 7 {
			t.Errorf("%s: %d bytes printed, %q", c.name, len(printed), printed)
		}
		again, err := read(append(h.AppendFile(nil), make([]byte, c.data)...))
		if err != nil || !reflect.DeepEqual(again.Tensors, h.Tensors) || !reflect.DeepEqual(again.Metadata, h.Metadata) {
			t.Errorf("%s: read again %+v, %v", c.name, again, err)
		} else if twice := again.Append(nil); !bytes.Equal(twice, printed) {
			t.Errorf("%s: printed again %s\nwant %s", c.name, twice, printed)
		}
	}
}

// TestHeaderFaults pins what errors say. The kinds of all faults are pinned by the
// corpus in fuzz/testdata/malformed.
func TestHeaderFaults(t *testing.T) {
	const a = `"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}`
	for _, c := range []struct {
		header string
		data   int
		kind   format.Kind
		tensor string
		want   string
	}{
		{`[]`, 0, format.KindJSON, "", `byte 8: expected an object, found an array`},
		{`{` + a + `,}`, 4, format.KindJSON, "", `byte 61: expected a key, found '}'`},
		{`{` + a + `,"\u0061":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, 8, format.KindDuplicate, "a",
			`byte 61: it is described twice, first at byte 9`},
		{`{"a":null}`, 0, format.KindType, "a", `byte 13: expected an object as a tensor's description, found null`},
		{`{"a":{"dtype":"f32","shape":[],"data_offsets":[0,4]}}`, 4, format.KindDType, "a", `byte 22: expected a dtype of the format, such as F32, found "f32"`},
		{`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,4]}}`, 4, format.KindShape, "a", `byte 36: expected a dimension without sign, fraction and exponent, found -1`},
		{`{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]}}`, 4, format.KindOverflow, "a",
			`expected a dimension of at most 9223372036854775807, found 9223372036854775808`},
		{`{"a":{"dtype":"F32","shape":[2147483648,2147483648],"data_offsets":[0,4]}}`, 4, format.KindOverflow, "a", `byte 13: F32 of shape [2147483648 2147483648] is larger than any file`},
		{`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1, format.KindSize, "a", `F4 of shape [3] is 12 bits, which do not end on a byte`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, format.KindSize, "a", `F32 of shape [2] is 8 bytes, but data_offsets [0, 4] are 4`},
		{`{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,1]}}`, 1, format.KindSize, "a", `shape [1 1 1 1 1 1 1 1]… is 2 bytes`},
		{`{"a":{"dtype":"U8","shape":[1],"data_offsets":[4,3]}}`, 4, format.KindOffsets, "a", `expected data_offsets that do not fall, found [4, 3]`},
		{`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 4, format.KindOffsets, "a", `expected two data_offsets, found 3`},
		{`{"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]},` + a + `}`, 12, format.KindGap, "b", `expected it to begin at data offset 4, where tensor "a" ends, found 8`},
		{`{"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]},` + a + `}`, 12, format.KindOverlap, "b", `expected it to begin at data offset 4, where tensor "a" ends, found 2`},
		{`{` + a + `}`, 3, format.KindTruncated, "a", `expected data up to offset 4, found 3 bytes of data in the file, which is cut short: download or copy it again`},
		{`{` + a + `}`, 6, format.KindGap, "", `expected the file to end with the last tensor, at byte 65, found 2 more bytes`},
		{`{"__metadata__":{"n":3}}`, 0, format.KindMetadata, "", `byte 29: expected a string as __metadata__ "n", found a number`},
		{`{"a":{"` + strings.Repeat("é", 1000) + `":1}}`, 0, format.KindKey, "a", `found the key "` + strings.Repeat("é", 30) + `…"`},
	} {
		_, err := read(file(c.header, c.data))
		var fault *format.Error
		if !errors.As(err, &fault) || fault.Kind != c.kind || fault.Tensor != c.tensor || fault.Path != "dir/m.safetensors" || !strings.Contains(fault.Detail, c.want) {
			t.Errorf("%s\ngot %v (%q)\nwant %s (%q)", c.header, err, format.KindOf(err), c.want, c.kind)
		}
	}
}

// TestEmpty demands that an empty file, which a download that broke off leaves, is called that.
func TestEmpty(t *testing.T) {
	if _, err := ReadHeader("x", strings.NewReader(""), 0); err == nil || err.Error() != "x: the file is empty: download or copy it again" {
		t.Error(err)
	}
}

// TestDeclaredLength demands that a length is judged before it is believed.
func TestDeclaredLength(t *testing.T) {
	for _, c := range []struct {
		length uint64
		rest   int64
		kind   format.Kind
	}{
		{0, 100, format.KindHeaderSize},
		{MaxHeader + 1, 1 << 40, format.KindHeaderSize},
		{1 << 63, 1 << 40, format.KindHeaderSize},
		{1<<64 - 8, 1 << 40, format.KindHeaderSize},
		{MaxHeader, MaxHeader - 1, format.KindTruncated},
		{1, 0, format.KindTruncated},
	} {
		length := bytes.NewReader(binary.LittleEndian.AppendUint64(nil, c.length))
		var err error
		allocs := testing.AllocsPerRun(1, func() {
			_, err = ReadHeader("m.safetensors", length, 8+c.rest)
		})
		if format.KindOf(err) != c.kind || allocs > 20 {
			t.Errorf("%d of %d: %v, %v allocations", c.length, c.rest, err, allocs)
		}
	}
}

func TestReadHeaderFails(t *testing.T) {
	whole := file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4)
	for n := range len(whole) {
		_, err := read(whole[:n])
		if format.KindOf(err) != format.KindTruncated {
			t.Errorf("%d bytes: %v", n, err)
		}
		_, err = ReadHeader("m", bytes.NewReader(whole[:n]), int64(len(whole))) // it shrank
		if format.KindOf(err) != format.KindTruncated && n < len(whole)-4 {
			t.Errorf("%d bytes read: %v", n, err)
		}
	}
	broken := errors.New("disk on fire")
	_, err := ReadHeader("m", readerAt{iotest.ErrReader(broken)}, 100)
	if !errors.Is(err, broken) || format.KindOf(err) != "" {
		t.Errorf("got %v", err)
	}
}

// A header that is longer than what is held of it is read as one that is held whole, faults and their offsets included.
func TestLongHeader(t *testing.T) {
	const n = 20_000
	blank := strings.Repeat(" \n", 3*lookahead)
	tensors := func(faulty int, fault string) string {
		var b strings.Builder
		b.WriteString("{")
		for i := range n {
			space := ""
			if i%5000 == 77 {
				space = blank
			}
			begin := fmt.Sprint(i)
			if i == faulty {
				begin = fault
			}
			fmt.Fprintf(&b, `%s"layers.%d.weight"%s:%s{"dtype"%s:%s"U8"%s,"shape":[%s1%s,1],"data_offsets"%s:[%s%s,%s%d%s]%s},`, space, i, space, space, space, space, space, space, space, space, space, begin, space, i+1, space, space)
		}
		b.WriteString(`"__metadata__":{"k":"` + strings.Repeat("v", 4*lookahead) + `"}}` + blank)
		return b.String()
	}
	for _, c := range []struct{ name, header string }{
		{"sound", tensors(-1, "")},
		{"a fault at a tensor with space", tensors(5077, "x")},
		{"a fault of a whole description", tensors(15_077, "3")},
		{"an array of three", tensors(10_077, "1,1")},
		{"a fault far behind", tensors(n-2, "-1")},
		{"a name twice", strings.Replace(tensors(-1, ""), `"layers.19000.weight"`, `"layers.16000.weight"`, 1)},
		{"many dimensions", strings.Replace(tensors(-1, ""), `"shape":[1,1],"data_offsets":[18000`, `"shape":[`+strings.Repeat("1,", format.MaxRank)+`1],"data_offsets":[18000`, 1)},
		{"no shape", strings.Replace(tensors(-1, ""), `"shape":[1,1],"data_offsets":[17000`, `"data_offsets":[17000`, 1)},
		{"no end", tensors(-1, "") + "}"},
	} {
		whole := file(c.header, n)
		want, wantErr := ParseHeader("m", whole[lengthSize:][:len(c.header)], int64(len(whole)))
		sum := sha256.New()
		got, err := new(headerParser).read("m", bytes.NewReader(whole), int64(len(whole)), sum)
		if (c.name == "sound") != (err == nil) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: %v, want %v", c.name, err, wantErr)
		} else if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: another header", c.name)
		} else if err == nil && [sha256.Size]byte(sum.Sum(nil)) != sha256.Sum256(whole[:got.DataStart]) {
			t.Error("the digest is not that of the bytes before the data")
		}
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

// large is the header of a checkpoint of many tensors, in no order.
func large(n int) (h Header, size int64) {
	h.Tensors = make([]Entry, n)
	for i := range h.Tensors {
		x := format.Tensor{Name: fmt.Sprintf("model.layers.%d.mlp.experts.%d.down_proj.weight", i/256, i%256), DType: format.BF16, Shape: []int64{4096, 1024}}
		h.Tensors[i] = Entry{Tensor: x, Begin: size, End: size + x.Bytes()}
		size = h.Tensors[i].End
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { h.Tensors[i], h.Tensors[j] = h.Tensors[j], h.Tensors[i] })
	return h, size
}

func TestParseAllocations(t *testing.T) {
	const n = 2000
	h, size := large(n)
	raw := h.Append(nil)
	allocs := testing.AllocsPerRun(3, func() {
		if _, err := ParseHeader("m", raw, 8+int64(len(raw))+size); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1.2*n { // a name for each
		t.Errorf("%v allocations for %d tensors", allocs, n)
	}
}

func BenchmarkParseHeader(b *testing.B) {
	h, size := large(100_000)
	raw := h.Append(nil)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHeader("m", raw, 8+int64(len(raw))+size); err != nil {
			b.Fatal(err)
		}
	}
}
