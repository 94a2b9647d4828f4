//go:build !noasm

#include "textflag.h"

// Predicates of VCMPPS: ordered, quiet. NaN is never inside.
#define LT_OQ $0x11
#define GE_OQ $0x1d

// Sixteen scores at an offset, as bits of a mask in a register.
#define INSIDE512(offset, mask) \
	VMOVUPS offset(SI), Z0           \
	VCMPPS  GE_OQ, Z14, Z0, K1       \
	VCMPPS  LT_OQ, Z13, Z0, K1, K1   \
	KMOVW   K1, mask

// func insideAVX512(marks *uint64, s *float32, n int, low, high float32) int
TEXT ·insideAVX512(SB), NOSPLIT, $0-40
	MOVQ         marks+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS low+24(FP), Z14
	VBROADCASTSS high+28(FP), Z13
	XORL         R9, R9
	LEAQ         (SI)(CX*4), CX

loop512:
	INSIDE512(0, AX)
	INSIDE512(64, BX)
	INSIDE512(128, DX)
	INSIDE512(192, R8)
	SHLQ    $16, BX
	SHLQ    $32, DX
	SHLQ    $48, R8
	ORQ     BX, AX
	ORQ     R8, DX
	ORQ     DX, AX
	MOVQ    AX, (DI)
	POPCNTQ AX, AX
	ADDQ    AX, R9
	ADDQ    $256, SI
	ADDQ    $8, DI
	CMPQ    SI, CX
	JLT     loop512

	VZEROUPPER
	MOVQ R9, ret+32(FP)
	RET

// Eight scores at an offset, shifted in behind those that AX has.
#define INSIDE256(offset) \
	VMOVUPS   offset(SI), Y0       \
	VCMPPS    GE_OQ, Y14, Y0, Y1   \
	VCMPPS    LT_OQ, Y13, Y0, Y2   \
	VANDPS    Y1, Y2, Y1           \
	VMOVMSKPS Y1, BX               \
	SHLQ      $8, AX               \
	ORQ       BX, AX

// func insideAVX2(marks *uint64, s *float32, n int, low, high float32) int
TEXT ·insideAVX2(SB), NOSPLIT, $0-40
	MOVQ         marks+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS low+24(FP), Y14
	VBROADCASTSS high+28(FP), Y13
	XORL         R9, R9
	LEAQ         (SI)(CX*4), CX

loop256:
	XORL AX, AX
	INSIDE256(224)
	INSIDE256(192)
	INSIDE256(160)
	INSIDE256(128)
	INSIDE256(96)
	INSIDE256(64)
	INSIDE256(32)
	INSIDE256(0)
	MOVQ    AX, (DI)
	POPCNTQ AX, AX
	ADDQ    AX, R9
	ADDQ    $256, SI
	ADDQ    $8, DI
	CMPQ    SI, CX
	JLT     loop256

	VZEROUPPER
	MOVQ R9, ret+32(FP)
	RET
