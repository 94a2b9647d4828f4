//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"
#include "groups_amd64.h"

// Registers are those of groups_amd64.s; each pass takes 32 codes.

// E4M3 in binary16's places, s0eeeemm m0000000, makes a value 2^8 times too small, which binary16 and float32 hold
// exactly. The factor puts that right, so that there is one product, and one rounding. The NaN, there s0111111 10000000,
// becomes 0x7e00, and by a finite factor float32's 0x7fc00000.
#define E4M3_EXPONENTS 0xbf80bf80
#define E4M3_NAN 0x7f007f00 // shifted left by one, without sign
#define F16_NAN 0x7e007e00
#define FACTOR 0x43800000 // 2^8

// F16_OF_E4M3 turns sign-extended words W into binary16; T is scratch.
#define F16_OF_E4M3(W, T) \
	VPSLLW    $7, W, W;  \
	VPAND     Y8, W, W;  \
	VPADDW    W, W, T;   \
	VPCMPEQW  Y9, T, T;  \
	VPBLENDVB T, Y10, W, W

// func decodeF8E4M3GroupsAVX2(dst *float32, src *byte, scales *float32, n, group int)
TEXT ·decodeF8E4M3GroupsAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ scales+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ group+32(FP), R10
	FILL_Y(FACTOR, X12, Y12)
	FILL_Y(E4M3_EXPONENTS, X8, Y8)
	FILL_Y(E4M3_NAN, X9, Y9)
	FILL_Y(F16_NAN, X10, Y10)

group:
	NEXT_GROUP
	VBROADCASTSS (R8), Y11
	ADDQ         $4, R8
	VMULPS       Y12, Y11, Y11

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
	VMOVUPS      Y0, (DI)
	VMOVUPS      Y1, 32(DI)
	VMOVUPS      Y2, 64(DI)
	VMOVUPS      Y3, 96(DI)
	ADDQ         $128, DI
	ADDQ         $32, SI
	SUBQ         $32, DX
	JNZ          loop
	TESTQ        CX, CX
	JNZ          group
	VZEROUPPER
	RET

// func decodeF8E4M3GroupsAVX512(dst *float32, src *byte, scales *float32, n, group int)
TEXT ·decodeF8E4M3GroupsAVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ scales+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ group+32(FP), R10
	FILL_Z(FACTOR, Z12)
	FILL_Z(E4M3_EXPONENTS, Z8)
	FILL_Z(E4M3_NAN, Z9)
	FILL_Z(F16_NAN, Z10)

group:
	NEXT_GROUP
	VBROADCASTSS (R8), Z11
	ADDQ         $4, R8
	VMULPS       Z12, Z11, Z11

loop:
	VPMOVSXBW     (SI), Z0
	VPSLLW        $7, Z0, Z0
	VPANDD        Z8, Z0, Z0
	VPADDW        Z0, Z0, Z1
	VPCMPEQW      Z9, Z1, K1
	VMOVDQU16     Z10, K1, Z0
	VEXTRACTI64X4 $1, Z0, Y1
	VCVTPH2PS     Y0, Z2
	VCVTPH2PS     Y1, Z3
	VMULPS        Z11, Z2, Z2
	VMULPS        Z11, Z3, Z3
	VMOVUPS       Z2, (DI)
	VMOVUPS       Z3, 64(DI)
	ADDQ          $128, DI
	ADDQ          $32, SI
	SUBQ          $32, DX
	JNZ           loop
	TESTQ         CX, CX
	JNZ           group
	VZEROUPPER
	RET
