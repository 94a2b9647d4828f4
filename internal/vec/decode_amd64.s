//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"

// Every loop: DI is where to write, SI where to read, CX the elements left, a
// multiple of 32. All loads of a pass come before its stores.

#define STORE_4Y(A, B, C, D) \
	VMOVUPS A, (DI);   \
	VMOVUPS B, 32(DI); \
	VMOVUPS C, 64(DI); \
	VMOVUPS D, 96(DI)

#define NEXT(elements, width, from) \
	ADDQ $(elements*width), DI; \
	ADDQ $(elements*from), SI;  \
	SUBQ $elements, CX

// binary16 has an instruction, which heeds no flush-to-zero flag.

// func decodeF16AVX2(dst *float32, src *byte, n int)
TEXT ·decodeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VCVTPH2PS (SI), Y0
	VCVTPH2PS 16(SI), Y1
	VCVTPH2PS 32(SI), Y2
	VCVTPH2PS 48(SI), Y3
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(32, 4, 2)
	JNZ       loop
	VZEROUPPER
	RET

// E5M2 is the leading half of binary16.

// func decodeF8E5M2AVX2(dst *float32, src *byte, n int)
TEXT ·decodeF8E5M2AVX2(SB), NOSPLIT, $0-24
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	VPXOR X7, X7, X7

loop:
	VMOVDQU    (SI), X1
	VMOVDQU    16(SI), X3
	VPUNPCKLBW X1, X7, X0
	VPUNPCKHBW X1, X7, X1
	VPUNPCKLBW X3, X7, X2
	VPUNPCKHBW X3, X7, X3
	VCVTPH2PS  X0, Y0
	VCVTPH2PS  X1, Y1
	VCVTPH2PS  X2, Y2
	VCVTPH2PS  X3, Y3
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(32, 4, 1)
	JNZ        loop
	VZEROUPPER
	RET

// E4M3 in binary16's places, s0eeeemm m0000000, makes a value 2^(15-7) times too
// small, denormals too. binary16 and float32 hold it exactly, and so does the
// product that puts it right. The NaN 0x7f, there 0x3f80, has to become
// 0x7e00: a constant is added to it, and to no other code.
#define E4M3_EXPONENTS 0xbf80bf80
#define E4M3_NAN 0x7f007f00 // shifted left by one, without sign
#define E4M3_TO_NAN 0x3e803e80 // 0x7e00 - 0x3f80
#define E4M3_SCALE 0x43800000 // 2^8

// F16_OF_E4M3 turns sign-extended words W into binary16; T is scratch.
#define F16_OF_E4M3(W, T) \
	VPSLLW   $7, W, W;  \
	VPAND    Y8, W, W;  \
	VPADDW   W, W, T;   \
	VPCMPEQW Y9, T, T;  \
	VPAND    Y10, T, T; \
	VPADDW   T, W, W

// func decodeF8E4M3AVX2(dst *float32, src *byte, n int)
TEXT ·decodeF8E4M3AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(E4M3_EXPONENTS, X8, Y8)
	FILL_Y(E4M3_NAN, X9, Y9)
	FILL_Y(E4M3_TO_NAN, X10, Y10)
	FILL_Y(E4M3_SCALE, X11, Y11)

loop:
	VPMOVSXBW    (SI), Y0
	VPMOVSXBW    16(SI), Y2
	F16_OF_E4M3(Y0, Y4)
	F16_OF_E4M3(Y2, Y5)
	VEXTRACTI128 $1, Y0, X1
	VEXTRACTI128 $1, Y2, X3
	VCVTPH2PS    X0, Y0
	VCVTPH2PS    X1, Y1
	VCVTPH2PS    X2, Y2
	VCVTPH2PS    X3, Y3
	VMULPS       Y11, Y0, Y0
	VMULPS       Y11, Y1, Y1
	VMULPS       Y11, Y2, Y2
	VMULPS       Y11, Y3, Y3
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(32, 4, 1)
	JNZ          loop
	VZEROUPPER
	RET

// func widenAVX2(dst *float64, src *float32, n int)
TEXT ·widenAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VCVTPS2PD (SI), Y0
	VCVTPS2PD 16(SI), Y1
	VCVTPS2PD 32(SI), Y2
	VCVTPS2PD 48(SI), Y3
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(16, 8, 4)
	JNZ       loop
	VZEROUPPER
	RET

// func narrowAVX2(dst *float32, src *float64, n int)
TEXT ·narrowAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VCVTPD2PSY (SI), X0
	VCVTPD2PSY 32(SI), X1
	VCVTPD2PSY 64(SI), X2
	VCVTPD2PSY 96(SI), X3
	VMOVUPS    X0, (DI)
	VMOVUPS    X1, 16(DI)
	VMOVUPS    X2, 32(DI)
	VMOVUPS    X3, 48(DI)
	NEXT(16, 4, 8)
	JNZ        loop
	VZEROUPPER
	RET

// func narrowAVX512(dst *float32, src *float64, n int)
TEXT ·narrowAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VCVTPD2PS (SI), Y0
	VCVTPD2PS 64(SI), Y1
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	NEXT(16, 4, 8)
	JNZ       loop
	VZEROUPPER
	RET
