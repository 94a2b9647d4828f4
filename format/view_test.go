package format_test

import (
	"math"
	"strings"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// listing is a checkpoint of which only names and shapes are known.
type listing struct {
	format.Checkpoint
	tensors []format.Tensor
}

func (l listing) Path() string { return "x" }

func (l listing) Tensors() []format.Tensor { return l.tensors }

func TestCheckView(t *testing.T) {
	const small, large = 0, 1
	c := listing{tensors: []format.Tensor{{Name: "w", DType: format.F32, Shape: []int64{2, 3}}, {Name: "v", DType: format.U8, Shape: []int64{mmapio.MaxView + 1}}}}
	for _, x := range []struct {
		i      int
		off, n int64
		want   string
	}{
		{small, 0, 24, ""}, {small, 24, 0, ""}, {small, 5, 7, ""}, {large, 1, mmapio.MaxView, ""},
		{small, -1, 2, `x: tensor "w": bytes [-1, 1) are not inside its 24`},
		{small, 2, -1, "are not inside"}, {small, 25, 0, "are not inside"}, {small, 1, 24, "bytes [1, 25) are not inside its 24"},
		{small, math.MaxInt64, 1, "are not inside"}, {small, 1, math.MaxInt64, "are not inside"},
		{large, 0, mmapio.MaxView + 1, `x: tensor "v": a view of 67108865 bytes is over the limit of 67108864`},
	} {
		err := format.CheckView(c, x.i, x.off, x.n)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%d bytes from %d on: %v, want %q", x.n, x.off, err, x.want)
		}
	}
}
