//go:build !noasm

#include "textflag.h"

// All functions here have one shape: 32 elements of dst, a and b at a time, and
// the scalars v and w. A kernel is a macro that does one vector,
//
//	KERNEL(at, A, B, M, V, W, C)
//
// the one at byte offset at from DI = dst, SI = a and DX = b. A and B are its own,
// V and W are v and w in every lane, C is a constant that the function sets up.
// M is the mask: a vector in AVX2, a K register in AVX-512. A macro without a mask
// serves both.
//
// Multiplication and addition stay two instructions, so that the product is rounded.

#define ARGUMENTS \
	MOVQ dst+0(FP), DI \
	MOVQ a+8(FP), SI   \
	MOVQ b+16(FP), DX  \
	MOVQ n+24(FP), CX

#define NEXT \
	ADDQ $128, DI \
	ADDQ $128, SI \
	ADDQ $128, DX \
	SUBQ $32, CX

#define YMM(KERNEL) \
	ARGUMENTS                               \
	VBROADCASTSS v+32(FP), Y13              \
	VBROADCASTSS w+36(FP), Y14              \
block: \
	KERNEL(0, Y0, Y1, Y2, Y13, Y14, Y15)    \
	KERNEL(32, Y3, Y4, Y5, Y13, Y14, Y15)   \
	KERNEL(64, Y6, Y7, Y8, Y13, Y14, Y15)   \
	KERNEL(96, Y9, Y10, Y11, Y13, Y14, Y15) \
	NEXT                                    \
	JNZ block                               \
	VZEROUPPER                              \
	RET

#define ZMM(KERNEL) \
	ARGUMENTS                             \
	VBROADCASTSS v+32(FP), Z13            \
	VBROADCASTSS w+36(FP), Z14            \
block: \
	KERNEL(0, Z0, Z1, K1, Z13, Z14, Z15)  \
	KERNEL(64, Z2, Z3, K2, Z13, Z14, Z15) \
	NEXT                                  \
	JNZ block                             \
	VZEROUPPER                            \
	RET

DATA sign<>+0(SB)/4, $0x80000000
GLOBL sign<>(SB), RODATA|NOPTR, $4

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

// Predicates of VCMPPS. With a NaN, the first two are true.
#define NOTEQUAL $4
#define NOTATLEAST $25
#define GREATER $30
#define ATLEAST $29

// dst = f(a, b).

// Equal bits clear the difference.
#define DELTA(at, A, B, M, V, W, C) \
	VMOVUPS  at(SI), A \
	VMOVUPS  at(DX), B \
	VPCMPEQD B, A, M   \
	VSUBPS   B, A, A   \
	VANDNPS  A, M, A   \
	VMOVUPS  A, at(DI)

// func deltaAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·deltaAVX2(SB), NOSPLIT, $0-40
	YMM(DELTA)

#define ABS(at, A, B, M, V, W, C) \
	VANDPS  at(SI), C, A \
	VMOVUPS A, at(DI)

// func absAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·absAVX2(SB), NOSPLIT, $0-40
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(ABS)

#define SQRT(at, A, B, M, V, W, C) \
	VSQRTPS at(SI), A \
	VMOVUPS A, at(DI)

// func sqrtAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·sqrtAVX2(SB), NOSPLIT, $0-40
	YMM(SQRT)

#define SQUARE(at, A, B, M, V, W, C) \
	VMOVUPS at(SI), A \
	VMULPS  A, A, A   \
	VMOVUPS A, at(DI)

// func squareAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·squareAVX2(SB), NOSPLIT, $0-40
	YMM(SQUARE)

#define MUL(at, A, B, M, V, W, C) \
	VMOVUPS at(SI), A    \
	VMULPS  at(DX), A, A \
	VMOVUPS A, at(DI)

// func mulAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·mulAVX2(SB), NOSPLIT, $0-40
	YMM(MUL)

#define MULABS(at, A, B, M, V, W, C) \
	VANDPS  at(SI), C, A \
	VMULPS  at(DX), A, A \
	VMOVUPS A, at(DI)

// func mulAbsAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·mulAbsAVX2(SB), NOSPLIT, $0-40
	VBROADCASTSS magnitude<>(SB), Y15
	YMM(MULABS)

#define SCALE(at, A, B, M, V, W, C) \
	VMULPS  at(SI), V, A \
	VMOVUPS A, at(DI)

// func scaleAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·scaleAVX2(SB), NOSPLIT, $0-40
	YMM(SCALE)

#define DIV(at, A, B, M, V, W, C) \
	VMOVUPS at(SI), A \
	VDIVPS  V, A, A   \
	VMOVUPS A, at(DI)

// func divAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·divAVX2(SB), NOSPLIT, $0-40
	YMM(DIV)

#define DIVBY(at, A, B, M, V, W, C) \
	VMOVUPS at(SI), A         \
	VMOVUPS at(DX), B         \
	VCMPPS  NOTEQUAL, C, B, M \
	VDIVPS  B, A, A           \
	VANDPS  A, M, A           \
	VMOVUPS A, at(DI)

// func divByAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·divByAVX2(SB), NOSPLIT, $0-40
	VXORPS Y15, Y15, Y15
	YMM(DIVBY)

#define SUBDIV(at, A, B, M, V, W, C) \
	VMOVUPS at(SI), A \
	VSUBPS  V, A, A   \
	VDIVPS  W, A, A   \
	VMOVUPS A, at(DI)

// func subDivAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·subDivAVX2(SB), NOSPLIT, $0-40
	YMM(SUBDIV)

#define APPLY(at, A, B, M, V, W, C) \
	VMULPS  at(DX), V, A \
	VADDPS  at(SI), A, A \
	VMOVUPS A, at(DI)

// func applyAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·applyAVX2(SB), NOSPLIT, $0-40
	YMM(APPLY)

#define CONTRAST(at, A, B, M, V, W, C) \
	VMOVUPS at(SI), A \
	VMOVUPS at(DX), B \
	VDIVPS  V, B, B   \
	VADDPS  W, B, B   \
	VDIVPS  B, A, A   \
	VMOVUPS A, at(DI)

// func contrastAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·contrastAVX2(SB), NOSPLIT, $0-40
	YMM(CONTRAST)

// dst = f(dst, a, b), or v. In place, AVX-512 measures up to a quarter faster than AVX2.
// Above, from one place to another, it measures as fast at best.

#define FILL(at, A, B, M, V, W, C) \
	VMOVUPS V, at(DI)

// func fillAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·fillAVX2(SB), NOSPLIT, $0-40
	YMM(FILL)

// func fillAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·fillAVX512(SB), NOSPLIT, $0-40
	ZMM(FILL)

#define ADD(at, A, B, M, V, W, C) \
	VMOVUPS at(DI), A    \
	VADDPS  at(SI), A, A \
	VMOVUPS A, at(DI)

// func addAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·addAVX2(SB), NOSPLIT, $0-40
	YMM(ADD)

// func addAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·addAVX512(SB), NOSPLIT, $0-40
	ZMM(ADD)

#define AXPY(at, A, B, M, V, W, C) \
	VMULPS  at(SI), V, A \
	VADDPS  at(DI), A, A \
	VMOVUPS A, at(DI)

// func axpyAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·axpyAVX2(SB), NOSPLIT, $0-40
	YMM(AXPY)

// func axpyAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·axpyAVX512(SB), NOSPLIT, $0-40
	ZMM(AXPY)

#define MULAXPY(at, A, B, M, V, W, C) \
	VMULPS  at(SI), V, A \
	VMULPS  at(DX), A, A \
	VADDPS  at(DI), A, A \
	VMOVUPS A, at(DI)

// func mulAxpyAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·mulAxpyAVX2(SB), NOSPLIT, $0-40
	YMM(MULAXPY)

// func mulAxpyAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·mulAxpyAVX512(SB), NOSPLIT, $0-40
	ZMM(MULAXPY)

DATA one<>+0(SB)/4, $0x3f800000
GLOBL one<>(SB), RODATA|NOPTR, $4

// Equal bits clear the difference B. Against a NaN, VMAXPS takes what Go writes first. Y12 is 1.
#define APPROACH(at, A, B, M, V, W, C) \
	VMOVUPS   at(DI), A         \
	VMOVUPS   at(SI), B         \
	VPCMPEQD  A, B, M           \
	VSUBPS    A, B, B           \
	VANDNPS   B, M, B           \
	VANDPS    C, B, M           \
	VMAXPS    M, W, M           \
	VDIVPS    M, V, M           \
	VMULPS    B, M, B           \
	VADDPS    B, A, A           \
	VCMPPS    ATLEAST, Y12, M, M \
	VBLENDVPS M, at(SI), A, A   \
	VMOVUPS   A, at(DI)

// func approachAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·approachAVX2(SB), NOSPLIT, $0-40
	VBROADCASTSS magnitude<>(SB), Y15
	VBROADCASTSS one<>(SB), Y12
	YMM(APPROACH)

// v is 1.
#define COUNT(at, A, B, M, V, W, C) \
	VMOVUPS   at(DI), A              \
	VADDPS    V, A, B                \
	VCMPPS    NOTEQUAL, at(SI), C, M \
	VBLENDVPS M, B, A, A             \
	VMOVUPS   A, at(DI)

#define COUNTMASKED(at, A, B, M, V, W, C) \
	VMOVUPS at(DI), A              \
	VCMPPS  NOTEQUAL, at(SI), C, M \
	VADDPS  V, A, M, A             \
	VMOVUPS A, at(DI)

// func countNonZeroAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·countNonZeroAVX2(SB), NOSPLIT, $0-40
	VXORPS Y15, Y15, Y15
	YMM(COUNT)

// func countNonZeroAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·countNonZeroAVX512(SB), NOSPLIT, $0-40
	VXORPS Z15, Z15, Z15
	ZMM(COUNTMASKED)

#define ADDWHERE(at, A, B, M, V, W, C) \
	VMOVUPS   at(DI), A              \
	VADDPS    at(SI), A, B           \
	VCMPPS    NOTEQUAL, at(DX), C, M \
	VBLENDVPS M, B, A, A             \
	VMOVUPS   A, at(DI)

#define ADDWHEREMASKED(at, A, B, M, V, W, C) \
	VMOVUPS at(DI), A              \
	VCMPPS  NOTEQUAL, at(DX), C, M \
	VADDPS  at(SI), A, M, A        \
	VMOVUPS A, at(DI)

// func addWhereNonZeroAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·addWhereNonZeroAVX2(SB), NOSPLIT, $0-40
	VXORPS Y15, Y15, Y15
	YMM(ADDWHERE)

// func addWhereNonZeroAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·addWhereNonZeroAVX512(SB), NOSPLIT, $0-40
	VXORPS Z15, Z15, Z15
	ZMM(ADDWHEREMASKED)

// b is the sum that elects, v is 0. Where - is elected, a changes its sign, so
// that what agrees is what is positive.
#define KEEPSIGN(at, A, B, M, V, W, C) \
	VMOVUPS at(DX), B           \
	VCMPPS  NOTATLEAST, V, B, M \
	VANDPS  C, M, A             \
	VXORPS  at(SI), A, A        \
	VCMPPS  GREATER, V, A, M    \
	VANDPS  at(DI), M, A        \
	VMOVUPS A, at(DI)

#define KEEPSIGNMASKED(at, A, B, M, V, W, C) \
	VMOVUPS   at(DX), B           \
	VCMPPS    NOTATLEAST, V, B, M \
	VMOVUPS   at(SI), A           \
	VXORPS    C, A, M, A          \
	VCMPPS    GREATER, V, A, M    \
	VMOVUPS.Z at(DI), M, A        \
	VMOVUPS   A, at(DI)

// func keepSignAVX2(dst, a, b *float32, n int, v, w float32)
TEXT ·keepSignAVX2(SB), NOSPLIT, $0-40
	VBROADCASTSS sign<>(SB), Y15
	YMM(KEEPSIGN)

// func keepSignAVX512(dst, a, b *float32, n int, v, w float32)
TEXT ·keepSignAVX512(SB), NOSPLIT, $0-40
	VBROADCASTSS sign<>(SB), Z15
	ZMM(KEEPSIGNMASKED)
