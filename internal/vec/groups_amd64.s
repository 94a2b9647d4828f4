//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"
#include "groups_amd64.h"

// Every loop: DI is where to write, SI where to read, R8 the scales, R9 the zero points and R11 the bytes from one to the next (0 for one
// that all groups have), R10 the elements of a group, a multiple of 16, CX those left behind the group, DX those left of it. Each
// pass takes 16 elements, and reads and writes no more than theirs.

#define UNORDERED 3
#define NAN32 0x7fc00000
#define MAGNITUDE 0x7fffffff
#define INF32 0x7f800000

// What a code stands for is looked up by a permutation of the sixteen values of its group, by the lower four bits of each 32.
// A byte that fills 64 has the index of its first element in the lower half, and, shifted by 28, that of the second in
// the upper. With AVX2 there are two tables of eight values, and the fourth bit of the index, as a sign, chooses.

// func decodeNibbleGroupsAVX2(dst *float32, src *byte, values *[16]float32, zeros, scales *float32, n, group, step int)
TEXT ·decodeNibbleGroupsAVX2(SB), NOSPLIT, $0-64
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    values+16(FP), BX
	MOVQ    zeros+24(FP), R9
	MOVQ    scales+32(FP), R8
	MOVQ    n+40(FP), CX
	MOVQ    group+48(FP), R10
	MOVQ    step+56(FP), R11
	VMOVUPS (BX), Y14
	VMOVUPS 32(BX), Y15
	FILL_Y(NAN32, X13, Y13)

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Y0
	VBROADCASTSS (R8), Y1
	ADDQ         R11, R9
	ADDQ         $4, R8
	VSUBPS       Y0, Y14, Y2
	VSUBPS       Y0, Y15, Y3
	VMULPS       Y1, Y2, Y2
	VMULPS       Y1, Y3, Y3
	VCMPPS       $UNORDERED, Y2, Y2, Y0
	VCMPPS       $UNORDERED, Y3, Y3, Y1
	VBLENDVPS    Y0, Y13, Y2, Y2
	VBLENDVPS    Y1, Y13, Y3, Y3

codes:
	VPMOVZXBQ (SI), Y0
	VPMOVZXBQ 4(SI), Y1
	VPSLLQ    $28, Y0, Y4
	VPSLLQ    $28, Y1, Y5
	VPOR      Y4, Y0, Y0
	VPOR      Y5, Y1, Y1
	VPERMPS   Y2, Y0, Y4
	VPERMPS   Y3, Y0, Y5
	VPERMPS   Y2, Y1, Y6
	VPERMPS   Y3, Y1, Y7
	VPSLLD    $28, Y0, Y0
	VPSLLD    $28, Y1, Y1
	VBLENDVPS Y0, Y5, Y4, Y4
	VBLENDVPS Y1, Y7, Y6, Y6
	VMOVUPS   Y4, (DI)
	VMOVUPS   Y6, 32(DI)
	ADDQ      $64, DI
	ADDQ      $8, SI
	SUBQ      $16, DX
	JNZ       codes
	TESTQ     CX, CX
	JNZ       group
	VZEROUPPER
	RET

// func decodeNibbleGroupsAVX512(dst *float32, src *byte, values *[16]float32, zeros, scales *float32, n, group, step int)
TEXT ·decodeNibbleGroupsAVX512(SB), NOSPLIT, $0-64
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    values+16(FP), BX
	MOVQ    zeros+24(FP), R9
	MOVQ    scales+32(FP), R8
	MOVQ    n+40(FP), CX
	MOVQ    group+48(FP), R10
	MOVQ    step+56(FP), R11
	VMOVUPS (BX), Z15
	FILL_Z(NAN32, Z14)

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Z0
	VBROADCASTSS (R8), Z1
	ADDQ         R11, R9
	ADDQ         $4, R8
	VSUBPS       Z0, Z15, Z2
	VMULPS       Z1, Z2, Z2
	VCMPPS       $UNORDERED, Z2, Z2, K1
	VMOVAPS      Z14, K1, Z2

codes:
	VPMOVZXBQ (SI), Z0
	VPSLLQ    $28, Z0, Z1
	VPORQ     Z1, Z0, Z0
	VPERMPS   Z2, Z0, Z0
	VMOVUPS   Z0, (DI)
	ADDQ      $64, DI
	ADDQ      $8, SI
	SUBQ      $16, DX
	JNZ       codes
	TESTQ     CX, CX
	JNZ       group
	VZEROUPPER
	RET

// func decodeI8GroupsAVX2(dst *float32, src *byte, zeros, scales *float32, n, group, step int, flip byte)
TEXT ·decodeI8GroupsAVX2(SB), NOSPLIT, $0-57
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ zeros+16(FP), R9
	MOVQ scales+24(FP), R8
	MOVQ n+32(FP), CX
	MOVQ group+40(FP), R10
	MOVQ step+48(FP), R11
	VPBROADCASTB flip+56(FP), X12
	FILL_Y(NAN32, X13, Y13)

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Y4
	VBROADCASTSS (R8), Y5
	ADDQ         R11, R9
	ADDQ         $4, R8

codes:
	VPXOR     (SI), X12, X0
	VPSRLDQ   $8, X0, X1
	VPMOVSXBD X0, Y0
	VPMOVSXBD X1, Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VSUBPS    Y4, Y0, Y0
	VSUBPS    Y4, Y1, Y1
	VMULPS    Y5, Y0, Y0
	VMULPS    Y5, Y1, Y1
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

// func decodeI8GroupsAVX512(dst *float32, src *byte, zeros, scales *float32, n, group, step int, flip byte)
TEXT ·decodeI8GroupsAVX512(SB), NOSPLIT, $0-57
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ zeros+16(FP), R9
	MOVQ scales+24(FP), R8
	MOVQ n+32(FP), CX
	MOVQ group+40(FP), R10
	MOVQ step+48(FP), R11
	VPBROADCASTB flip+56(FP), X12
	FILL_Z(NAN32, Z14)

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Z4
	VBROADCASTSS (R8), Z5
	ADDQ         R11, R9
	ADDQ         $4, R8

codes:
	VPXOR     (SI), X12, X0
	VPMOVSXBD X0, Z0
	VCVTDQ2PS Z0, Z0
	VSUBPS    Z4, Z0, Z0
	VMULPS    Z5, Z0, Z0
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

// The bits of finite magnitudes have the order of the numbers, and are below those of infinity. Here DI is the largest of each group.

// func raiseToLargestAVX2(largest, x *float32, n, group int)
TEXT ·raiseToLargestAVX2(SB), NOSPLIT, $0-32
	MOVQ largest+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ group+24(FP), R10
	FILL_Y(MAGNITUDE, X14, Y14)
	FILL_Y(INF32, X15, Y15)

group:
	NEXT_GROUP
	VMOVD (DI), X0
	VPXOR Y1, Y1, Y1

elements:
	VPAND    (SI), Y14, Y2
	VPAND    32(SI), Y14, Y3
	VPCMPGTD Y2, Y15, Y4 // below infinity
	VPCMPGTD Y3, Y15, Y5
	VPAND    Y4, Y2, Y2
	VPAND    Y5, Y3, Y3
	VPMAXUD  Y2, Y0, Y0
	VPMAXUD  Y3, Y1, Y1
	ADDQ     $64, SI
	SUBQ     $16, DX
	JNZ      elements

	VPMAXUD      Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0xb1, X0, X1
	VPMAXUD      X1, X0, X0
	VMOVD        X0, (DI)
	ADDQ         $4, DI
	TESTQ        CX, CX
	JNZ          group
	VZEROUPPER
	RET

// func raiseToLargestAVX512(largest, x *float32, n, group int)
TEXT ·raiseToLargestAVX512(SB), NOSPLIT, $0-32
	MOVQ largest+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ group+24(FP), R10
	FILL_Z(MAGNITUDE, Z14)
	FILL_Z(INF32, Z15)

#define BELOW 1

group:
	NEXT_GROUP
	VMOVD (DI), X0

elements:
	VPANDD  (SI), Z14, Z2
	VPCMPUD $BELOW, Z15, Z2, K1
	VPMAXUD Z2, Z0, K1, Z0
	ADDQ    $64, SI
	SUBQ    $16, DX
	JNZ     elements

	VEXTRACTI64X4 $1, Z0, Y1
	VPMAXUD       Y1, Y0, Y0
	VEXTRACTI128  $1, Y0, X1
	VPMAXUD       X1, X0, X0
	VPSHUFD       $0x4e, X0, X1
	VPMAXUD       X1, X0, X0
	VPSHUFD       $0xb1, X0, X1
	VPMAXUD       X1, X0, X0
	VMOVD         X0, (DI)
	ADDQ          $4, DI
	TESTQ         CX, CX
	JNZ           group
	VZEROUPPER
	RET
