package methods

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// single-tensor merges for the methods that measure a tensor before it is merged, held against
// implementations over whole tensors in float64, with sorts.

// oneTensor is a merge of one tensor.
type oneTensor struct {
	method     string
	dtype      format.DType // of the sources
	out        format.DType
	shape      []int64
	base       []float64
	models     [][]float64
	importance [][]float64 // nil for a model whose file lacks the tensor
	shared     Params
	own        []Params
}

func (m oneTensor) inputs() *fusetest.Merge {
	x := format.Tensor{Shape: m.shape}
	j := fuse.Job{Name: "x", Shape: m.shape, DType: m.out, Wide: m.dtype == format.F64, Tiling: fuse.NewTiling(x.Elements(), x.RowLen()), Params: m.shared}
	in := &fusetest.Merge{Base: fusetest.Weights{fusetest.Pack(m.dtype, m.base)}}
	for k, v := range m.models {
		c := fuse.Contribution{}
		if k < len(m.own) {
			c.Params = m.own[k]
		}
		importance := fusetest.Weights{fuse.Operand{}}
		if k < len(m.importance) && m.importance[k] != nil {
			c.Importance = true
			importance[0] = fusetest.Pack(format.F32, m.importance[k])
		}
		in.Importance = append(in.Importance, importance)
		j.Models = append(j.Models, c)
		if v == nil {
			j.Models[k].Absent = true
			in.Models = append(in.Models, fusetest.Weights{fuse.Operand{}})
			continue
		}
		in.Models = append(in.Models, fusetest.Weights{fusetest.Pack(m.dtype, v)})
	}
	in.Jobs = []fuse.Job{j}
	return in
}

// merged runs the method with spans cut in several ways, which must not matter.
func (m oneTensor) merged(t *testing.T) []float64 {
	t.Helper()
	in := m.inputs()
	var first []byte
	for seed := range uint64(3) {
		got := in.Drive(t, merging(m.method, in.Jobs, fuse.StopNonfinite), seed)[0]
		if seed > 0 && !bytes.Equal(got, first) {
			t.Fatalf("%s of %v %v: spans decide about the result", m.method, m.dtype, m.shape)
		}
		first = got
	}
	return fusetest.Unpack(fuse.Operand{DType: m.out, Data: first})
}

// sources are base and models as they are after rounding to their type, and the task vectors in
// the precision of the merge.
func (m oneTensor) sources() (base []float64, theta, delta [][]float64) {
	in := m.inputs()
	base = fusetest.Unpack(in.Base[0])
	for _, s := range in.Models {
		if s[0].Data == nil {
			continue
		}
		x := fusetest.Unpack(s[0])
		d := make([]float64, len(x))
		for i := range d {
			if d[i] = x[i] - base[i]; m.dtype != format.F64 {
				d[i] = float64(float32(d[i]))
			}
		}
		theta, delta = append(theta, x), append(delta, d)
	}
	return base, theta, delta
}

func (m oneTensor) String() string {
	return fmt.Sprintf("%s of %d × %v %v, %v", m.method, len(m.models), m.dtype, m.shape, m.shared)
}

// hold compares with what was expected.
func (m oneTensor) hold(t *testing.T, want []float64, tolerance float64) {
	t.Helper()
	got := m.merged(t)
	if len(got) != len(want) {
		t.Fatalf("%v: %d elements, want %d", m, len(got), len(want))
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > tolerance*max(math.Abs(want[i]), 1) {
			t.Fatalf("%v: element %d: %v, want %v", m, i, got[i], want[i])
		}
	}
}

// tolerance is how near a merge of sources of a type comes to float64.
func (m oneTensor) tolerance() float64 {
	if m.dtype == format.F64 {
		return 1e-12
	}
	return 1e-6
}

// oddShapes have vectors, short and long rows, lines that are cut by tiles, and next to nothing.
var oddShapes = [][]int64{
	{}, {1}, {5}, {8192}, {8193}, {30011}, {1, 1}, {7, 1}, {3, 5}, {211, 97}, {2, 8192}, {3, 9001}, {2, 30001},
	{40, 2, 7}, {3, 2000, 3}, {5, 3, 7001}, {2, 2, 2, 9001}, {9, 1024}, {3, 7, 1200}, {2, 11, 1500}, {0, 4}, {4, 0},
}

// drawOne makes a merge of random values: on a coarse grid, where much is equal, or not.
func drawOne(r *rand.Rand, method string, dtype format.DType, shape []int64, models int, grid bool) oneTensor {
	m := oneTensor{method: method, dtype: dtype, out: dtype, shape: shape, shared: Params{}}
	if dtype != format.F64 {
		m.out = format.F32
	}
	n, _ := format.Elements(shape)
	value := func(scale float64) float64 {
		if grid {
			return float64(r.IntN(9)-4) / 64
		}
		return scale * r.NormFloat64()
	}
	m.base = make([]float64, n)
	for i := range m.base {
		m.base[i] = value(1)
	}
	for range models {
		x := slices.Clone(m.base)
		scale := math.Exp(r.NormFloat64() - 3)
		for i := range x {
			if r.IntN(4) > 0 {
				x[i] += value(scale)
			}
		}
		m.models = append(m.models, x)
	}
	return m
}

// oneByOne calls with merges of all shapes and types.
func oneByOne(t *testing.T, method string, most int, call func(r *rand.Rand, m oneTensor, grid bool)) {
	r := rand.New(rand.NewPCG(11, uint64(len(method))))
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		for _, shape := range oddShapes {
			for _, grid := range []bool{false, true} {
				call(r, drawOne(r, method, dtype, shape, 1+r.IntN(most), grid), grid)
			}
		}
	}
}

// The vectors that mergekit was shown.
var (
	shownBase = []float64{.5, -.25, .125, 1, -1, .75, 0, .3}
	shownX    = []float64{.6, -.2, .125, .8, -1.1, .7, .05, .35}
	shownY    = []float64{.45, -.35, .2, 1.1, -.8, .78, .02, .2}
)

func shown(method string, shared Params, models ...[]float64) oneTensor {
	return oneTensor{method: method, dtype: format.F32, out: format.F32, shape: []int64{2, 4}, base: shownBase, models: models, shared: shared}
}

// threeModels are those of the golden cases.
func threeModels(names ...string) (models []goldenModel) {
	for _, name := range names {
		models = append(models, goldenModel{name: name})
	}
	return models
}

// BenchmarkMeasured takes a tensor of 16 Mi elements in bfloat16 through all stages.
func BenchmarkMeasured(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, method := range []string{"sce", "arcee_fusion", "ram", "ramplus_tl", "fisher"} {
		for _, shape := range [][]int64{{2048, 8192}, {512, 32768}} {
			models := 3
			if method == "arcee_fusion" {
				models = 1
			}
			m := drawOne(r, method, format.BF16, shape, models, false)
			m.out = format.BF16
			m.shared = Params{"select_topk": 0.3, "epsilon": 1e-5, "r": 0.1, "alpha": 0.2}
			for range models {
				m.own = append(m.own, Params{"weight": 1, "statistic": 0})
				m.importance = append(m.importance, m.base)
			}
			in := m.inputs()
			b.Run(fmt.Sprintf("%s/%d", method, shape[1]), func(b *testing.B) {
				b.SetBytes(int64(len(m.base)))
				out := make([]byte, len(in.Base[0].Data))
				var s fuse.Scratch
				for b.Loop() {
					for _, st := range merging(method, in.Jobs, fuse.PropagateNonfinite).Fuse(0) {
						if o, ok := st.(fuse.Optional); ok && o.Skip() {
							continue
						}
						tiling := in.Jobs[0].Tiling
						if sampling, ok := st.(fuse.Sampling); ok {
							tiling = sampling.Tiling()
						}
						n := tiling.Count()
						for first := int64(0); first < n; first += 64 {
							if err := st.Span(&s, in.Cut(0, tiling, st.Reads(), first, min(n, first+64), out)); err != nil {
								b.Fatal(err)
							}
						}
						st.End()
					}
				}
			})
		}
	}
}
