package format

import (
	"math"

	"weld/internal/vec"
)

// The functions here compute with elements as they are stored. Each gives the bits
// of decoding first; for bfloat16 into float32, the type that models come in, it takes
// one pass over a tile instead of two.

// direct is dst, if kernels compute into it straight from the bytes of elements of d.
func direct[T Float](d DType, dst []T) ([]float32, bool) {
	singles, ok := any(dst).([]float32)
	return singles, ok && d == BF16
}

// Values are elements where they lie, if memory has them as they are computed with.
func Values[T Float](d DType, data []byte) ([]T, bool) {
	if d != F32 {
		return nil, false
	}
	if singles, ok := vec.Floats(data); ok {
		values, ok := any(singles).([]T)
		return values, ok
	}
	return nil, false
}

// valuesOf are elements in T: where they lie, if memory has them so, and else decoded into buffer, which has as many
// elements.
func valuesOf[T Float](d DType, buffer []T, src []byte) []T {
	if values, ok := Values[T](d, src[:min(len(src), 4*len(buffer))]); ok {
		return values
	}
	Decode(d, buffer, src)
	return buffer
}

// Scale fills dst with w·x.
func Scale[T Float](d DType, dst []T, src []byte, w T) {
	if dst, ok := direct(d, dst); ok {
		vec.ScaleBF16(dst, src, float32(w))
		return
	}
	vec.Scale(dst, valuesOf(d, dst, src), w)
}

// Axpy adds w·x to acc, the product rounded before. Where x has to be decoded, that is in
// buffer, which has as many elements.
func Axpy[T Float](d DType, acc []T, w T, src []byte, buffer []T) {
	if acc, ok := direct(d, acc); ok {
		vec.AxpyBF16(acc, float32(w), src)
		return
	}
	vec.Axpy(acc, w, valuesOf(d, buffer, src))
}

// Delta fills dst with x − base, and 0 where both have the same bits.
func Delta[T Float](d DType, dst []T, src []byte, base []T) {
	if dst, ok := direct(d, dst); ok {
		vec.DeltaBF16(dst, src, any(base).([]float32))
		return
	}
	vec.Delta(dst, valuesOf(d, dst, src), base)
}

// Distance fills dst with |x − base|, and 0 where both have the same bits. What is not finite comes
// out as the largest finite number. Where base has to be decoded, that is in buffer, which has as
// many elements.
func Distance(dst []float32, dx DType, x []byte, db DType, base []byte, buffer []float32) {
	if dx == BF16 && db == BF16 {
		vec.DistanceBF16(dst, x, base)
		return
	}
	Decode(db, buffer, base)
	Delta(dx, dst, x, buffer)
	vec.Abs(dst, dst)
	infinity := float32(math.Inf(1))
	for at := 0; ; at++ {
		next := vec.FirstNonFinite(dst[at:], infinity)
		if next < 0 {
			return
		}
		at += next
		dst[at] = math.MaxFloat32
	}
}

// AxpyDelta adds w·(x − base) to acc, the difference 0 where both have the same bits. Where x has
// to be decoded, that is in buffer, which has as many elements.
func AxpyDelta[T Float](d DType, acc []T, w T, src []byte, base, buffer []T) {
	if acc, ok := direct(d, acc); ok {
		vec.AxpyDeltaBF16(acc, float32(w), src, any(base).([]float32))
		return
	}
	Delta(d, buffer, src, base)
	vec.Axpy(acc, w, buffer)
}

// Sum fills dst with Σ w·x over several models, all of type d: [Scale] of the first, then [Axpy] of the others. It reports false, and does
// nothing, if that is no faster than one by one.
func Sum[T Float](d DType, dst []T, x [][]byte, w []T) bool {
	singles, ok := direct(d, dst)
	if ok {
		vec.SumBF16(singles, x, any(w).([]float32))
	}
	return ok
}

// AddDeltas fills dst with base + λ·Σ w·(x − base) over several models, which are of type d as the base is: [AxpyDelta] of each to a sum that begins with 0,
// which is multiplied and added. It reports false, and does nothing, if that is no faster than one by one.
func AddDeltas[T Float](d DType, dst []T, base []byte, lambda T, x [][]byte, w []T) bool {
	singles, ok := direct(d, dst)
	if ok {
		vec.AddDeltasBF16(singles, base, float32(lambda), x, any(w).([]float32))
	}
	return ok
}

// Gram returns the inner products ⟨a,a⟩, ⟨a,b⟩ and ⟨b,b⟩ of elements in T. Where they have to be
// decoded, that is in bufferA and bufferB, which have as many elements.
func Gram[T Float](da DType, a []byte, db DType, b []byte, bufferA, bufferB []T) (aa, ab, bb float64) {
	if _, ok := direct(da, bufferA); ok && db == BF16 {
		return vec.GramBF16(a, b)
	}
	return vec.Gram(valuesOf(da, bufferA, a), valuesOf(db, bufferB, b))
}

// Abs fills dst with |x|.
func Abs(d DType, dst []float32, src []byte) {
	if d == BF16 {
		vec.AbsBF16(dst, src)
		return
	}
	Decode(d, dst, src)
	vec.Abs(dst, dst)
}

// MulAbs fills dst with |x|·|a|, and reports whether all products are finite. Where a has to be decoded, that is in buffer, which has as many
// elements.
func MulAbs(dst []float32, dx DType, x []byte, da DType, a []byte, buffer []float32) (finite bool) {
	if dx == BF16 && da == BF16 {
		return vec.MulAbsBF16(dst, x, a)
	}
	Decode(dx, dst, x)
	return MulAbsBy(dst, dst, da, a, buffer)
}

// MulAbsBy is [MulAbs] of decoded x.
func MulAbsBy(dst, x []float32, da DType, a []byte, buffer []float32) (finite bool) {
	if da == BF16 {
		return vec.MulAbsByBF16(dst, x, a)
	}
	Abs(da, buffer, a)
	vec.MulAbs(dst, x, buffer)
	return vec.FirstNonFinite(dst, float32(math.Inf(1))) < 0
}

// MulAbsDelta fills dst with |x − base|·|a|, the difference 0 where both have the same bits, and reports whether all products are finite: [Delta],
// then [MulAbsBy]. All three are of a type that has [DirectProducts].
func MulAbsDelta(dst []float32, x, base, a []byte) (finite bool) {
	return vec.MulAbsDeltaBF16(dst, x, base, a)
}

// DeltaMulAbs fills delta with x − base, as [Delta] does, and dst with |delta|·|a|, and reports whether all products are finite. x and a are of a type
// that has [DirectProducts].
func DeltaMulAbs(delta, dst []float32, x []byte, base []float32, a []byte) (finite bool) {
	return vec.DeltaMulAbsBF16(delta, dst, x, base, a)
}

// DirectProducts reports whether there are kernels that make products straight from the bytes of elements of type d.
func DirectProducts(d DType) bool { return d == BF16 }

// EncodeFinite is [Encode], and reports whether all that it wrote is finite.
func EncodeFinite[T Float](d DType, dst []byte, src []T) (finite bool) {
	if src, ok := direct(d, src); ok {
		return vec.EncodeBF16Finite(dst, src)
	}
	src = src[:len(dst)*8/d.Bits()]
	if values, ok := Values[T](d, dst); !ok || len(src) == 0 || &values[0] != &src[0] { // else they lie there already
		Encode(d, dst, src)
	}
	return vec.FirstNonFinite(src, Overflow[T](d)) < 0
}
