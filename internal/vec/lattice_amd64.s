//go:build !noasm

#include "textflag.h"

// Value i of group k is at 64i + 8k. Codes are rounded by adding and subtracting 1.5 × 2^52. Products of a value and a code, and of two codes, are
// exact: fused or not, a sum is the same.

#define LARGE 0x4338000000000000
#define TWO 0x4000000000000000
#define SIGN 0x8000000000000000

// Comparisons that are false for NaN.
#define LESS 0x11
#define AT_MOST 0x12
#define GREATER 0x1e

// Offsets in LineFit and ScaleFit.
#define WIDTH 0
#define SUM 64
#define LEAST 128
#define ERROR 192
#define LINE_SCALE 256
#define OFFSET 320
#define MOST 0
#define GAIN 64
#define SCALE 128

// LINE_STEP2 adds one value of each of four groups: VALUE is where they are, LEAST4 and INV those of the groups; Y15 is LARGE, Y14 the largest code.
#define LINE_STEP2(VALUE, LEAST4, INV, Q, XQ, QQ, X, C) \
	VMOVUPD     VALUE, X;      \
	VSUBPD      LEAST4, X, C;  \
	VMULPD      INV, C, C;     \
	VADDPD      Y15, C, C;     \
	VSUBPD      Y15, C, C;     \
	VMINPD      Y14, C, C;     \
	VADDPD      C, Q, Q;       \
	VFMADD231PD X, C, XQ;      \
	VFMADD231PD C, C, QQ

// LINE_END2 keeps the lines of four groups, whose numbers begin at AT; Y13 is how many values a group has. Q, XQ and QQ are their sums; Y8 to Y12 and Y14, Y15 are lost.
#define LINE_END2(AT, Q, XQ, QQ) \
	VMOVUPD   (SUM+AT)(DI), Y15;     \
	VMULPD    QQ, Y13, Y8;           \
	VMULPD    Q, Q, Y9;              \
	VSUBPD    Y9, Y8, Y8;            \
	VMULPD    XQ, Y13, Y9;           \
	VMULPD    Q, Y15, Y10;           \
	VSUBPD    Y10, Y9, Y9;           \
	VDIVPD    Y8, Y9, Y9;            \
	VMULPD    Q, Y9, Y10;            \
	VSUBPD    Y10, Y15, Y10;         \
	VDIVPD    Y13, Y10, Y10;         \
	VXORPD    Y11, Y11, Y11;         \
	VCMPPD    $GREATER, Y11, Y8, Y8; \
	VANDPD    Y8, Y9, Y9;            \
	VANDPD    Y8, Y10, Y10;          \
	VCMPPD    $GREATER, Y11, Y10, Y8;  \
	VCMPPD    $AT_MOST, Y11, Y9, Y12;  \
	VORPD     Y12, Y8, Y8;           \
	VDIVPD    QQ, XQ, Y12;           \
	VBLENDVPD Y8, Y12, Y9, Y9;       \
	VANDNPD   Y10, Y8, Y10;          \
	VMULPD    Y9, Y9, Y8;            \
	VMULPD    QQ, Y8, Y8;            \
	VMULPD    Y10, Y10, Y12;         \
	VMULPD    Y13, Y12, Y12;         \
	VADDPD    Y12, Y8, Y8;           \
	VMULPD    Y10, Y9, Y12;          \
	VMULPD    Q, Y12, Y12;           \
	VMULPD    XQ, Y9, Y14;           \
	VSUBPD    Y14, Y12, Y12;         \
	VMULPD    Y15, Y10, Y14;         \
	VSUBPD    Y14, Y12, Y12;         \
	VADDPD    Y12, Y12, Y12;         \
	VADDPD    Y12, Y8, Y8;           \
	VMOVUPD   (ERROR+AT)(DI), Y12;   \
	VCMPPD    $LESS, Y12, Y8, Y14;   \
	VCMPPD    $GREATER, Y11, Y9, Y15; \
	VANDPD    Y15, Y14, Y14;         \
	VBLENDVPD Y14, Y8, Y12, Y12;     \
	VMOVUPD   Y12, (ERROR+AT)(DI);   \
	VMOVUPD   (LINE_SCALE+AT)(DI), Y12; \
	VBLENDVPD Y14, Y9, Y12, Y12;     \
	VMOVUPD   Y12, (LINE_SCALE+AT)(DI); \
	MOVQ      $SIGN, AX;             \
	VMOVQ     AX, X15;               \
	VPBROADCASTQ X15, Y15;           \
	VXORPD    Y15, Y10, Y10;         \
	VMOVUPD   (OFFSET+AT)(DI), Y12;  \
	VBLENDVPD Y14, Y10, Y12, Y12;    \
	VMOVUPD   Y12, (OFFSET+AT)(DI)

// func tryLineAVX2(f *LineFit, x *float64, n int, count, top, most float64)
TEXT ·tryLineAVX2(SB), NOSPLIT, $0-48
	MOVQ         f+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD top+32(FP), Y0
	VDIVPD       WIDTH(DI), Y0, Y12
	VDIVPD       (WIDTH+32)(DI), Y0, Y13
	VMOVUPD      LEAST(DI), Y10
	VMOVUPD      (LEAST+32)(DI), Y11
	VBROADCASTSD most+40(FP), Y14
	MOVQ         $LARGE, AX
	VMOVQ        AX, X15
	VPBROADCASTQ X15, Y15
	VXORPD       Y0, Y0, Y0
	VXORPD       Y1, Y1, Y1
	VXORPD       Y2, Y2, Y2
	VXORPD       Y3, Y3, Y3
	VXORPD       Y4, Y4, Y4
	VXORPD       Y5, Y5, Y5

value:
	LINE_STEP2((SI), Y10, Y12, Y0, Y1, Y2, Y6, Y7)
	LINE_STEP2(32(SI), Y11, Y13, Y3, Y4, Y5, Y8, Y9)
	ADDQ $64, SI
	DECQ CX
	JNZ  value
	VBROADCASTSD count+24(FP), Y13
	LINE_END2(0, Y0, Y1, Y2)
	LINE_END2(32, Y3, Y4, Y5)
	VZEROUPPER
	RET

// func tryLineAVX512(f *LineFit, x *float64, n int, count, top, most float64)
TEXT ·tryLineAVX512(SB), NOSPLIT, $0-48
	MOVQ         f+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD top+32(FP), Z12
	VDIVPD       WIDTH(DI), Z12, Z12
	VMOVUPD      LEAST(DI), Z10
	VBROADCASTSD most+40(FP), Z14
	MOVQ         $LARGE, AX
	VPBROADCASTQ AX, Z15
	VPXORQ       Z0, Z0, Z0
	VPXORQ       Z1, Z1, Z1
	VPXORQ       Z2, Z2, Z2

value:
	VMOVUPD     (SI), Z6
	VSUBPD      Z10, Z6, Z7
	VMULPD      Z12, Z7, Z7
	VADDPD      Z15, Z7, Z7
	VSUBPD      Z15, Z7, Z7
	VMINPD      Z14, Z7, Z7
	VADDPD      Z7, Z0, Z0
	VFMADD231PD Z6, Z7, Z1
	VFMADD231PD Z7, Z7, Z2
	ADDQ        $64, SI
	DECQ        CX
	JNZ         value

	VBROADCASTSD count+24(FP), Z13
	VMOVUPD      SUM(DI), Z15
	VPXORQ       Z11, Z11, Z11
	VMULPD       Z2, Z13, Z8
	VMULPD       Z0, Z0, Z9
	VSUBPD       Z9, Z8, Z8           // the determinant
	VMULPD       Z1, Z13, Z9
	VMULPD       Z0, Z15, Z10
	VSUBPD       Z10, Z9, Z9
	VDIVPD       Z8, Z9, Z9           // a
	VMULPD       Z0, Z9, Z10
	VSUBPD       Z10, Z15, Z10
	VDIVPD       Z13, Z10, Z10        // b
	VCMPPD       $GREATER, Z11, Z8, K1
	VMOVAPD.Z    Z9, K1, Z9
	VMOVAPD.Z    Z10, K1, Z10
	VCMPPD       $GREATER, Z11, Z10, K1
	VCMPPD       $AT_MOST, Z11, Z9, K2
	KORW         K1, K2, K1
	VDIVPD       Z2, Z1, K1, Z9
	VMOVAPD      Z11, K1, Z10
	VMULPD       Z9, Z9, Z8
	VMULPD       Z2, Z8, Z8
	VMULPD       Z10, Z10, Z12
	VMULPD       Z13, Z12, Z12
	VADDPD       Z12, Z8, Z8
	VMULPD       Z10, Z9, Z12
	VMULPD       Z0, Z12, Z12
	VMULPD       Z1, Z9, Z14
	VSUBPD       Z14, Z12, Z12
	VMULPD       Z15, Z10, Z14
	VSUBPD       Z14, Z12, Z12
	VADDPD       Z12, Z12, Z12
	VADDPD       Z12, Z8, Z8          // the error
	VMOVUPD      ERROR(DI), Z12
	VCMPPD       $LESS, Z12, Z8, K1
	VCMPPD       $GREATER, Z11, Z9, K2
	KANDW        K1, K2, K1
	VMOVUPD      Z8, K1, ERROR(DI)
	VMOVUPD      Z9, K1, LINE_SCALE(DI)
	MOVQ         $SIGN, AX
	VPBROADCASTQ AX, Z14
	VPXORQ       Z14, Z10, Z10
	VMOVUPD      Z10, K1, OFFSET(DI)
	VZEROUPPER
	RET

// SCALE_STEP2 adds one value of each of four groups: Y15 is LARGE, Y14 the largest code, Y13 the least.
#define SCALE_STEP2(VALUE, INV, XQ, QQ, X, C) \
	VMOVUPD     VALUE, X;  \
	VMULPD      INV, X, C; \
	VADDPD      Y15, C, C; \
	VSUBPD      Y15, C, C; \
	VMAXPD      Y13, C, C; \
	VMINPD      Y14, C, C; \
	VFMADD231PD X, C, XQ;  \
	VFMADD231PD C, C, QQ

// SCALE_END2 keeps the scales of four groups; Y12 is 0.
#define SCALE_END2(AT, XQ, QQ) \
	VDIVPD    QQ, XQ, Y6;             \
	VMULPD    XQ, Y6, Y7;             \
	VMOVUPD   (GAIN+AT)(DI), Y8;      \
	VCMPPD    $GREATER, Y8, Y7, Y9;   \
	VCMPPD    $GREATER, Y12, QQ, Y10; \
	VANDPD    Y10, Y9, Y9;            \
	VBLENDVPD Y9, Y7, Y8, Y8;         \
	VMOVUPD   Y8, (GAIN+AT)(DI);      \
	VMOVUPD   (SCALE+AT)(DI), Y8;     \
	VBLENDVPD Y9, Y6, Y8, Y8;         \
	VMOVUPD   Y8, (SCALE+AT)(DI)

// func tryScaleAVX2(f *ScaleFit, x *float64, n int, top, least, most float64)
TEXT ·tryScaleAVX2(SB), NOSPLIT, $0-48
	MOVQ         f+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD top+24(FP), Y0
	VDIVPD       MOST(DI), Y0, Y10
	VDIVPD       (MOST+32)(DI), Y0, Y11
	VBROADCASTSD least+32(FP), Y13
	VBROADCASTSD most+40(FP), Y14
	MOVQ         $LARGE, AX
	VMOVQ        AX, X15
	VPBROADCASTQ X15, Y15
	VXORPD       Y0, Y0, Y0
	VXORPD       Y1, Y1, Y1
	VXORPD       Y2, Y2, Y2
	VXORPD       Y3, Y3, Y3
	VXORPD       Y12, Y12, Y12

value:
	SCALE_STEP2((SI), Y10, Y0, Y1, Y6, Y7)
	SCALE_STEP2(32(SI), Y11, Y2, Y3, Y8, Y9)
	ADDQ $64, SI
	DECQ CX
	JNZ  value
	SCALE_END2(0, Y0, Y1)
	SCALE_END2(32, Y2, Y3)
	VZEROUPPER
	RET

// func tryScaleAVX512(f *ScaleFit, x *float64, n int, top, least, most float64)
TEXT ·tryScaleAVX512(SB), NOSPLIT, $0-48
	MOVQ         f+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD top+24(FP), Z10
	VDIVPD       MOST(DI), Z10, Z10
	VBROADCASTSD least+32(FP), Z13
	VBROADCASTSD most+40(FP), Z14
	MOVQ         $LARGE, AX
	VPBROADCASTQ AX, Z15
	VPXORQ       Z0, Z0, Z0
	VPXORQ       Z1, Z1, Z1
	VPXORQ       Z12, Z12, Z12

value:
	VMOVUPD     (SI), Z6
	VMULPD      Z10, Z6, Z7
	VADDPD      Z15, Z7, Z7
	VSUBPD      Z15, Z7, Z7
	VMAXPD      Z13, Z7, Z7
	VMINPD      Z14, Z7, Z7
	VFMADD231PD Z6, Z7, Z0
	VFMADD231PD Z7, Z7, Z1
	ADDQ        $64, SI
	DECQ        CX
	JNZ         value
	VDIVPD      Z1, Z0, Z6
	VMULPD      Z0, Z6, Z7
	VMOVUPD     GAIN(DI), Z8
	VCMPPD      $GREATER, Z8, Z7, K1
	VCMPPD      $GREATER, Z12, Z1, K2
	KANDW       K1, K2, K1
	VMOVUPD     Z7, K1, GAIN(DI)
	VMOVUPD     Z6, K1, SCALE(DI)
	VZEROUPPER
	RET

// func spansAVX2(x *float64, n int, least, most, sum *[Lanes]float64)
TEXT ·spansAVX2(SB), NOSPLIT, $0-40
	MOVQ    x+0(FP), SI
	MOVQ    n+8(FP), CX
	MOVQ    least+16(FP), R8
	MOVQ    most+24(FP), R9
	MOVQ    sum+32(FP), R10
	VMOVUPD (SI), Y0
	VMOVUPD 32(SI), Y1
	VMOVAPD Y0, Y2
	VMOVAPD Y1, Y3
	VXORPD  Y4, Y4, Y4
	VXORPD  Y5, Y5, Y5

value:
	VMOVUPD (SI), Y6
	VMOVUPD 32(SI), Y7
	VMINPD  Y6, Y0, Y0
	VMINPD  Y7, Y1, Y1
	VMAXPD  Y6, Y2, Y2
	VMAXPD  Y7, Y3, Y3
	VADDPD  Y6, Y4, Y4
	VADDPD  Y7, Y5, Y5
	ADDQ    $64, SI
	DECQ    CX
	JNZ     value
	VMOVUPD Y0, (R8)
	VMOVUPD Y1, 32(R8)
	VMOVUPD Y2, (R9)
	VMOVUPD Y3, 32(R9)
	VMOVUPD Y4, (R10)
	VMOVUPD Y5, 32(R10)
	VZEROUPPER
	RET

// CODES4 makes four codes of four values: Y15 is LARGE, Y14 the offset, Y13 the scale, Y12 the least code and Y11 the largest.
#define CODES4(VALUE, Y, X) \
	VCVTPS2PD   VALUE, Y;  \
	VADDPD      Y14, Y, Y; \
	VDIVPD      Y13, Y, Y; \
	VADDPD      Y15, Y, Y; \
	VSUBPD      Y15, Y, Y; \
	VMAXPD      Y12, Y, Y; \
	VMINPD      Y11, Y, Y; \
	VCVTTPD2DQY Y, X

// func latticeCodesAVX2(dst *byte, x *float32, n int, offset, scale, least, most float64, zero byte)
TEXT ·latticeCodesAVX2(SB), NOSPLIT, $0-57
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD offset+24(FP), Y14
	VBROADCASTSD scale+32(FP), Y13
	VBROADCASTSD least+40(FP), Y12
	VBROADCASTSD most+48(FP), Y11
	VPBROADCASTB zero+56(FP), X10
	MOVQ         $LARGE, AX
	VMOVQ        AX, X15
	VPBROADCASTQ X15, Y15

sixteen:
	CODES4((SI), Y0, X0)
	CODES4(16(SI), Y1, X1)
	CODES4(32(SI), Y2, X2)
	CODES4(48(SI), Y3, X3)
	VPACKSSDW X1, X0, X0
	VPACKSSDW X3, X2, X2
	VPACKSSWB X2, X0, X0
	VPADDB    X10, X0, X0
	VMOVDQU   X0, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	SUBQ      $16, CX
	JNZ       sixteen
	VZEROUPPER
	RET

// CODES8 makes eight, with the same in Z11 to Z15.
#define CODES8(VALUE, Z, Y) \
	VCVTPS2PD  VALUE, Z;  \
	VADDPD     Z14, Z, Z; \
	VDIVPD     Z13, Z, Z; \
	VADDPD     Z15, Z, Z; \
	VSUBPD     Z15, Z, Z; \
	VMAXPD     Z12, Z, Z; \
	VMINPD     Z11, Z, Z; \
	VCVTTPD2DQ Z, Y

// func latticeCodesAVX512(dst *byte, x *float32, n int, offset, scale, least, most float64, zero byte)
TEXT ·latticeCodesAVX512(SB), NOSPLIT, $0-57
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD offset+24(FP), Z14
	VBROADCASTSD scale+32(FP), Z13
	VBROADCASTSD least+40(FP), Z12
	VBROADCASTSD most+48(FP), Z11
	VPBROADCASTB zero+56(FP), X10
	MOVQ         $LARGE, AX
	VPBROADCASTQ AX, Z15

sixteen:
	CODES8((SI), Z0, Y0)
	CODES8(32(SI), Z1, Y1)
	VINSERTI64X4 $1, Y1, Z0, Z0
	VPMOVDB      Z0, X0
	VPADDB       X10, X0, X0
	VMOVDQU      X0, (DI)
	ADDQ         $64, SI
	ADDQ         $16, DI
	SUBQ         $16, CX
	JNZ          sixteen
	VZEROUPPER
	RET
