package sparsify

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// rowsOfMagnitudes are rows that bins are good at, and rows that they are bad at.
var rowsOfMagnitudes = map[string]func(r *rand.Rand) float64{
	"normal": func(r *rand.Rand) float64 { return r.NormFloat64() },
	"steps":  func(r *rand.Rand) float64 { return math.Round(8*r.NormFloat64()) / 512 },
	"steps, mostly": func(r *rand.Rand) float64 {
		return math.Round(8*r.NormFloat64()) + math.Round(r.Float64()*0.503)*r.Float64()
	},
	"fine-tuned": func(r *rand.Rand) float64 { // bfloat16 weights
		w := 0.02 * r.NormFloat64()
		pair := fusetest.Unpack(fusetest.Pack(format.BF16, []float64{w, w + 0.001*r.NormFloat64()}))
		return pair[1] - pair[0]
	},
	"equal":           func(r *rand.Rand) float64 { return 0.25 },
	"equal and zeros": func(r *rand.Rand) float64 { return float64(r.IntN(2)) },
	"alike":           func(r *rand.Rand) float64 { return 1 + float64(r.IntN(50))*0x1p-23 },
	"far outliers":    func(r *rand.Rand) float64 { return r.NormFloat64() * math.Exp(20*math.Round(r.Float64()*0.51)) },
	"all sizes":       func(r *rand.Rand) float64 { return math.Exp(160*r.Float64() - 90) },
	"denormal":        func(r *rand.Rand) float64 { return float64(r.IntN(300)) * 0x1p-149 },
	"largest":         func(r *rand.Rand) float64 { return []float64{1, math.MaxFloat32}[r.IntN(2)] },
	"zeros":           func(r *rand.Rand) float64 { return 0 },
}

// eachRow calls test with rows and the ranks of their elements, by a stable sort.
func eachRow(t *testing.T, lengths []int, test func(t *testing.T, r *rand.Rand, x []float32, rank []int)) {
	for name, draw := range rowsOfMagnitudes {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(61, 62))
			for _, n := range lengths {
				x, order, rank := make([]float32, n), make([]int, n), make([]int, n)
				for i := range x {
					x[i], order[i] = float32(math.Abs(draw(r))), i
				}
				slices.SortStableFunc(order, func(a, b int) int { return int(math.Float32bits(x[a])) - int(math.Float32bits(x[b])) })
				for place, i := range order {
					rank[i] = place
				}
				test(t, r, x, rank)
			}
		})
	}
}

var rowLengths = []int{1, 2, 3, 9, 31, 32, 33, 64, 100, 129, 1000, 8192, 70001}

func TestRowRanks(t *testing.T) {
	var ranks rowRanks
	eachRow(t, rowLengths, func(t *testing.T, r *rand.Rand, x []float32, want []int) {
		if !ranks.sort(x) {
			return
		}
		vec.AddLimits(ranks.limits, ranks.first, ranks.next, 0, 0, 0)
		for _, share := range []int{1, 3, 1 + len(x)/10} {
			open, left := make([]uint32, words(int64(len(x)))), 0
			for i, v := range x {
				if r.IntN(share) == 0 {
					open[i/32] |= 1 << (i % 32)
					if v > 0 {
						left++
					}
				}
			}
			ranks.find(open)
			if len(ranks.unsure) != left {
				t.Fatalf("%d of %d elements to rank", len(ranks.unsure), left)
			}
			for u, i := range ranks.unsure {
				if got := int(ranks.ranks[u]); got != want[i] {
					t.Fatalf("row of %d: %g, element %d, has rank %d, want %d", len(x), x[i], i, got, want[i])
				}
			}
		}
	})
}

// oneTile is a tensor that is one tile.
func oneTile(n int64) fuse.Tiling { return fuse.NewTiling(n, n).Grouped(n, n) }

// Every element but zeros is kept exactly if its number and its rank say so; those of other rows are
// left alone.
func TestChooseRow(t *testing.T) {
	var m rowMemory
	eachRow(t, rowLengths, func(t *testing.T, r *rand.Rand, x []float32, rank []int) {
		for _, o := range []odds{{0.35, 0.3}, {-0.1, 0.3}, {0.8, 0.4}, {0, 1}, {0.5, 0}, {0.5, 1e-7}, {0.3, 1e-10}, {0.05, 0.1}} {
			before, n := r.IntN(100), len(x)
			size := before + n + r.IntN(100)
			m.begin(&fuse.Span{Tiling: oneTile(int64(size)), Last: 1, Models: make([]fuse.Operand, 1)})
			copy(m.sizes[before:], x)
			m.draw(0, Noise(r.Uint64()))
			m.chooseRow(0, before, before+n, o)
			for i := range size {
				kept := m.kept[0][i/32]>>(i%32)&1 == 1
				if i < before || i >= before+n {
					if kept {
						t.Fatalf("element %d is in no row, and kept", i-before)
					}
					continue
				}
				p := 0.5
				if n > 1 {
					p = float64(rank[i-before]) / float64(n-1)
				}
				p = o.least + float64(o.span*p)
				if want := float64(m.numbers[i])/(1<<31) < p; kept != want && x[i-before] > 0 {
					t.Fatalf("row of %d, %+v: %g, element %d of rank %d, is kept: %v, want %v", n, o, x[i-before], i-before, rank[i-before], kept, want)
				}
			}
		}
	})
}

func BenchmarkChooseRow(b *testing.B) {
	for _, name := range []string{"normal", "fine-tuned", "equal", "far outliers"} {
		for _, n := range []int{64, 2048, 8192, 1 << 18} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				var m rowMemory
				size := int64(max(n, fuse.TileElements))
				m.begin(&fuse.Span{Tiling: oneTile(size), Last: 1, Models: make([]fuse.Operand, 1)})
				r := rand.New(rand.NewPCG(1, 1))
				for i := range m.sizes {
					m.sizes[i] = float32(math.Abs(rowsOfMagnitudes[name](r)))
				}
				for b.Loop() {
					m.draw(0, 7)
					for at := 0; at < int(size); at += n {
						m.chooseRow(0, at, at+n, odds{0.35, 0.3})
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/element")
			})
		}
	}
}

// What a worker holds of rows is no more than is said of it, whatever they are.
func TestRowBytes(t *testing.T) {
	const models = 2
	for _, shape := range [][]int64{{1}, {7, 3}, {300, 40}, {64, 211}, {9, 9001}, {262144}, {2, 270001}} {
		x := format.Tensor{Shape: shape}
		j := &fuse.Job{Shape: shape, DType: format.BF16, Tiling: fuse.NewTiling(x.Elements(), x.RowLen()), Models: make([]fuse.Contribution, models)}
		r, rows := rand.New(rand.NewPCG(63, 64)), rowsOf(j)
		var m rowMemory
		for _, draw := range rowsOfMagnitudes {
			lo, hi := m.begin(&fuse.Span{Tiling: rows.whole, Last: 1, Models: make([]fuse.Operand, models)})
			for k := range models {
				for i := range m.sizes {
					m.sizes[i] = float32(math.Abs(draw(r)))
				}
				m.draw(k, Noise(k))
				for at := lo; at < hi; at += rows.length {
					m.chooseRow(k, int(at), int(min(at+rows.length, hi)), odds{0, 1})
				}
			}
		}
		held := 4 * (cap(m.kept[0]) + cap(m.kept[1]) + cap(m.sizes) + cap(m.buffer) + cap(m.sure) + cap(m.open))
		held += 2*cap(m.ranks.bins) + 4*(cap(m.ranks.first)+cap(m.ranks.unsure)+cap(m.ranks.ranks)+cap(m.ranks.next)+cap(m.ranks.uneven)+cap(m.ranks.position)+cap(m.ranks.sorted)+cap(m.ranks.exact))
		held += 8*(cap(m.ranks.limits)+cap(m.ranks.keys[0])+cap(m.ranks.keys[1])) + cap(m.ranks.state)
		if operands := rows.whole.Longest() * (models + 2) * 2; int64(held) > rowBytes(j)-operands {
			t.Errorf("%v: holds %d bytes, and was to hold %d", shape, held, rowBytes(j)-operands)
		}
	}
}
