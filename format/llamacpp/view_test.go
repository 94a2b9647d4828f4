package llamacpp

import (
	"fmt"
	"slices"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// held is a checkpoint of tensors in memory, which keeps what it is told of their bytes.
type held struct {
	format.Checkpoint
	tensors []format.Tensor
	data    [][]byte
	told    []string
}

func (c *held) Tensors() []format.Tensor { return c.tensors }

func (c *held) View(i int, off, n int64) (mmapio.View, error) {
	return mmapio.View{Data: c.data[i][off : off+n]}, nil
}

func (c *held) Advise(a mmapio.Advice, i int, off, n int64) {
	c.told = append(c.told, fmt.Sprintf("%d: [%d, %d)", i, off, off+n))
}

// counting is a tensor whose elements are their numbers, as far as its type holds these.
func counting(d format.DType, shape ...int64) *held {
	t := format.Tensor{Name: "t", DType: d, Shape: shape}
	values := make([]float32, t.Elements())
	for i := range values {
		values[i] = float32(i)
	}
	data := make([]byte, t.Bytes())
	format.Encode(d, data, values)
	return &held{tensors: []format.Tensor{t}, data: [][]byte{data}}
}

// shownAs are the values of the only tensor of a view.
func shownAs(t *testing.T, c *held, p part) []float32 {
	t.Helper()
	p.from, p.tensor = []int{0}, c.tensors[0]
	v, err := show(c, []part{p.widened()})
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, c.tensors[0].Elements())
	format.Decode(v.Tensors()[0].DType, values, bytesOf(t, v, 0))
	return values
}

// What is widened is so in pieces, each with its own elements.
func TestWidenedInPieces(t *testing.T) {
	c := counting(format.F32, 2*pieceElements+3)
	want := make([]float32, c.tensors[0].Elements())
	for i := range want {
		want[i] = float32(i + 1)
	}
	if got := shownAs(t, c, part{wide: true, add: 1}); !slices.Equal(got, want) {
		t.Errorf("%v … %v, want %v … %v", got[:3], got[pieceElements:pieceElements+3], want[:3], want[pieceElements:pieceElements+3])
	}
}

// A bias of a head has an element for each row, and they move as the rows do.
func TestBiasesOfHeads(t *testing.T) {
	c := counting(format.F32, 8)
	if got, want := shownAs(t, c, part{order: order{head: 4, toHub: true}}), []float32{0, 2, 1, 3, 4, 6, 5, 7}; !slices.Equal(got, want) {
		t.Errorf("in the Hub: %v, want %v", got, want)
	}
	c = counting(format.F32, 12)
	if got, want := shownAs(t, c, part{order: order{head: 6}, wide: true}), []float32{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}; !slices.Equal(got, want) {
		t.Errorf("in GGUF: %v, want %v", got, want)
	}
}

// Advice is of the bytes that are read: those of an expert where it begins, and whole heads of what is reordered.
func TestAdvice(t *testing.T) {
	c := counting(format.F32, 4, 8, 2)
	expert := format.Tensor{Name: "e", DType: format.F32, Shape: []int64{8, 2}}
	v, err := show(c, []part{
		{tensor: expert, from: []int{0}, begin: 2 * 16},
		{tensor: format.Tensor{Name: "q", DType: format.F32, Shape: []int64{32, 2}}, from: []int{0}, order: order{head: 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"e", "q"} {
		k, ok := v.Find(name)
		if !ok {
			t.Fatal(name)
		}
		v.Advise(mmapio.Soon, k, 8, 48)
		if want := []string{"0: [136, 184)", "0: [0, 64)"}[i]; len(c.told) != i+1 || c.told[i] != want {
			t.Errorf("%s: %q, want %q", name, c.told, want)
		}
	}
}

// Experts that are of different types are not put into one tensor.
func TestExpertsOfTwoTypes(t *testing.T) {
	h := inHub(t, "mixtral")
	i, ok := h.Checkpoint.Find("model.layers.1.block_sparse_moe.experts.2.w1.weight")
	if !ok {
		t.Fatal("there is no such expert")
	}
	other := slices.Clone(h.Checkpoint.Tensors())
	other[i].DType = format.F16
	if _, err := fromFolder(retyped{h.Checkpoint, other}, directory(t, h, nil)); format.KindOf(err) != format.KindDType {
		t.Error(err)
	}
}

// retyped is a checkpoint whose tensors are said to be others.
type retyped struct {
	format.Checkpoint
	tensors []format.Tensor
}

func (c retyped) Tensors() []format.Tensor { return c.tensors }

// Tensors are compared to their ends.
func TestSameBytes(t *testing.T) {
	c := counting(format.F32, 1<<18+1)
	c.tensors = append(c.tensors, c.tensors[0])
	c.data = append(c.data, slices.Clone(c.data[0]))
	if same, err := sameBytes(c, 0, 1); !same || err != nil {
		t.Error(same, err)
	}
	c.data[1][len(c.data[1])-1] ^= 1
	if same, err := sameBytes(c, 0, 1); same || err != nil {
		t.Error("a last byte is another,", same, err)
	}
}
