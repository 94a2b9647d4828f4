package quant

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// compressedGoldens are what .ci/interop/quant_compressed_golden.py wrote.
var compressedGoldens = []string{"mixed", "narrow", "bf16", "earlier", "sparse", "sparse24"}

// contents are the values of a tensor.
func contents(t *testing.T, c format.Checkpoint, i int) []float32 {
	t.Helper()
	x := c.Tensors()[i]
	view, err := c.View(i, 0, x.Bytes())
	if err != nil {
		t.Fatalf("%s: %v", x.Name, err)
	}
	defer view.Release()
	values := make([]float32, x.Elements())
	format.Decode(x.DType, values, view.Data)
	return values
}

// Every value is that of the library to the bit; of a bfloat16 model, once it is rounded as the library rounds it. Every tensor that the library has is
// there, and nothing else.
func TestCompressedGoldens(t *testing.T) {
	for _, name := range compressedGoldens {
		t.Run(name, func(t *testing.T) {
			v, want := golden(t, "compressed-"+name)
			shown := 0
			for i, x := range v.Tensors() {
				j, ok := want.Find(x.Name)
				if !ok {
					if !strings.HasSuffix(x.Name, ".bias") {
						t.Errorf("%s is shown", x.Name)
					}
					continue
				}
				shown++
				got, ref := contents(t, v, i), contents(t, want, j)
				rounded := make([]byte, 2*len(got))
				if want.Tensors()[j].DType == format.BF16 {
					format.Encode(format.BF16, rounded, got)
					format.Decode(format.BF16, got, rounded)
				}
				for k := range ref {
					if math.Float32bits(got[k]) != math.Float32bits(ref[k]) {
						t.Errorf("%s, element %d: %v, the library %v", x.Name, k, got[k], ref[k])
						break
					}
				}
			}
			if all := len(want.Tensors()); shown != all {
				t.Errorf("%d of %d tensors", shown, all)
			}
		})
	}
}

// Any range of bytes is that of the whole.
func TestCompressedRanges(t *testing.T) {
	for _, name := range compressedGoldens {
		v, _ := golden(t, "compressed-"+name)
		for i := range v.Tensors() {
			holdRanges(t, v, i, whole(t, v, i))
		}
	}
}

// A tensor of several pieces, whose rows are longer than one: codes, zero points and scales of groups, with and without an order of the columns.
func TestCompressedPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const rows, cols, size = 3, 70_016, 64
	index := random(r, "a.weight_g_idx", format.I32, cols)
	for c := range r.Perm(cols) {
		put32(index.data[4*c:], uint32((c*37)%(cols/size)))
	}
	shape := stored{Tensor: format.Tensor{Name: "a.weight_shape", DType: format.I64, Shape: []int64{2}}, data: make([]byte, 16)}
	put32(shape.data, rows)
	put32(shape.data[8:], cols)
	packed := random(r, "a.weight_packed", format.I32, rows, cols*3/32)
	scales := random(r, "a.weight_scale", format.F32, rows, cols/size)
	zeros := random(r, "a.weight_zero_point", format.I32, 1, cols/size)
	for _, order := range []bool{false, true} {
		list := []stored{packed, scales, shape, zeros}
		if order {
			list = append(list, index)
		}
		v, err := Show(saved(t, list...), declare(`{"num_bits": 3, "group_size": 64, "symmetric": false}`, "pack-quantized"))
		if err != nil {
			t.Fatal(err)
		}
		factors := scales.numbers()
		got := contents(t, v, 0)
		code := func(data []byte, at int) (x float32) {
			for i := range 3 {
				x += float32(int(data[(3*at+i)/8]) >> ((3*at + i) % 8) & 1 << i)
			}
			return x - 4
		}
		for at := range got {
			row, col := at/cols, at%cols
			g := col / size
			if order {
				g = (col * 37) % (cols / size)
			}
			want := (code(packed.data[row*cols*3/8:], col) - code(zeros.data[4*g:], row)) * factors[row*cols/size+g]
			if got[at] != want {
				t.Fatalf("order %v, element %d: %v, not %v", order, at, got[at], want)
			}
		}
		holdRanges(t, v, 0, whole(t, v, 0))
	}
}

func put32(dst []byte, x uint32) {
	for i := range 4 {
		dst[i] = byte(x >> (8 * i))
	}
}

// declare is a configuration of one group.
func declare(weights, layout string) Declared {
	return Declared{Config: []byte(`{"quantization_config": {"quant_method": "compressed-tensors", "version": "0.20.1", "format": "` + layout + `",
		"config_groups": {"group_0": {"targets": ["Linear"], "weights": ` + weights + `}}, "ignore": ["re:.*head"]}}`)}
}

// Codes are those of the tables of OCP Microscaling Formats 1.0, the one of a sign alone among them.
func TestNarrowFloats(t *testing.T) {
	for mantissa, want := range map[int][]float32{
		1: {0, 0.5, 1, 1.5, 2, 3, 4, 6},
		3: {0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875,
			2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 3.75, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5},
	} {
		got := narrowFloats(mantissa)
		if len(got) != 2*len(want) {
			t.Fatalf("%d codes", len(got))
		}
		for i, x := range want {
			if y := got[len(want)+i]; got[i] != x || math.Float32bits(y) != math.Float32bits(x)|1<<31 {
				t.Errorf("code %d: %v and %v, not %v", i, got[i], y, x)
			}
		}
	}
}

// edited is a declaration with a text in place of another.
func edited(t *testing.T, d Declared, old, text string) Declared {
	t.Helper()
	config := strings.Replace(string(d.Config), old, text, 1)
	if config == string(d.Config) || !json.Valid([]byte(config)) {
		t.Fatalf("no %s in %s", old, d.Config)
	}
	return Declared{Config: []byte(config)}
}

// What is stored with scales alone can be written: neither zero points, nor an order of columns, nor a scale of scales.
func TestCompressedWritten(t *testing.T) {
	for name, want := range map[string][]string{"mixed": {"f8b", "f8c", "f8g", "f8t", "i8c", "i8t", "i8z", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "t4", "w4", "z3"}, "narrow": {"mx4", "mx6", "mx8", "nv", "nva"}, "sparse": nil} {
		c, _ := golden(t, "compressed-"+name)
		v := c.(*Decoded)
		var written []string
		for i, x := range v.Tensors() {
			if _, ok := v.Encoding(i); ok {
				written = append(written, strings.TrimSuffix(strings.TrimPrefix(x.Name, "layers."), ".weight"))
			}
		}
		for _, layer := range want {
			i, _ := v.Find("layers." + layer + ".weight")
			if e, ok := v.Encoding(i); !ok || e.Companions[0].Name != "layers."+layer+".weight_scale" {
				t.Errorf("%s is not written: %+v", layer, e)
			}
		}
		if slices.Sort(written); !slices.Equal(written, want) {
			t.Errorf("%s: %v are written", name, written)
		}
	}
}
