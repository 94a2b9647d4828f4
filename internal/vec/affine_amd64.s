//go:build !noasm

#include "textflag.h"
#include "groups_amd64.h"

// DI is where to write, SI where to read, R8 the scales, R9 the offsets, R10 the elements of a group, a multiple of 16, CX those left behind
// the group, DX those left of it. Each pass takes 16 elements, and reads and writes no more than theirs.

#define UNORDERED 3
#define NAN32 0x7fc00000

// func decodeU8AffineAVX2(dst *float32, src *byte, scales, offsets *float32, n, group int)
TEXT ·decodeU8AffineAVX2(SB), NOSPLIT, $0-48
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         scales+16(FP), R8
	MOVQ         offsets+24(FP), R9
	MOVQ         n+32(FP), CX
	MOVQ         group+40(FP), R10
	MOVL         $NAN32, AX
	VMOVD        AX, X13
	VPBROADCASTD X13, Y13

group:
	NEXT_GROUP
	VBROADCASTSS (R8), Y4
	VBROADCASTSS (R9), Y5
	ADDQ         $4, R8
	ADDQ         $4, R9

codes:
	VPMOVZXBD (SI), Y0
	VPMOVZXBD 8(SI), Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VMULPS    Y4, Y0, Y0
	VMULPS    Y4, Y1, Y1
	VADDPS    Y5, Y0, Y0
	VADDPS    Y5, Y1, Y1
	VCMPPS    $UNORDERED, Y0, Y0, Y2
	VCMPPS    $UNORDERED, Y1, Y1, Y3
	VBLENDVPS Y2, Y13, Y0, Y0
	VBLENDVPS Y3, Y13, Y1, Y1
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	ADDQ      $64, DI
	ADDQ      $16, SI
	SUBQ      $16, DX
	JNZ       codes
	TESTQ     CX, CX
	JNZ       group
	VZEROUPPER
	RET

// func decodeU8AffineAVX512(dst *float32, src *byte, scales, offsets *float32, n, group int)
TEXT ·decodeU8AffineAVX512(SB), NOSPLIT, $0-48
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         scales+16(FP), R8
	MOVQ         offsets+24(FP), R9
	MOVQ         n+32(FP), CX
	MOVQ         group+40(FP), R10
	MOVL         $NAN32, AX
	VPBROADCASTD AX, Z14

group:
	NEXT_GROUP
	VBROADCASTSS (R8), Z4
	VBROADCASTSS (R9), Z5
	ADDQ         $4, R8
	ADDQ         $4, R9

codes:
	VPMOVZXBD (SI), Z0
	VCVTDQ2PS Z0, Z0
	VMULPS    Z4, Z0, Z0
	VADDPS    Z5, Z0, Z0
	VCMPPS    $UNORDERED, Z0, Z0, K1
	VMOVAPS   Z14, K1, Z0
	VMOVUPS   Z0, (DI)
	ADDQ      $64, DI
	ADDQ      $16, SI
	SUBQ      $16, DX
	JNZ       codes
	TESTQ     CX, CX
	JNZ       group
	VZEROUPPER
	RET
