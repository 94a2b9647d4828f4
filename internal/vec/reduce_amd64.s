//go:build !noasm

#include "textflag.h"

// Sums run in the 16 lanes of the package comment: lane j is element j%4 of Y0, Y1,
// Y2 and Y3. A kernel is a macro for the terms of one vector of lanes,
//
//	TERM(at, A, B, C)
//
// from byte offset at of SI = a and DX = b into A; B is its own, C the bits of
// a magnitude; width is that of an element. Terms are float64, products rounded before they are added.
//
// A lane waits for its last addition to end. Only more lanes would be faster.
#define SUM(TERM, width) \
	MOVQ         l+0(FP), DI          \
	MOVQ         a+8(FP), SI          \
	MOVQ         b+16(FP), DX         \
	MOVQ         n+24(FP), CX         \
	VBROADCASTSD magnitude<>(SB), Y15 \
	VMOVUPD      0(DI), Y0            \
	VMOVUPD      32(DI), Y1           \
	VMOVUPD      64(DI), Y2           \
	VMOVUPD      96(DI), Y3           \
lanes: \
	TERM(0*width, Y4, Y5, Y15)        \
	TERM(4*width, Y6, Y7, Y15)        \
	TERM(8*width, Y8, Y9, Y15)        \
	TERM(12*width, Y10, Y11, Y15)     \
	VADDPD       Y4, Y0, Y0           \
	VADDPD       Y6, Y1, Y1           \
	VADDPD       Y8, Y2, Y2           \
	VADDPD       Y10, Y3, Y3          \
	ADDQ         $(16*width), SI      \
	ADDQ         $(16*width), DX      \
	SUBQ         $16, CX              \
	JNZ          lanes                \
	VMOVUPD      Y0, 0(DI)            \
	VMOVUPD      Y1, 32(DI)           \
	VMOVUPD      Y2, 64(DI)           \
	VMOVUPD      Y3, 96(DI)           \
	VZEROUPPER                        \
	RET

DATA magnitude<>+0(SB)/8, $0x7fffffffffffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $8

#define VALUE(at, A, B, C) \
	VCVTPS2PD at(SI), A

#define DOUBLE(at, A, B, C) \
	VMOVUPD at(SI), A

#define MAGNITUDE(at, A, B, C) \
	VCVTPS2PD at(SI), A \
	VANDPD    C, A, A

#define SQUARE(at, A, B, C) \
	VCVTPS2PD at(SI), A \
	VMULPD    A, A, A

#define PRODUCT(at, A, B, C) \
	VCVTPS2PD at(SI), A \
	VCVTPS2PD at(DX), B \
	VMULPD    B, A, A

// EXTREME carries the extreme so far in 32 lanes, which it folds at the end. Where
// VMAXPS and VMINPS cannot tell which operand is it, they take the one that Go
// writes first: against a NaN, the extreme so far.
#define EXTREME(OF) \
	MOVQ         x+0(FP), SI       \
	MOVQ         n+8(FP), CX       \
	VBROADCASTSS start+16(FP), Y0  \
	VMOVAPS      Y0, Y1            \
	VMOVAPS      Y0, Y2            \
	VMOVAPS      Y0, Y3            \
block: \
	VMOVUPS      0(SI), Y4         \
	VMOVUPS      32(SI), Y5        \
	VMOVUPS      64(SI), Y6        \
	VMOVUPS      96(SI), Y7        \
	OF           Y0, Y4, Y0        \
	OF           Y1, Y5, Y1        \
	OF           Y2, Y6, Y2        \
	OF           Y3, Y7, Y3        \
	ADDQ         $128, SI          \
	SUBQ         $32, CX           \
	JNZ          block             \
	OF           Y1, Y0, Y0        \
	OF           Y3, Y2, Y2        \
	OF           Y2, Y0, Y0        \
	VEXTRACTF128 $1, Y0, X1        \
	OF           X1, X0, X0        \
	VPERMILPS    $0x4e, X0, X1     \
	OF           X1, X0, X0        \
	VPERMILPS    $0xb1, X0, X1     \
	OF           X1, X0, X0        \
	VMOVSS       X0, extreme+24(FP) \
	VZEROUPPER                     \
	RET

// func sumAVX2(l *lanes, a, b *float32, n int)
TEXT ·sumAVX2(SB), NOSPLIT, $0-32
	SUM(VALUE, 4)

// func sum64AVX2(l *lanes, a, b *float64, n int)
TEXT ·sum64AVX2(SB), NOSPLIT, $0-32
	SUM(DOUBLE, 8)

// func sumAbsAVX2(l *lanes, a, b *float32, n int)
TEXT ·sumAbsAVX2(SB), NOSPLIT, $0-32
	SUM(MAGNITUDE, 4)

// func sumSquaresAVX2(l *lanes, a, b *float32, n int)
TEXT ·sumSquaresAVX2(SB), NOSPLIT, $0-32
	SUM(SQUARE, 4)

// func dotAVX2(l *lanes, a, b *float32, n int)
TEXT ·dotAVX2(SB), NOSPLIT, $0-32
	SUM(PRODUCT, 4)

// func maxAVX2(x *float32, n int, start float32) (extreme float32)
TEXT ·maxAVX2(SB), NOSPLIT, $0-28
	EXTREME(VMAXPS)

// func minAVX2(x *float32, n int, start float32) (extreme float32)
TEXT ·minAVX2(SB), NOSPLIT, $0-28
	EXTREME(VMINPS)
