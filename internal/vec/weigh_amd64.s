//go:build !noasm

#include "textflag.h"

DATA magnitude<>+0(SB)/8, $0x7fffffffffffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $8

DATA largest<>+0(SB)/4, $0x7f7fffff
GLOBL largest<>(SB), RODATA|NOPTR, $4

// Products are at least 0, or NaN. Against that, VMINPS takes what Go writes first.
#define WEIGH(at, X, Y) \
	VCVTPS2PD  at(SI), Y  \
	VANDPD     Y13, Y, Y  \
	VMULPD     Y14, Y, Y  \
	VCVTPD2PSY Y, X

// func weighAVX2(dst, x *float32, n int, w float64)
TEXT ·weighAVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD magnitude<>(SB), Y13
	VBROADCASTSD w+24(FP), Y14
	VBROADCASTSS largest<>(SB), Y15

block:
	WEIGH(0, X0, Y0)
	WEIGH(16, X1, Y1)
	WEIGH(32, X2, Y2)
	WEIGH(48, X3, Y3)
	VINSERTF128 $1, X1, Y0, Y0
	VINSERTF128 $1, X3, Y2, Y2
	VMINPS      Y15, Y0, Y0
	VMINPS      Y15, Y2, Y2
	VMOVUPS     Y0, 0(DI)
	VMOVUPS     Y2, 32(DI)
	ADDQ        $64, SI
	ADDQ        $64, DI
	SUBQ        $16, CX
	JNZ         block
	VZEROUPPER
	RET
