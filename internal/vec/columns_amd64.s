//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"
#include "e2m1_amd64.h"

// Eight columns are worked on at a time. TURN_4 turns four by four numbers of 32 bits in each half of A, B, C and D: of column 4·h + i in half h of the i-th, its k-th number comes to
// half h of the k-th. Then a number of 32 bits is eight rows of a column, and a register has eight columns; it is its own way back.
#define TURN_4(A, B, C, D, S, T, U, V) \
	VPUNPCKLDQ  B, A, S; \
	VPUNPCKHDQ  B, A, T; \
	VPUNPCKLDQ  D, C, U; \
	VPUNPCKHDQ  D, C, V; \
	VPUNPCKLQDQ U, S, A; \
	VPUNPCKHQDQ U, S, B; \
	VPUNPCKLQDQ V, T, C; \
	VPUNPCKHQDQ V, T, D

// What a code stands for is looked up as in groups_amd64.s, in two tables, of which its fourth bit chooses. ROW does it for the lowest four bits, and moves the next ones there.
#define ROW(CODES) \
	VPERMPS   Y13, CODES, Y4;    \
	VPERMPS   Y14, CODES, Y5;    \
	VPSLLD    $28, CODES, Y6;    \
	VBLENDVPS Y6, Y5, Y4, Y4;    \
	VMULPS    Y15, Y4, Y4;       \
	VMOVUPS   Y4, (DX);          \
	ADDQ      R10, DX;           \
	VPSRLD    $4, CODES, CODES

#define EIGHT_ROWS(CODES) \
	ROW(CODES); ROW(CODES); ROW(CODES); ROW(CODES); ROW(CODES); ROW(CODES); ROW(CODES); ROW(CODES)

// func decodeNibbleColumnsAVX2(dst *float32, src *byte, values *[16]float32, scales *float32, n, dstStep, srcStep int)
//
// R8 are the bytes from one column of codes to the next, R9 three times as many; R10 those from one row to the next of what is written.
TEXT ·decodeNibbleColumnsAVX2(SB), NOSPLIT, $0-56
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    values+16(FP), AX
	MOVQ    scales+24(FP), R11
	MOVQ    n+32(FP), CX
	MOVQ    dstStep+40(FP), R10
	MOVQ    srcStep+48(FP), R8
	SHLQ    $2, R10
	LEAQ    (R8)(R8*2), R9
	VMOVUPS (AX), Y13
	VMOVUPS 32(AX), Y14

columns:
	LEAQ        (SI)(R8*4), BX
	VMOVDQU     (SI), X0
	VMOVDQU     (SI)(R8*1), X1
	VMOVDQU     (SI)(R8*2), X2
	VMOVDQU     (SI)(R9*1), X3
	VINSERTI128 $1, (BX), Y0, Y0
	VINSERTI128 $1, (BX)(R8*1), Y1, Y1
	VINSERTI128 $1, (BX)(R8*2), Y2, Y2
	VINSERTI128 $1, (BX)(R9*1), Y3, Y3
	TURN_4(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VMOVUPS     (R11), Y15
	MOVQ        DI, DX
	EIGHT_ROWS(Y0)
	EIGHT_ROWS(Y1)
	EIGHT_ROWS(Y2)
	EIGHT_ROWS(Y3)
	ADDQ        $32, R11
	ADDQ        $32, DI
	LEAQ        (SI)(R8*8), SI
	SUBQ        $8, CX
	JNZ         columns
	VZEROUPPER
	RET

#define PLAIN 0x7e7fffff // below 2^126
#define HALF 0x00200000 // of one bit of mantissa
#define OF_SIX 2
#define ONE 127
#define INVERSE 254

// LARGEST raises Y5 to the magnitudes of a row.
#define LARGEST \
	VPAND   (DX), Y10, Y4; \
	VPMAXUD Y4, Y5, Y5;    \
	ADDQ    R8, DX

#define FOUR_LARGEST LARGEST; LARGEST; LARGEST; LARGEST

// CODE puts the codes of a row, as four bits, on top of those that CODES has.
#define CODE(CODES) \
	VMULPS  (DX), Y15, Y4;  \
	ADDQ    R8, DX;         \
	VPSRLD  $4, CODES, CODES; \
	VPAND   Y10, Y4, Y5;    \
	E2M1(VPAND, Y5, Y6, Y12, Y9, Y8, Y7, Y11); \
	VPSLLD  $28, Y5, Y5;    \
	VPANDN  Y4, Y10, Y4;    \
	VPOR    Y4, Y5, Y5;     \
	VPOR    Y5, CODES, CODES

#define EIGHT_CODES(CODES) \
	CODE(CODES); CODE(CODES); CODE(CODES); CODE(CODES); CODE(CODES); CODE(CODES); CODE(CODES); CODE(CODES)

// func encodeE2M1ColumnsAVX2(dst, scales *byte, src *float32, n, dstStep, srcStep int) (ok bool)
//
// R10 are the bytes from one column of codes to the next, R9 three times as many; R8 those from one row to the next of what is read. Y14 has the largest of all magnitudes.
TEXT ·encodeE2M1ColumnsAVX2(SB), NOSPLIT, $0-49
	MOVQ  dst+0(FP), DI
	MOVQ  scales+8(FP), R11
	MOVQ  src+16(FP), SI
	MOVQ  n+24(FP), CX
	MOVQ  dstStep+32(FP), R10
	MOVQ  srcStep+40(FP), R8
	SHLQ  $2, R8
	LEAQ  (R10)(R10*2), R9
	FILL_Y(LEAST, X7, Y7)
	FILL_Y(EXPONENT, X8, Y8)
	FILL_Y(SIX, X9, Y9)
	FILL_Y(MAGNITUDE, X10, Y10)
	FILL_Y(CARRIER, X11, Y11)
	VPXOR Y14, Y14, Y14

columns:
	MOVQ    SI, DX
	VPXOR   Y5, Y5, Y5
	FOUR_LARGEST
	FOUR_LARGEST
	FOUR_LARGEST
	FOUR_LARGEST
	FOUR_LARGEST
	FOUR_LARGEST
	FOUR_LARGEST
	FOUR_LARGEST
	VPMAXUD Y5, Y14, Y14

	// The scale: zeros have 1.
	VPXOR     Y0, Y0, Y0
	VPCMPEQD  Y0, Y5, Y1
	FILL_Y(HALF, X2, Y2)
	VPADDD    Y2, Y5, Y5
	VPSRLD    $23, Y5, Y5
	FILL_Y(OF_SIX, X2, Y2)
	VPSUBD    Y2, Y5, Y5
	VPMAXSD   Y0, Y5, Y5
	FILL_Y(ONE, X2, Y2)
	VBLENDVPS Y1, Y2, Y5, Y5
	FILL_Y(INVERSE, X2, Y2)
	VPSUBD    Y5, Y2, Y15
	VPSLLD    $23, Y15, Y15
	VEXTRACTI128 $1, Y5, X6
	VPACKUSDW X6, X5, X5
	VPACKUSWB X5, X5, X5
	VMOVQ     X5, (R11)

	MOVQ SI, DX
	EIGHT_CODES(Y0)
	EIGHT_CODES(Y1)
	EIGHT_CODES(Y2)
	EIGHT_CODES(Y3)
	TURN_4(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y12)
	LEAQ         (DI)(R10*4), BX
	VMOVDQU      X0, (DI)
	VMOVDQU      X1, (DI)(R10*1)
	VMOVDQU      X2, (DI)(R10*2)
	VMOVDQU      X3, (DI)(R9*1)
	VEXTRACTI128 $1, Y0, (BX)
	VEXTRACTI128 $1, Y1, (BX)(R10*1)
	VEXTRACTI128 $1, Y2, (BX)(R10*2)
	VEXTRACTI128 $1, Y3, (BX)(R9*1)
	ADDQ         $8, R11
	ADDQ         $32, SI
	LEAQ         (DI)(R10*8), DI
	SUBQ         $8, CX
	JNZ          columns

	FILL_Y(PLAIN, X2, Y2)
	VPCMPGTD Y2, Y14, Y14
	VPTEST   Y14, Y14
	SETEQ    ok+48(FP)
	VZEROUPPER
	RET
