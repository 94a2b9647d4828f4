package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"weld/format"
)

func TestParseIndex(t *testing.T) {
	const b = `"weight_map":{"b":"s2","\u0061":"s\u0031","c":"s2"}`
	weights := []Weight{{"b", "s2"}, {"a", "s1"}, {"c", "s2"}}
	for _, c := range []struct {
		text      string
		totalSize int64
	}{
		{`{` + b + `}`, -1},
		{` {"metadata":{},` + b + "}\n", -1},
		{`{"metadata":{"total_size":12},` + b + `}`, 12},
		{`{` + b + `,"metadata":{"total_size":12.0}}`, 12},
		{`{"metadata":{"total_size":1.2e9},` + b + `}`, 1_200_000_000},
		{`{"metadata":{"total_parameters":null,"total_size":0,"x":[{"total_size":1}]},` + b + `,"y":{"weight_map":null},"z":null,"z":[]}`, 0},
	} {
		ix, err := ParseIndex("model.safetensors.index.json", []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if ix.TotalSize != c.totalSize || !slices.Equal(ix.WeightMap, weights) {
			t.Errorf("%s: got %+v", c.text, ix)
		}
		if got := ix.Shards(); !slices.Equal(got, []string{"s1", "s2"}) {
			t.Errorf("%s: shards %q", c.text, got)
		}
	}
}

func TestIndexFaults(t *testing.T) {
	for _, c := range []struct {
		text   string
		kind   format.Kind
		tensor string
		want   string
	}{
		{`[]`, format.KindJSON, "", "byte 0: expected an object, found an array"},
		{`{}`, format.KindKey, "", "the key weight_map is missing"},
		{`{"weight_map":{}}`, format.KindIndex, "", "weight_map lists no tensor"},
		{`{"weight_map":{"a":"s","a":"s"}}`, format.KindDuplicate, "a", "byte 23: it is listed twice, first at byte 15"},
		{`{"weight_map":{"a":["s"]}}`, format.KindType, "a", "byte 19: expected a string as the shard's name, found an array"},
		{`{"weight_map":{"a":"../s"}}`, format.KindShardName, "a", `found "../s", which leads to another directory`},
		{`{"metadata":{"total_size":1.5},"weight_map":{"a":"s"}}`, format.KindType, "", "byte 26: expected a whole number"},
	} {
		_, err := ParseIndex("dir/i.json", []byte(c.text))
		var fault *format.Error
		if !errors.As(err, &fault) || fault.Kind != c.kind || fault.Tensor != c.tensor || fault.Path != "dir/i.json" || !strings.Contains(fault.Detail, c.want) {
			t.Errorf("%s\ngot %v (%q)\nwant %s (%q)", c.text, err, format.KindOf(err), c.want, c.kind)
		}
	}
}

func TestShardNames(t *testing.T) {
	for _, name := range []string{
		"model-00001-of-00002.safetensors", "a", "a..b", "..a", ".hidden", "a b", " a", "é.safetensors", "console", "con1.x", "com10", "lpt", "com", "nul_", "%2e%2e%2f", "~", "$HOME",
	} {
		if fault := format.NameFault(name); fault != "" {
			t.Errorf("%q %s", name, fault)
		}
	}
	for _, name := range []string{
		"", ".", "..", "...", "/etc/passwd", "../a", "a/../b", "a/b", "a/", `..\a`, `a\b`, `\\host\share`, "C:", "C:a", `C:\a`, "a:stream", "a\x00.safetensors", "a\nb", "a\x7f", "a.", "a ", ".. ",
		"con", "NUL", "nul.safetensors", "Aux .txt", "COM1", "lpt9.x.y", "com¹", "CONIN$", "conout$",
	} {
		if format.NameFault(name) == "" {
			t.Errorf("%q passes", name)
		}
	}
}

func TestWholeNumber(t *testing.T) {
	for _, c := range []struct {
		literal string
		want    int64
		fault   format.Kind
	}{
		{"0", 0, ""},
		{"-0", 0, ""},
		{"-0.00e+5", 0, ""},
		{"0e99999999999999999999", 0, ""},
		{"123", 123, ""},
		{"123.0", 123, ""},
		{"1.2e9", 1_200_000_000, ""},
		{"1.20E+9", 1_200_000_000, ""},
		{"0.0012e4", 12, ""},
		{"1200e-2", 12, ""},
		{"120000e-00000000000000000004", 12, ""},
		{"9007199254740993", 9007199254740993, ""},
		{"9007199254740993.0", 9007199254740993, ""},
		{"9223372036854775807", math.MaxInt64, ""},
		{"9.223372036854775807e18", math.MaxInt64, ""},
		{"9223372036854775808", 0, format.KindOverflow},
		{"1e19", 0, format.KindOverflow},
		{"1e99999999999999999999", 0, format.KindOverflow},
		{"-1", 0, format.KindType},
		{"1.5", 0, format.KindType},
		{"15e-1", 0, format.KindType},
		{"1e-99999999999999999999", 0, format.KindType},
		{"1e-2147483648", 0, format.KindType},
	} {
		if got, fault := wholeNumber(c.literal); got != c.want || fault != c.fault {
			t.Errorf("%s: got %d, %q, want %d, %q", c.literal, got, fault, c.want, c.fault)
		}
	}
}

func TestAppendIndex(t *testing.T) {
	ix := Index{TotalSize: 42, WeightMap: []Weight{{"b", "m-2.safetensors"}, {"a\"é", "m-1.safetensors"}}}
	want := `{
  "metadata": {
    "total_size": 42
  },
  "weight_map": {
    "a\"é": "m-1.safetensors",
    "b": "m-2.safetensors"
  }
}
`
	if got := string(ix.Append(nil)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	again, err := ParseIndex("i.json", ix.Append(nil))
	slices.Reverse(ix.WeightMap)
	if err != nil || !reflect.DeepEqual(*again, ix) {
		t.Errorf("read again %+v, %v", again, err)
	}
	none := Index{TotalSize: -1}
	if got, want := string(none.Append(nil)), "{\n  \"metadata\": {},\n  \"weight_map\": {}\n}\n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// An index that is read piece by piece says what it says in one, wherever pieces end; names may be longer than they.
func TestScanIndex(t *testing.T) {
	var want Index
	for i := range 40_000 {
		want.WeightMap = append(want.WeightMap, Weight{fmt.Sprintf("model.layers.%d.mlp.\"experts\".é.weight", i), fmt.Sprintf("model-%05d.safetensors", i/1000)})
	}
	want.WeightMap = append(want.WeightMap, Weight{"z" + strings.Repeat("é", 3*lookahead), "last"})
	text := want.Append(nil)
	var got []Weight
	err := ScanIndex("i.json", iotest.HalfReader(bytes.NewReader(text)), func(name []byte, shard string, at int64) error {
		if text[at] != '"' || text[at-1] != ' ' {
			t.Fatalf("%q is listed at byte %d, where %q stands", name[:20], at, text[at-1:at+20])
		}
		got = append(got, Weight{string(name), shard})
		return nil
	})
	whole, wrong := ParseIndex("i.json", text)
	if err != nil || wrong != nil || !slices.Equal(got, whole.WeightMap) || len(got) != 40_001 {
		t.Errorf("%d of %d tensors, %v, %v", len(got), len(whole.WeightMap), err, wrong)
	}
	broken := errors.New("disk on fire")
	err = ScanIndex("i.json", io.MultiReader(bytes.NewReader(text[:len(text)/4]), iotest.ErrReader(broken)), func([]byte, string, int64) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	// Faults far behind the beginning say where they are.
	at := bytes.LastIndex(text, []byte("model-00030"))
	text[at] = '/'
	for _, err := range []error{
		ScanIndex("i.json", bytes.NewReader(text), func([]byte, string, int64) error { return nil }),
		errorOf(ParseIndex("i.json", text)),
	} {
		if format.KindOf(err) != format.KindShardName || !strings.Contains(err.Error(), fmt.Sprintf("byte %d:", at-1)) {
			t.Errorf("got %v", err)
		}
	}
}

func errorOf(_ *Index, err error) error { return err }

// An index of more shards than could be opened is refused while it is read.
func TestTooManyShards(t *testing.T) {
	text := []byte(`{"weight_map":{`)
	for i := range 200_000 {
		text = fmt.Appendf(text, "\"%d\":\"%d.safetensors\",\n", i, i)
	}
	text = append(text, `"z":"z"}}`...)
	read := bytes.NewReader(text)
	err := ScanIndex("i.json", read, func([]byte, string, int64) error { return nil })
	if format.KindOf(err) != format.KindIndex || !strings.Contains(err.Error(), "more than 65536 shards") || read.Len() == 0 {
		t.Errorf("got %v, %d bytes left", err, read.Len())
	}
}
