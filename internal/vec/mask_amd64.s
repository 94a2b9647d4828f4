//go:build !noasm

#include "textflag.h"

// How far each bit of a word is from its highest one.
DATA distance<>+0(SB)/4, $31
DATA distance<>+4(SB)/4, $30
DATA distance<>+8(SB)/4, $29
DATA distance<>+12(SB)/4, $28
DATA distance<>+16(SB)/4, $27
DATA distance<>+20(SB)/4, $26
DATA distance<>+24(SB)/4, $25
DATA distance<>+28(SB)/4, $24
DATA distance<>+32(SB)/4, $23
DATA distance<>+36(SB)/4, $22
DATA distance<>+40(SB)/4, $21
DATA distance<>+44(SB)/4, $20
DATA distance<>+48(SB)/4, $19
DATA distance<>+52(SB)/4, $18
DATA distance<>+56(SB)/4, $17
DATA distance<>+60(SB)/4, $16
DATA distance<>+64(SB)/4, $15
DATA distance<>+68(SB)/4, $14
DATA distance<>+72(SB)/4, $13
DATA distance<>+76(SB)/4, $12
DATA distance<>+80(SB)/4, $11
DATA distance<>+84(SB)/4, $10
DATA distance<>+88(SB)/4, $9
DATA distance<>+92(SB)/4, $8
DATA distance<>+96(SB)/4, $7
DATA distance<>+100(SB)/4, $6
DATA distance<>+104(SB)/4, $5
DATA distance<>+108(SB)/4, $4
DATA distance<>+112(SB)/4, $3
DATA distance<>+116(SB)/4, $2
DATA distance<>+120(SB)/4, $1
DATA distance<>+124(SB)/4, $0
GLOBL distance<>(SB), RODATA|NOPTR, $128

// The same in 64 bits.
DATA wide<>+0(SB)/8, $63
DATA wide<>+8(SB)/8, $62
DATA wide<>+16(SB)/8, $61
DATA wide<>+24(SB)/8, $60
DATA wide<>+32(SB)/8, $59
DATA wide<>+40(SB)/8, $58
DATA wide<>+48(SB)/8, $57
DATA wide<>+56(SB)/8, $56
DATA wide<>+64(SB)/8, $55
DATA wide<>+72(SB)/8, $54
DATA wide<>+80(SB)/8, $53
DATA wide<>+88(SB)/8, $52
DATA wide<>+96(SB)/8, $51
DATA wide<>+104(SB)/8, $50
DATA wide<>+112(SB)/8, $49
DATA wide<>+120(SB)/8, $48
DATA wide<>+128(SB)/8, $47
DATA wide<>+136(SB)/8, $46
DATA wide<>+144(SB)/8, $45
DATA wide<>+152(SB)/8, $44
DATA wide<>+160(SB)/8, $43
DATA wide<>+168(SB)/8, $42
DATA wide<>+176(SB)/8, $41
DATA wide<>+184(SB)/8, $40
DATA wide<>+192(SB)/8, $39
DATA wide<>+200(SB)/8, $38
DATA wide<>+208(SB)/8, $37
DATA wide<>+216(SB)/8, $36
DATA wide<>+224(SB)/8, $35
DATA wide<>+232(SB)/8, $34
DATA wide<>+240(SB)/8, $33
DATA wide<>+248(SB)/8, $32
GLOBL wide<>(SB), RODATA|NOPTR, $256

// WORD makes a word of which lanes of A, B, C and D have no mask, stores it at DI, and moves on.
#define WORD(A, B, C, D) \
	VMOVMSKPS A, AX    \
	VMOVMSKPS B, BX    \
	VMOVMSKPS C, DX    \
	VMOVMSKPS D, R9    \
	SHLL      $8, BX   \
	SHLL      $16, DX  \
	SHLL      $24, R9  \
	ORL       BX, AX   \
	ORL       R9, DX   \
	ORL       DX, AX   \
	NOTL      AX       \
	MOVL      AX, (DI) \
	ADDQ      $4, DI

// MASK makes a word of which numbers in A, B, C and D are at most those in L.
#define MASK(L, A, B, C, D) \
	VPCMPGTD L, A, A \
	VPCMPGTD L, B, B \
	VPCMPGTD L, C, C \
	VPCMPGTD L, D, D \
	WORD(A, B, C, D)

// func atMostAVX2(mask *uint32, x *int32, words int, last int32)
TEXT ·atMostAVX2(SB), NOSPLIT, $0-28
	MOVQ         mask+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         words+16(FP), CX
	MOVL         last+24(FP), AX
	VMOVD        AX, X4
	VPBROADCASTD X4, Y4

word:
	VMOVDQU 0(SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU 64(SI), Y2
	VMOVDQU 96(SI), Y3
	MASK(Y4, Y0, Y1, Y2, Y3)
	ADDQ    $128, SI
	DECQ    CX
	JNZ     word
	VZEROUPPER
	RET

// func hasBitsAVX2(mask *uint32, x *float32, words int, bits uint32)
TEXT ·hasBitsAVX2(SB), NOSPLIT, $0-28
	MOVQ         mask+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         words+16(FP), CX
	MOVL         bits+24(FP), AX
	VMOVD        AX, X4
	VPBROADCASTD X4, Y4
	VPXOR        Y5, Y5, Y5

word:
	VPAND    0(SI), Y4, Y0
	VPAND    32(SI), Y4, Y1
	VPAND    64(SI), Y4, Y2
	VPAND    96(SI), Y4, Y3
	VPCMPEQD Y5, Y0, Y0
	VPCMPEQD Y5, Y1, Y1
	VPCMPEQD Y5, Y2, Y2
	VPCMPEQD Y5, Y3, Y3
	WORD(Y0, Y1, Y2, Y3)
	ADDQ     $128, SI
	DECQ     CX
	JNZ      word
	VZEROUPPER
	RET

// KEEP has the bits of eight elements moved to signs, which a load goes by.
#define KEEP(at, D, A, M) \
	VPSLLVD    D, Y8, M         \
	VMASKMOVPS at(DI), M, A     \
	VMOVUPS    A, at(DI)

// func selectBitsAVX2(x *float32, mask *uint32, n int)
TEXT ·selectBitsAVX2(SB), NOSPLIT, $0-24
	MOVQ    x+0(FP), DI
	MOVQ    mask+8(FP), SI
	MOVQ    n+16(FP), CX
	VMOVDQU distance<>+0(SB), Y12
	VMOVDQU distance<>+32(SB), Y13
	VMOVDQU distance<>+64(SB), Y14
	VMOVDQU distance<>+96(SB), Y15

block:
	VPBROADCASTD (SI), Y8
	KEEP(0, Y12, Y0, Y4)
	KEEP(32, Y13, Y1, Y5)
	KEEP(64, Y14, Y2, Y6)
	KEEP(96, Y15, Y3, Y7)
	ADDQ $128, DI
	ADDQ $4, SI
	SUBQ $32, CX
	JNZ  block
	VZEROUPPER
	RET

// TERMS adds four elements to the lanes A of all and K of those that are kept. Y8 has the mask in
// each lane, Y15 the bits of a magnitude, Y14 zeros.
#define TERMS(at, D, A, K, T, M) \
	VCVTPS2PD at(SI), T              \
	VPSLLVQ   wide<>+D(SB), Y8, M    \
	VANDPD    Y15, T, T              \
	VADDPD    T, A, A                \
	VBLENDVPD M, T, Y14, T           \
	VADDPD    T, K, K

// func sumAbsBitsAVX2(all, kept *lanes, x *float32, mask *uint32, n int)
TEXT ·sumAbsBitsAVX2(SB), NOSPLIT, $0-40
	MOVQ     all+0(FP), DI
	MOVQ     kept+8(FP), DX
	MOVQ     x+16(FP), SI
	MOVQ     mask+24(FP), BX
	MOVQ     n+32(FP), CX
	VPCMPEQD Y15, Y15, Y15
	VPSRLQ   $1, Y15, Y15
	VXORPD   X14, X14, X14
	VMOVUPD  0(DI), Y0
	VMOVUPD  32(DI), Y1
	VMOVUPD  64(DI), Y2
	VMOVUPD  96(DI), Y3
	VMOVUPD  0(DX), Y4
	VMOVUPD  32(DX), Y5
	VMOVUPD  64(DX), Y6
	VMOVUPD  96(DX), Y7

block:
	VPBROADCASTD (BX), Y8
	TERMS(0, 0, Y0, Y4, Y9, Y10)
	TERMS(16, 32, Y1, Y5, Y11, Y12)
	TERMS(32, 64, Y2, Y6, Y9, Y10)
	TERMS(48, 96, Y3, Y7, Y11, Y12)
	TERMS(64, 128, Y0, Y4, Y9, Y10)
	TERMS(80, 160, Y1, Y5, Y11, Y12)
	TERMS(96, 192, Y2, Y6, Y9, Y10)
	TERMS(112, 224, Y3, Y7, Y11, Y12)
	ADDQ    $128, SI
	ADDQ    $4, BX
	SUBQ    $32, CX
	JNZ     block
	VMOVUPD Y0, 0(DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VMOVUPD Y4, 0(DX)
	VMOVUPD Y5, 32(DX)
	VMOVUPD Y6, 64(DX)
	VMOVUPD Y7, 96(DX)
	VZEROUPPER
	RET
