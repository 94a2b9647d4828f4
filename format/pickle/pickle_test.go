package pickle

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var node = Global{"golden", "Node"}

func vocabulary() Vocabulary {
	v := Builtins()
	v[node] = Instance(node)
	return v
}

// TestGoldens reads what Python wrote in every protocol; .ci/interop/pickle_golden.py made it.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.?.pkl")
	if err != nil || len(files) != 4*6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		data := read(t, path)
		got, err := Read(data, Options{Vocabulary: vocabulary()})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		if want := strings.TrimSpace(string(read(t, "testdata/"+name+".txt"))); text(got) != want {
			t.Errorf("%s: %s, want %s", path, text(got), want)
		}
		for end := range data { // no beginning of a pickle is one
			if _, err := Read(data[:end], Options{Vocabulary: vocabulary()}); err == nil {
				t.Errorf("%s: cut after %d bytes, it is read", path, end)
			}
		}
	}
}

// text is a value as the script writes it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return map[bool]string{true: "True", false: "False"}[v]
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		switch {
		case math.IsInf(v, 1):
			return "inf"
		case v == 0:
			return map[bool]string{true: "-0x0.0p+0", false: "0x0.0p+0"}[math.Signbit(v)]
		}
		mantissa, power, _ := strings.Cut(strconv.FormatFloat(v, 'x', 13, 64), "p")
		n, _ := strconv.Atoi(power)
		return fmt.Sprintf("%sp%+d", mantissa, n)
	case string:
		return `"` + v + `"`
	case []byte:
		return fmt.Sprintf("b%x", v)
	case Tuple:
		return "(" + texts(v) + ")"
	case *List:
		return "[" + texts(v.Items) + "]"
	case *Set:
		all := strings.Fields(texts(v.Items))
		slices.Sort(all)
		return "<" + strings.Join(all, " ") + ">"
	case *Dict:
		var all []string
		for _, x := range v.Items {
			all = append(all, text(x.Key)+":"+text(x.Value))
		}
		return "{" + strings.Join(all, " ") + "}"
	case *Object:
		if v.State == nil {
			return v.Class.String() + "{}"
		}
		return v.Class.String() + text(v.State)
	}
	return fmt.Sprintf("%T", v)
}

func texts(values []any) string {
	var all []string
	for _, v := range values {
		all = append(all, text(v))
	}
	return strings.Join(all, " ")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSharedValuesAreOne(t *testing.T) {
	got, err := Read(read(t, "testdata/shared.2.pkl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := got.(*List).Items
	if l[0] != l[1] || l[2].(Tuple)[0] != l[0] {
		t.Errorf("%v: three lists", l)
	}
	got, err = Read(read(t, "testdata/loop.pkl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if loop := got.(*List); loop.Items[1].(Tuple)[0] != got {
		t.Error("a list that holds itself does not")
	}
}

func TestAttributes(t *testing.T) {
	o := &Object{State: &Dict{[]Item{{"a", int64(1)}, {"b", int64(2)}, {"a", int64(3)}}}}
	slots := &Object{State: Tuple{o.State, &Dict{[]Item{{"b", int64(4)}}}}}
	for _, x := range []struct {
		from *Object
		name string
		want any
	}{{o, "a", int64(3)}, {o, "c", nil}, {slots, "b", int64(4)}, {slots, "a", int64(3)}, {new(Object), "a", nil}} {
		if got, ok := x.from.Get(x.name); got != x.want || ok != (x.want != nil) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

// TestRefused walks through what is no pickle of a checkpoint.
func TestRefused(t *testing.T) {
	for _, x := range []struct{ name, pickle, want string }{
		{"empty", "", "no pickle of protocol 2"},
		{"text", "I1\n.", "no pickle of protocol 2"},
		{"protocol 6", "\x80\x06N.", "byte 0 of the pickle: protocol 6"},
		{"nothing left", "\x80\x02.", "stops with 0 values"},
		{"two values", "\x80\x02NN.", "stops with 2 values"},
		{"open mark", "\x80\x02(N.", "stops with 1 values"},
		{"more behind", "\x80\x02N.N", "1 more bytes"},
		{"no stop", "\x80\x02N", "ends too early"},
		{"text of INT", "\x80\x02I1\n.", "instruction 0x49"},
		{"extension", "\x80\x02\x82\x01.", "instruction 0x82"},
		{"buffer outside", "\x80\x05\x97.", "instruction 0x97"},
		{"pop of nothing", "\x80\x020.", "stack is empty"},
		{"pop below a mark", "\x80\x02N(\x85.", "stack is empty"},
		{"no mark", "\x80\x02t.", "no mark"},
		{"value not kept", "\x80\x02h\x07.", "value 7"},
		{"kept of nothing", "\x80\x02q\x00.", "stack is empty"},
		{"key without value", "\x80\x02}(Nu.", "a key without its value"},
		{"items of None", "\x80\x02NNa.", "items are added to None"},
		{"append to a dictionary", "\x80\x02}Na.", "items are added to a dictionary"},
		{"long of 9 bytes", "\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", "more than 64 bits"},
		{"long of 2⁶³", "\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", "more than 64 bits"},
		{"not UTF-8", "\x80\x02X\x01\x00\x00\x00\xff.", "not UTF-8"},
		{"longer than the file", "\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "ends too early"},
		{"call of a number", "\x80\x02K\x01)R.", "a call of an integer"},
		{"call of a value", "\x80\x02c__builtin__\nint\n)R.", "it asks for __builtin__.int"},
		{"call with a list", "\x80\x02ccollections\nOrderedDict\n]R.", "with a list"},
		{"call by names", "\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)}K\x01K\x02s\x92.", "arguments by name"},
		{"state of a list", "\x80\x02]Nb.", "a state for a list"},
		{"persistent", "\x80\x02)Q.", "outside of the pickle"},
		{"global of numbers", "\x80\x04K\x01K\x02\x93.", "not text"},
		{"set of a number", "\x80\x02c__builtin__\nset\nK\x01\x85R.", "a set made of an integer"},
		{"bytes of wide text", "\x80\x02c_codecs\nencode\nX\x02\x00\x00\x00\xc4\x80X\x06\x00\x00\x00latin1\x86R.", "larger characters"},
	} {
		_, err := Read([]byte(x.pickle), Options{Vocabulary: Builtins()})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

// TestForbidden holds that no name does anything that the vocabulary does not have.
func TestForbidden(t *testing.T) {
	for _, pickle := range []string{"\x80\x02cshutil\nrmtree\n.", "\x80\x04\x8c\x06shutil\x8c\x06rmtree\x93."} {
		_, err := Read([]byte(pickle), Options{Vocabulary: Builtins()})
		var forbidden *ForbiddenError
		if !errors.As(err, &forbidden) || forbidden.Global.String() != "shutil.rmtree" {
			t.Errorf("%q: %v", pickle, err)
		}
	}
}

// TestMemory holds that few bytes do not become many values.
func TestMemory(t *testing.T) {
	for name, pickle := range map[string]string{
		"values": "\x80\x02(" + strings.Repeat("N", 1000) + "t.",
		"marks":  "\x80\x02" + strings.Repeat("(", 10000),
		"memo":   "\x80\x04N" + strings.Repeat("\x94", 3000) + ".",
		"copies": "\x80\x02ccollections\nOrderedDict\nq\x01}(" + strings.Repeat("NN", 200) + "uq\x02" + strings.Repeat("0h\x01h\x02\x85R", 100) + ".",
	} {
		if _, err := Read([]byte(pickle), Options{Vocabulary: Builtins(), Memory: 40000}); err == nil || !strings.Contains(err.Error(), "40000 bytes of memory") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
