// Package vec holds the kernels weld computes with: loops over one tile, a
// slice of a few thousand elements that sits in cache.
//
// It knows numbers: the bits of every floating dtype, float32 and float64
// arithmetic, comparisons, sums. It never knows files, tensors, goroutines or
// merge methods; those are written with these kernels instead of with loops.
//
// # Slices
//
// The first slice decides the length n (of an encoder: len(dst) divided by the
// width of an element; bytes that do not fill one are left alone). Every other
// slice must hold at least n elements, more are not looked at. n may be 0. A
// shorter slice is a mistake of the caller and panics, as indexing would.
// Slices may be the same one, so that a kernel works in place, but must not
// overlap otherwise. Byte slices are little-endian and need no alignment.
// No kernel allocates, starts a goroutine or keeps a slice.
//
// # Rounding
//
// Every product, sum, quotient and root is rounded by itself to the type of its
// operands, to nearest with ties to even. Nothing is ever fused: a product
// that is summed is written T(a*b) + c, because the conversion is what forbids
// the compiler to fuse the two. (Assembly may, where a product is exact anyway.) Denormals are values like others, never flushed.
//
// # Sums
//
// [Sum], [SumAbs], [SumAbsBits], [SumSquares], [Dot] and [Gram] convert each element to float64 and
// add it to one of 16 lanes, element i to lane i mod 16, in order of i. At the
// end the lanes are folded: lane[j] += lane[j+8] for j < 8, then + 4, + 2 and
// + 1. This order is part of the result: whatever width of register computes
// it, the sum has the same bits. A lane starts at +0 and can never become -0,
// so adding +0 to the lanes a short tail does not reach changes nothing.
//
// # NaN
//
// Decoders keep NaNs: sign and payload move to the leading bits of the wider
// significand, and all but bfloat16 and float32, which are only moved, come out
// quiet. Encoders write one NaN, the positive quiet NaN without payload (the
// table is at [EncodeBF16]). In between a NaN propagates as IEEE 754 has it;
// which payload survives is not specified. Comparisons with NaN are false, so a
// NaN is never selected, and is never a maximum or a minimum.
//
// # Reference and assembly
//
// The code here is the reference. Assembly put beside it must give the same
// bits for every input, but for the payloads of NaNs.
package vec
