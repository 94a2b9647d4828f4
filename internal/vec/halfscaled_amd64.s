//go:build !noasm

#include "textflag.h"

#define TOWARD_ZERO 3
#define NEAREST 0
#define AT_LEAST 0x1d
#define EQUAL 0

// CODES rounds eight values to codes, ties away from zero: the whole part, and one more where what is left is half or more. Y15 are the bits of magnitudes, Y14 is 1,
// Y13 1/2, Y5 the inverse of the scale. Y is lost.
#define CODES(X, Y, Z) \
	VMULPS     Y5, X, X;            \
	VROUNDPS   $TOWARD_ZERO, X, Y;  \
	VSUBPS     Y, X, Z;             \
	VANDPS     Y15, Z, Z;           \
	VCMPPS     $AT_LEAST, Y13, Z, Z; \
	VANDNPS    X, Y15, X;           \
	VORPS      Y14, X, X;           \
	VANDPS     Z, X, X;             \
	VADDPS     X, Y, X;             \
	VCVTTPS2DQ X, X

// func encodeHalfScaledI8AVX2(dst *byte, src *float32, n int) (blocks int)
TEXT ·encodeHalfScaledI8AVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), CX
	MOVQ         CX, DX
	MOVL         $0x7fffffff, AX
	VMOVD        AX, X15
	VPBROADCASTD X15, Y15
	MOVL         $0x3f800000, AX
	VMOVD        AX, X14
	VPBROADCASTD X14, Y14
	MOVL         $0x3f000000, AX
	VMOVD        AX, X13
	VPBROADCASTD X13, Y13
	MOVL         $0x42fe0000, AX      // 127
	VMOVD        AX, X12
	MOVL         $0x7f800000, AX      // infinity
	VMOVD        AX, X11
	MOVQ         $0x0000000400000000, AX
	VMOVQ        AX, X10
	MOVQ         $0x0000000500000001, AX
	VPINSRQ      $1, AX, X10, X10
	MOVQ         $0x0000000600000002, AX
	VMOVQ        AX, X9
	MOVQ         $0x0000000700000003, AX
	VPINSRQ      $1, AX, X9, X9
	VINSERTI128  $1, X9, Y10, Y10     // the order of what packing leaves

block:
	VMOVUPS      (SI), Y0
	VMOVUPS      32(SI), Y1
	VMOVUPS      64(SI), Y2
	VMOVUPS      96(SI), Y3
	VANDPS       Y15, Y0, Y4
	VANDPS       Y15, Y1, Y5
	VANDPS       Y15, Y2, Y6
	VANDPS       Y15, Y3, Y7
	VMAXPS       Y5, Y4, Y4
	VMAXPS       Y7, Y6, Y6
	VMAXPS       Y6, Y4, Y4
	VEXTRACTF128 $1, Y4, X5
	VMAXPS       X5, X4, X4
	VPERMILPS    $0x4e, X4, X5
	VMAXPS       X5, X4, X4
	VPERMILPS    $0xb1, X4, X5
	VMAXPS       X5, X4, X4
	VDIVSS       X12, X4, X4
	VCVTPS2PH    $NEAREST, X4, X5
	VMOVD        X5, AX
	MOVWLZX      AX, AX
	CMPL         AX, $0x7c00
	JCC          done
	MOVW         AX, (DI)
	VDIVSS       X4, X14, X5
	VCMPSS       $EQUAL, X11, X5, X6
	VANDNPS      X5, X6, X5
	VBROADCASTSS X5, Y5
	CODES(Y0, Y6, Y7)
	CODES(Y1, Y6, Y7)
	CODES(Y2, Y6, Y7)
	CODES(Y3, Y6, Y7)
	VPACKSSDW    Y1, Y0, Y0
	VPACKSSDW    Y3, Y2, Y2
	VPACKSSWB    Y2, Y0, Y0
	VPERMD       Y0, Y10, Y0
	VMOVDQU      Y0, 2(DI)
	ADDQ         $128, SI
	ADDQ         $34, DI
	DECQ         CX
	JNZ          block

done:
	SUBQ CX, DX
	MOVQ DX, blocks+24(FP)
	VZEROUPPER
	RET
