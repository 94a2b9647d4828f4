//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// All functions here have one shape: 32 elements of dst, a and b at a time, and the
// scalar v. A kernel is a macro that does one vector,
//
//	KERNEL(at, half, A, B, M, V, C)
//
// the one at byte offset at from DI = dst, and from DX = b if that is float32. From
// SI = a, and from DX if that is bfloat16 too, it is the one at half. A and B are its
// own, V is v in every lane, C is a constant that the function sets up. M is the mask: a
// vector in AVX2, a K register in AVX-512. A macro without a mask serves both.

#define ARGUMENTS \
	MOVQ dst+0(FP), DI \
	MOVQ a+8(FP), SI   \
	MOVQ b+16(FP), DX  \
	MOVQ n+24(FP), CX

// AHEAD_A is for a alone, AHEAD_AB for b as well.
#define AHEAD_A \
	AHEAD((SI))

#define AHEAD_AB \
	AHEAD((SI)) \
	AHEAD((DX))

// width is that of an element of b.
#define NEXT(width) \
	ADDQ $128, DI        \
	ADDQ $64, SI         \
	ADDQ $(32*width), DX \
	SUBQ $32, CX

#define YMM(KERNEL, SOON, width) \
	ARGUMENTS                             \
	VBROADCASTSS v+32(FP), Y14            \
block: \
	SOON                                  \
	KERNEL(0, 0, Y0, Y1, Y2, Y14, Y15)    \
	KERNEL(32, 16, Y3, Y4, Y5, Y14, Y15)  \
	KERNEL(64, 32, Y6, Y7, Y8, Y14, Y15)  \
	KERNEL(96, 48, Y9, Y10, Y11, Y14, Y15) \
	NEXT(width)                           \
	JNZ  block                            \
	VZEROUPPER                            \
	RET

#define ZMM(KERNEL, SOON, width) \
	ARGUMENTS                            \
	VBROADCASTSS v+32(FP), Z14           \
block: \
	SOON                                 \
	KERNEL(0, 0, Z0, Z1, K1, Z14, Z15)   \
	KERNEL(64, 32, Z2, Z3, K2, Z14, Z15) \
	NEXT(width)                          \
	JNZ  block                           \
	VZEROUPPER                           \
	RET

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

#define PLAIN(at, half, A, B, M, V, C) \
	DECODE(half(SI), A) \
	VMOVUPS A, at(DI)

// func decodeBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·decodeBF16AVX2(SB), NOSPLIT, $0-36
	YMM(PLAIN, AHEAD_A, 0)

// func decodeBF16AVX512(dst *float32, a, b *byte, n int, v float32)
TEXT ·decodeBF16AVX512(SB), NOSPLIT, $0-36
	ZMM(PLAIN, AHEAD_A, 0)

#define ABS(at, half, A, B, M, V, C) \
	DECODE(half(SI), A) \
	VANDPS  C, A, A     \
	VMOVUPS A, at(DI)

// func absBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·absBF16AVX2(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(ABS, AHEAD_A, 0)

// func absBF16AVX512(dst *float32, a, b *byte, n int, v float32)
TEXT ·absBF16AVX512(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Z15
	ZMM(ABS, AHEAD_A, 0)

#define SCALE(at, half, A, B, M, V, C) \
	DECODE(half(SI), A) \
	VMULPS  V, A, A     \
	VMOVUPS A, at(DI)

// func scaleBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·scaleBF16AVX2(SB), NOSPLIT, $0-36
	YMM(SCALE, AHEAD_A, 0)

// func scaleBF16AVX512(dst *float32, a, b *byte, n int, v float32)
TEXT ·scaleBF16AVX512(SB), NOSPLIT, $0-36
	ZMM(SCALE, AHEAD_A, 0)

// The product is rounded before it is added.
#define AXPY(at, half, A, B, M, V, C) \
	DECODE(half(SI), A)  \
	VMULPS  V, A, A      \
	VADDPS  at(DI), A, A \
	VMOVUPS A, at(DI)

// func axpyBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·axpyBF16AVX2(SB), NOSPLIT, $0-36
	YMM(AXPY, AHEAD_A, 0)

// func axpyBF16AVX512(dst *float32, a, b *byte, n int, v float32)
TEXT ·axpyBF16AVX512(SB), NOSPLIT, $0-36
	ZMM(AXPY, AHEAD_A, 0)

// Of x and base, at half and at.
#define OPERANDS(at, half, A, B) \
	DECODE(half(SI), A) \
	VMOVUPS at(DX), B

#define DELTA(at, half, A, B, M, V, C) \
	OPERANDS(at, half, A, B) \
	DIFFERENCE(A, B, M) \
	VMOVUPS A, at(DI)

#define DELTAMASKED(at, half, A, B, M, V, C) \
	OPERANDS(at, half, A, B) \
	DIFFERENCEMASKED(A, B, M) \
	VMOVUPS A, at(DI)

// func deltaBF16AVX2(dst *float32, a *byte, b *float32, n int, v float32)
TEXT ·deltaBF16AVX2(SB), NOSPLIT, $0-36
	YMM(DELTA, AHEAD_A, 4)

// func deltaBF16AVX512(dst *float32, a *byte, b *float32, n int, v float32)
TEXT ·deltaBF16AVX512(SB), NOSPLIT, $0-36
	ZMM(DELTAMASKED, AHEAD_A, 4)

#define AXPYDELTA(at, half, A, B, M, V, C) \
	OPERANDS(at, half, A, B) \
	DIFFERENCE(A, B, M) \
	VMULPS  V, A, A            \
	VADDPS  at(DI), A, A       \
	VMOVUPS A, at(DI)

#define AXPYDELTAMASKED(at, half, A, B, M, V, C) \
	OPERANDS(at, half, A, B) \
	DIFFERENCEMASKED(A, B, M) \
	VMULPS  V, A, A                  \
	VADDPS  at(DI), A, A             \
	VMOVUPS A, at(DI)

// func axpyDeltaBF16AVX2(dst *float32, a *byte, b *float32, n int, v float32)
TEXT ·axpyDeltaBF16AVX2(SB), NOSPLIT, $0-36
	YMM(AXPYDELTA, AHEAD_A, 4)

// func axpyDeltaBF16AVX512(dst *float32, a *byte, b *float32, n int, v float32)
TEXT ·axpyDeltaBF16AVX512(SB), NOSPLIT, $0-36
	ZMM(AXPYDELTAMASKED, AHEAD_A, 4)

// Where the difference is NaN, VMINPS takes the operand that Go writes first.
#define DISTANCE(at, half, A, B, M, V, C) \
	DECODE(half(SI), A) \
	DECODE(half(DX), B) \
	VPCMPEQD B, A, M    \
	VSUBPS   B, A, A    \
	VANDPS   C, A, A    \
	VMINPS   V, A, A    \
	VANDNPS  A, M, A    \
	VMOVUPS  A, at(DI)

#define DISTANCEMASKED(at, half, A, B, M, V, C) \
	DECODE(half(SI), A)        \
	DECODE(half(DX), B)        \
	VPCMPUD  NOTEQUAL, B, A, M \
	VSUBPS   B, A, A           \
	VANDPS   C, A, A           \
	VMINPS.Z V, A, M, A        \
	VMOVUPS  A, at(DI)

// func distanceBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·distanceBF16AVX2(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(DISTANCE, AHEAD_AB, 2)

// func distanceBF16AVX512(dst *float32, a, b *byte, n int, v float32)
TEXT ·distanceBF16AVX512(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Z15
	ZMM(DISTANCEMASKED, AHEAD_AB, 2)
