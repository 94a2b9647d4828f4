//go:build !noasm

#include "textflag.h"

// The kernels of mask_amd64.s with masks in K registers, 32 elements at a time.

// The predicate of VPCMPD.
#define ATMOST $2

// WORD stores a word of the masks in K1 and K2.
#define WORD \
	KUNPCKWD K1, K2, K3  \
	KMOVD    K3, (DI)    \
	ADDQ     $4, DI      \
	ADDQ     $128, SI    \
	DECQ     CX

// func atMostAVX512(mask *uint32, x *int32, words int, last int32)
TEXT ·atMostAVX512(SB), NOSPLIT, $0-28
	MOVQ         mask+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         words+16(FP), CX
	MOVL         last+24(FP), AX
	VPBROADCASTD AX, Z4

word:
	VMOVDQU32 0(SI), Z0
	VMOVDQU32 64(SI), Z1
	VPCMPD    ATMOST, Z4, Z0, K1
	VPCMPD    ATMOST, Z4, Z1, K2
	WORD
	JNZ       word
	VZEROUPPER
	RET

// func hasBitsAVX512(mask *uint32, x *float32, words int, bits uint32)
TEXT ·hasBitsAVX512(SB), NOSPLIT, $0-28
	MOVQ         mask+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         words+16(FP), CX
	MOVL         bits+24(FP), AX
	VPBROADCASTD AX, Z4

word:
	VPTESTMD 0(SI), Z4, K1
	VPTESTMD 64(SI), Z4, K2
	WORD
	JNZ      word
	VZEROUPPER
	RET

// func selectBitsAVX512(x *float32, mask *uint32, n int)
TEXT ·selectBitsAVX512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ mask+8(FP), SI
	MOVQ n+16(FP), CX

block:
	KMOVW     0(SI), K1
	KMOVW     2(SI), K2
	VMOVUPS.Z 0(DI), K1, Z0
	VMOVUPS.Z 64(DI), K2, Z1
	VMOVUPS   Z0, 0(DI)
	VMOVUPS   Z1, 64(DI)
	ADDQ      $128, DI
	ADDQ      $4, SI
	SUBQ      $32, CX
	JNZ       block
	VZEROUPPER
	RET

// TERMS adds eight elements to the lanes A of all and K of those that are kept, whose mask is byte from of BX. Z15 has the bits of a magnitude.
// Lanes are never −0: where a sum is left alone, it is as if 0 had been added.
#define TERMS(at, from, A, K, T, M) \
	KMOVB     from(BX), M \
	VCVTPS2PD at(SI), T   \
	VANDPD    Z15, T, T   \
	VADDPD    T, A, A     \
	VADDPD    T, K, M, K

// func sumAbsBitsAVX512(all, kept *lanes, x *float32, mask *uint32, n int)
TEXT ·sumAbsBitsAVX512(SB), NOSPLIT, $0-40
	MOVQ       all+0(FP), DI
	MOVQ       kept+8(FP), DX
	MOVQ       x+16(FP), SI
	MOVQ       mask+24(FP), BX
	MOVQ       n+32(FP), CX
	VPTERNLOGQ $0xff, Z15, Z15, Z15
	VPSRLQ     $1, Z15, Z15
	VMOVUPD    0(DI), Z0
	VMOVUPD    64(DI), Z1
	VMOVUPD    0(DX), Z2
	VMOVUPD    64(DX), Z3

block:
	TERMS(0, 0, Z0, Z2, Z4, K1)
	TERMS(32, 1, Z1, Z3, Z5, K2)
	TERMS(64, 2, Z0, Z2, Z6, K3)
	TERMS(96, 3, Z1, Z3, Z7, K4)
	ADDQ    $128, SI
	ADDQ    $4, BX
	SUBQ    $32, CX
	JNZ     block
	VMOVUPD Z0, 0(DI)
	VMOVUPD Z1, 64(DI)
	VMOVUPD Z2, 0(DX)
	VMOVUPD Z3, 64(DX)
	VZEROUPPER
	RET
