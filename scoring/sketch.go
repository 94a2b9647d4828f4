package scoring

import (
	"math"
	"math/bits"

	"weld/internal/vec"
)

// Figures of a sample.
const (
	sketchBlocks   = 256 // of a large tensor, each a cluster: rows differ more than their elements
	sketchFraction = 64  // of a smaller tensor, at most one element in so many is read
	BlockElements  = 256 // of each block
	PageElements   = 1024
	keptPerBlock   = 16   // where the divisor is known and blocks give scores alone
	pageBlocks     = 64   // of a large tensor, of PageElements each
	pageFraction   = 48   // of a smaller one, at most one element in so many is read
	modelBlocks    = 4096 // of a model at least, as long as that is no more than an eighth of it
	replicates     = 16   // parts of a sample that are compared with each other
	fewestBlocks   = 8    // that say something about a tensor's divisor
	divisorSigma   = 3.5  // standard deviations that it may be off: one in 2000 is by more, and is counted again
)

// Sketch is a sample of one tensor's raw scores: blocks of neighbours, spread over the
// tensor. Blocks may be put from several goroutines at once.
type Sketch struct {
	elements int64
	means    []float64 // of each block: of its scores, or of their squares
	kept     []float32 // the same number of scores of each block
	perBlock int
	patterns []uint32 // of each block: all bits that its scores have set
}

// NewSketch plans the sample of a tensor in a model of so many elements in all. The tensor's
// divisor is to be estimated from it too, unless that is known.
func NewSketch(elements, model int64, known bool) *Sketch {
	share := max(1, elements*SampleSize/model)
	blocks := (share + keptPerBlock - 1) / keptPerBlock
	if !known {
		blocks = max((share+BlockElements-1)/BlockElements, min(sketchBlocks, elements/(sketchFraction*BlockElements)))
	}
	return newSketch(elements, share, min(blocks, max(1, elements/(8*BlockElements))), BlockElements)
}

// NewPageSketch plans a sample that costs little to read from a disk: few blocks, of whole pages. It says enough of where a
// quantile lies, and little of the divisor.
func NewPageSketch(elements, model int64) *Sketch {
	return newSketch(elements, max(1, elements*SampleSize/model), PageBlocks(elements, model), PageElements)
}

// PageBlocks is how many blocks such a sample has of a tensor.
func PageBlocks(elements, model int64) int64 {
	blocks := max(min(pageBlocks, elements/(pageFraction*PageElements)), modelBlocks*elements/model)
	return max(1, min(blocks, elements/(8*PageElements)))
}

func newSketch(elements, share, blocks, most int64) *Sketch {
	s := &Sketch{elements: elements, means: make([]float64, blocks), patterns: make([]uint32, blocks)}
	s.perBlock = int(min(max(1, share/blocks), most))
	s.kept = make([]float32, int(blocks)*s.perBlock)
	return s
}

// Blocks is how many blocks are to be put, of at most BlockElements scores each.
func (s *Sketch) Blocks() int64 { return int64(len(s.means)) }

// Put notes block i.
func (n Normalization) Put(s *Sketch, i int64, raw []float32) {
	if len(raw) == 0 {
		return
	}
	if n == ByL2 {
		s.means[i] = vec.SumSquares(raw) / float64(len(raw))
	} else {
		s.means[i] = vec.Sum(raw) / float64(len(raw))
	}
	var pattern uint32
	for _, v := range raw {
		pattern |= math.Float32bits(v)
	}
	s.patterns[i] = pattern
	own := s.kept[int(i)*s.perBlock:][:s.perBlock]
	for j := range own {
		own[j] = raw[j*len(raw)/s.perBlock]
	}
}

// grain is how many trailing bits no score of the sample has set. Scores made of 16-bit
// numbers have many: a product of two bfloat16 leaves 8 of 24 bits unused.
func (s *Sketch) grain() uint {
	var pattern uint32
	for _, p := range s.patterns {
		pattern |= p
	}
	return uint(min(bits.TrailingZeros32(pattern), 16))
}

// divisor estimates the tensor's divisor from every step-th block, from the first on; from all
// where there are too few.
func (n Normalization) divisor(s *Sketch, first, step int) float64 {
	if len(s.means) < 2*step {
		first, step = 0, 1
	}
	var sum, count float64
	for i := first; i < len(s.means); i += step {
		sum += s.means[i]
		count++
	}
	switch n {
	case ByMean:
		return sum / count
	case ByL2:
		return math.Sqrt(sum / count * float64(s.elements))
	}
	return 1
}

// uncertainty is the relative error of [Normalization.divisor] that is hardly ever
// exceeded.
func (n Normalization) uncertainty(s *Sketch) float64 {
	if n == Raw {
		return 0
	}
	mean, deviation := moments(s.means)
	if len(s.means) < fewestBlocks || !(mean > 0) {
		return math.Inf(1)
	}
	e := divisorSigma * deviation / mean / math.Sqrt(float64(len(s.means)))
	if n == ByL2 {
		e /= 2
	}
	return e + 1e-5 // rounding to float32 among it
}

// moments are the mean and the standard deviation.
func moments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / float64(max(1, len(x)-1)))
}

// Bracket is where the k-th largest normalised score of a model lies, all but certainly.
type Bracket struct{ Low, High float32 }

// Estimate is what a sample says of it.
type Estimate struct {
	Bracket
	Value  float32 // the likeliest
	Inside float64 // share of the scores that lie in the bracket
}

// Estimate says where the k-th largest of all n scores lies. It goes by the sketches of a
// model's tensors, and by their scales where those are known (nil entries are not). Parts of the
// sample, each normalised by its own divisors, give estimates of their own. How much those differ
// bounds the error of the whole, what comes of sampling clusters included: so many standard deviations of the estimate.
func (n Normalization) Estimate(sketches []*Sketch, scales []*Scale, k, total int64, sigma float64) Estimate {
	e := estimator{n: n, sketches: sketches, scales: scales, share: float64(k) / float64(total)}
	kept := 0
	for _, s := range sketches {
		if s != nil {
			kept += len(s.kept)
		}
	}
	e.scores = make([]float32, 0, kept)
	whole := e.quantile(-1)
	values := make([]float64, replicates)
	for r := range values {
		values[r] = e.quantile(r)
	}
	_, deviation := moments(values)
	spread := sigma * deviation / math.Sqrt(replicates)
	const pad = 64 // units in the last place
	low := max(int64(bitsOf(float32(max(0, whole-spread))))-pad, 0)
	high := min(int64(bitsOf(float32(whole+spread)))+pad, infinityBits-1)
	b := Bracket{math.Float32frombits(uint32(low)), math.Float32frombits(uint32(high))}
	scores := e.load(-1)
	there, _ := vec.Between(e.scores, e.scores, b.Low, math.Nextafter32(b.High, math.MaxFloat32))
	return Estimate{b, min(max(float32(whole), b.Low), b.High), float64(there) / float64(max(1, scores))}
}

// estimator finds quantiles of a sample and of its parts.
type estimator struct {
	n        Normalization
	sketches []*Sketch
	scales   []*Scale
	share    float64
	scores   []float32
	finder   KthFinder
}

// quantile is that of one replicate, or of the whole sample where it is negative.
func (e *estimator) quantile(replicate int) float64 {
	e.load(replicate)
	n, _ := vec.Between(e.scores, e.scores, 0, math.Float32frombits(infinityBits)) // a small divisor makes infinities
	if n == 0 {
		return 0
	}
	value, _ := e.finder.find(e.scores[:n], 0, infinityBits, max(1, Rank(e.share, int64(n))))
	return float64(value)
}

// load fills scores with those of a replicate, normalised, and returns how many there are.
func (e *estimator) load(replicate int) int {
	e.scores = e.scores[:0]
	for t, s := range e.sketches {
		if s == nil {
			continue
		}
		first, step := 0, 1
		if replicate >= 0 { // tensors of few blocks take turns
			first, step = (replicate+t)%replicates, replicates
		}
		sc := Scale{Divisor: float32(e.n.divisor(s, first, step))}
		if e.scales[t] != nil {
			sc = *e.scales[t]
		}
		if !(sc.Divisor > 0) {
			sc = Scale{}
		}
		for i := first; i < len(s.means); i += step {
			at := len(e.scores)
			e.scores = append(e.scores, s.kept[i*s.perBlock:][:s.perBlock]...)
			sc.Apply(e.scores[at:])
		}
	}
	return len(e.scores)
}
