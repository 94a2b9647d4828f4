package quant

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"weld/format"
)

// What is stored of a weight in a scheme that has a name is what the library stores of it, byte for byte, and is declared as the library declares it
// (.ci/interop/quant_named_golden.py).
func TestNamedSchemesAreTheLibrarys(t *testing.T) {
	want := opened(t, filepath.Join("testdata", "named.safetensors"))
	weight := opened(t, filepath.Join("testdata", "named.want.safetensors"))
	values := whole(t, weight, 0)
	held := 0
	for _, n := range AllNamed() {
		plain := weight.Tensors()[0]
		plain.Name = n.Name + "." + plain.Name
		e, ok := n.Encoding(plain)
		if !ok {
			t.Fatalf("%s: no encoding", n.Name)
		}
		for _, s := range written(t, e, values) {
			i, ok := want.Find(s.Name)
			if !ok {
				t.Errorf("the library has no %s", s.Name)
				continue
			}
			held++
			x, data := want.Tensors()[i], whole(t, want, i)
			if x.DType != s.DType || !slices.Equal(x.Shape, s.Shape) {
				t.Errorf("%s is %v %v, not %v %v", s.Name, s.DType, s.Shape, x.DType, x.Shape)
			} else if !bytes.Equal(s.data, data) {
				t.Errorf("%s is\n%x, not\n%x", s.Name, s.data, data)
			}
		}
		var got, config any
		if err := json.Unmarshal(n.Declare([]string{"lm_head"}), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(format.Metadata(want)[n.Name]), &config); err != nil || !reflect.DeepEqual(got, config) {
			t.Errorf("%s: declared is\n%v, not\n%v (%v)", n.Name, got, config, err)
		}
	}
	if held != len(want.Tensors()) {
		t.Errorf("%d of %d tensors are held", held, len(want.Tensors()))
	}
}
