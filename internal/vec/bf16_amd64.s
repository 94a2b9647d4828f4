//go:build !noasm

#include "textflag.h"

// All functions here have one shape: 32 elements of dst, a and b at a time, and the
// scalar v. A kernel is a macro that does one vector,
//
//	KERNEL(at, half, A, B, V, C)
//
// the one at byte offset at from DI = dst, and from DX = b if that is float32. From
// SI = a, and from DX if that is bfloat16 too, it is the one at half. A and B are its
// own, V is v in every lane, C is a constant that the function sets up.
//
// PREFETCHT0 of a, 256 to 4096 bytes ahead, was measured. At 512, operands that are in
// no cache come a tenth faster to one core, but no faster to two that read at the
// same time; those in cache cost AXPY a twentieth more. So it is left out.

// width is that of an element of b.
#define YMM(KERNEL, width) \
	MOVQ         dst+0(FP), DI       \
	MOVQ         a+8(FP), SI         \
	MOVQ         b+16(FP), DX        \
	MOVQ         n+24(FP), CX        \
	VBROADCASTSS v+32(FP), Y14       \
block: \
	KERNEL(0, 0, Y0, Y1, Y14, Y15)   \
	KERNEL(32, 16, Y2, Y3, Y14, Y15) \
	KERNEL(64, 32, Y4, Y5, Y14, Y15) \
	KERNEL(96, 48, Y6, Y7, Y14, Y15) \
	ADDQ         $128, DI            \
	ADDQ         $64, SI             \
	ADDQ         $(32*width), DX     \
	SUBQ         $32, CX             \
	JNZ          block               \
	VZEROUPPER                       \
	RET

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

// bfloat16 is the leading half of float32.
#define DECODE(FROM, A) \
	VPMOVZXWD FROM, A   \
	VPSLLD    $16, A, A

#define ABS(at, half, A, B, V, C) \
	DECODE(half(SI), A) \
	VPAND   C, A, A     \
	VMOVUPS A, at(DI)

// func absBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·absBF16AVX2(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(ABS, 0)

#define SCALE(at, half, A, B, V, C) \
	DECODE(half(SI), A) \
	VMULPS  V, A, A     \
	VMOVUPS A, at(DI)

// func scaleBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·scaleBF16AVX2(SB), NOSPLIT, $0-36
	YMM(SCALE, 0)

// The product is rounded before it is added.
#define AXPY(at, half, A, B, V, C) \
	DECODE(half(SI), A)  \
	VMULPS  V, A, A      \
	VADDPS  at(DI), A, A \
	VMOVUPS A, at(DI)

// func axpyBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·axpyBF16AVX2(SB), NOSPLIT, $0-36
	YMM(AXPY, 0)

// Equal bits clear the difference.
#define DELTA(at, half, A, B, V, C) \
	DECODE(half(SI), A)   \
	VPCMPEQD at(DX), A, B \
	VSUBPS   at(DX), A, A \
	VANDNPS  A, B, A      \
	VMOVUPS  A, at(DI)

// func deltaBF16AVX2(dst *float32, a *byte, b *float32, n int, v float32)
TEXT ·deltaBF16AVX2(SB), NOSPLIT, $0-36
	YMM(DELTA, 4)

// Where the difference is NaN, VMINPS takes the operand that Go writes first.
#define DISTANCE(at, half, A, B, V, C) \
	DECODE(half(SI), A)      \
	DECODE(half(DX), B)      \
	VPCMPEQD B, A, Y8        \
	VSUBPS   B, A, A         \
	VPAND    C, A, A         \
	VMINPS   V, A, A         \
	VPANDN   A, Y8, A        \
	VMOVUPS  A, at(DI)

// func distanceBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·distanceBF16AVX2(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(DISTANCE, 2)

#define AXPYDELTA(at, half, A, B, V, C) \
	DECODE(half(SI), A)   \
	VPCMPEQD at(DX), A, B \
	VSUBPS   at(DX), A, A \
	VANDNPS  A, B, A      \
	VMULPS   V, A, A      \
	VADDPS   at(DI), A, A \
	VMOVUPS  A, at(DI)

// func axpyDeltaBF16AVX2(dst *float32, a *byte, b *float32, n int, v float32)
TEXT ·axpyDeltaBF16AVX2(SB), NOSPLIT, $0-36
	YMM(AXPYDELTA, 4)

#define MULABS(at, half, A, B, V, C) \
	DECODE(half(SI), A) \
	DECODE(half(DX), B) \
	VPAND   C, A, A     \
	VPAND   C, B, B     \
	VMULPS  B, A, A     \
	VMOVUPS A, at(DI)

// func mulAbsBF16AVX2(dst *float32, a, b *byte, n int, v float32)
TEXT ·mulAbsBF16AVX2(SB), NOSPLIT, $0-36
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(MULABS, 2)
