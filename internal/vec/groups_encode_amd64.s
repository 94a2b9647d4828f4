//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"
#include "groups_amd64.h"
#include "e2m1_amd64.h"

// Registers are those of groups_amd64.s. Quotients that are NaN are marked in Y13, or in K2.

#define UNORDERED 3
#define MARK_Y(V, T) VCMPPS $UNORDERED, V, V, T; VORPS T, Y13, Y13
#define MARK_Z(V) VCMPPS $UNORDERED, V, V, K1; KORW K1, K2, K2

// Two codes of 32 bits make the low byte of 64: the second moves down by 28.

// PACK_Y stores the bytes that the codes in V and W make: pair k of V, and pair 4 + k of W, lie in 64 bits k. The upper two move beside the lower two; one
// shuffle puts all in order.
DATA pairsInOrder<>+0(SB)/8, $0x0d0509010c040800
GLOBL pairsInOrder<>(SB), RODATA|NOPTR, $8

#define PACK_Y(V, W, T, X_V, X_T) \
	VPSRLQ       $28, V, T;     \
	VPOR         T, V, V;       \
	VPSRLQ       $28, W, T;     \
	VPOR         T, W, W;       \
	VPAND        Y12, V, V;     \
	VPAND        Y12, W, W;     \
	VPSLLQ       $8, W, W;      \
	VPOR         W, V, V;       \
	VEXTRACTI128 $1, V, X_T;    \
	VPSLLQ       $32, X_T, X_T; \
	VPOR         X_T, X_V, X_V; \
	VPSHUFB      X11, X_V, X_V; \
	VMOVQ        X_V, (DI)

#define PACK_Z(V, T) \
	VPSRLQ  $28, V, T; \
	VPORQ   T, V, V;   \
	VPMOVQB V, (DI)

// E2M1_Y turns values V into their codes; M, E and C are scratch.
#define E2M1_Y(V, M, E, C) \
	VPAND   Y10, V, M;    \
	E2M1(VPAND, M, E, C, Y9, Y8, Y7, Y6); \
	VPSRLD  $28, V, V;    \
	VPAND   Y14, V, V;    \
	VPOR    V, M, V

// POWER jumps to other unless the scale at (R8) is a power of two whose inverse is a normal number; BX has its bits then. A product with that is rounded as the quotient is, and
// takes a sixteenth of the time.
#define BELOW_EXPONENT 0x807fffff
#define INVERSE 0x7f000000 // less a power of two that is, the inverse

#define POWER(other) \
	MOVL  (R8), AX;             \
	MOVL  $INVERSE, BX;         \
	TESTL $BELOW_EXPONENT, AX;  \
	JNZ   other;                \
	TESTL AX, AX;               \
	JZ    other;                \
	SUBL  AX, BX;               \
	JLE   other

#define PAIR_Y(SCALED) \
	VMOVUPS (SI), Y0;              \
	VMOVUPS 32(SI), Y1;            \
	SCALED  Y15, Y0, Y0;           \
	SCALED  Y15, Y1, Y1;           \
	MARK_Y(Y0, Y2);                \
	MARK_Y(Y1, Y3);                \
	E2M1_Y(Y0, Y2, Y3, Y4);        \
	E2M1_Y(Y1, Y2, Y3, Y4);        \
	PACK_Y(Y0, Y1, Y2, X0, X2);    \
	ADDQ    $64, SI;               \
	ADDQ    $8, DI;                \
	SUBQ    $16, DX

// func encodeE2M1GroupsAVX2(dst *byte, src, scales *float32, n, group int) (ok bool)
TEXT ·encodeE2M1GroupsAVX2(SB), NOSPLIT, $0-41
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  scales+16(FP), R8
	MOVQ  n+24(FP), CX
	MOVQ  group+32(FP), R10
	FILL_Y(CARRIER, X6, Y6)
	FILL_Y(LEAST, X7, Y7)
	FILL_Y(EXPONENT, X8, Y8)
	FILL_Y(SIX, X9, Y9)
	FILL_Y(MAGNITUDE, X10, Y10)
	FILL_Y(SIGN_CODE, X14, Y14)
	VMOVQ pairsInOrder<>(SB), X11
	MOVL  $0xff, AX
	VMOVQ AX, X12
	VPBROADCASTQ X12, Y12
	VPXOR Y13, Y13, Y13

group:
	NEXT_GROUP
	POWER(divide)
	VMOVD        BX, X15
	VPBROADCASTD X15, Y15
	ADDQ         $4, R8

multiplied:
	PAIR_Y(VMULPS)
	JNZ     multiplied
	TESTQ   CX, CX
	JNZ     group
	JMP     done

divide:
	VBROADCASTSS (R8), Y15
	ADDQ         $4, R8

divided:
	PAIR_Y(VDIVPS)
	JNZ     divided
	TESTQ   CX, CX
	JNZ     group

done:
	VPTEST  Y13, Y13
	SETEQ   ok+40(FP)
	VZEROUPPER
	RET

// The three-operand logic is Z1 | Z0 & Z11.
#define PAIR_Z(SCALED) \
	VMOVUPS (SI), Z0;      \
	SCALED  Z15, Z0, Z0;   \
	MARK_Z(Z0);            \
	VPANDD  Z10, Z0, Z1;   \
	E2M1(VPANDD, Z1, Z2, Z3, Z9, Z8, Z7, Z6); \
	VPSRLD  $28, Z0, Z0;   \
	VPTERNLOGD $0xf8, Z11, Z0, Z1; \
	PACK_Z(Z1, Z0);        \
	ADDQ    $64, SI;       \
	ADDQ    $8, DI;        \
	SUBQ    $16, DX

// func encodeE2M1GroupsAVX512(dst *byte, src, scales *float32, n, group int) (ok bool)
TEXT ·encodeE2M1GroupsAVX512(SB), NOSPLIT, $0-41
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  scales+16(FP), R8
	MOVQ  n+24(FP), CX
	MOVQ  group+32(FP), R10
	FILL_Z(CARRIER, Z6)
	FILL_Z(LEAST, Z7)
	FILL_Z(EXPONENT, Z8)
	FILL_Z(SIX, Z9)
	FILL_Z(MAGNITUDE, Z10)
	FILL_Z(SIGN_CODE, Z11)
	KXORW K2, K2, K2

group:
	NEXT_GROUP
	POWER(divide)
	VPBROADCASTD BX, Z15
	ADDQ         $4, R8

multiplied:
	PAIR_Z(VMULPS)
	JNZ     multiplied
	TESTQ   CX, CX
	JNZ     group
	JMP     done

divide:
	VBROADCASTSS (R8), Z15
	ADDQ         $4, R8

divided:
	PAIR_Z(VDIVPS)
	JNZ     divided
	TESTQ   CX, CX
	JNZ     group

done:
	KORTESTW K2, K2
	SETEQ   ok+40(FP)
	VZEROUPPER
	RET

// Whole numbers are held to their range before they are rounded.
#define LEAST_I4 0xc1000000 // -8
#define MOST_I4 0x40e00000 // 7
#define OFFSET_I4 8
#define LEAST_I8 0xc3000000 // -128
#define MOST_I8 0x42fe0000 // 127

#define WHOLE_Y(V, T) \
	VDIVPS    Y15, V, V; \
	VADDPS    Y14, V, V; \
	MARK_Y(V, T);        \
	VMAXPS    Y8, V, V;  \
	VMINPS    Y9, V, V;  \
	VCVTPS2DQ V, V

#define WHOLE_Z(V) \
	VDIVPS    Z15, V, V; \
	VADDPS    Z14, V, V; \
	MARK_Z(V);           \
	VMAXPS    Z8, V, V;  \
	VMINPS    Z9, V, V;  \
	VCVTPS2DQ V, V

// func encodeI4GroupsAVX2(dst *byte, src, zeros, scales *float32, n, group, step int) (ok bool)
TEXT ·encodeI4GroupsAVX2(SB), NOSPLIT, $0-57
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  zeros+16(FP), R9
	MOVQ  scales+24(FP), R8
	MOVQ  n+32(FP), CX
	MOVQ  group+40(FP), R10
	MOVQ  step+48(FP), R11
	FILL_Y(OFFSET_I4, X7, Y7)
	FILL_Y(LEAST_I4, X8, Y8)
	FILL_Y(MOST_I4, X9, Y9)
	VMOVQ pairsInOrder<>(SB), X11
	MOVL  $0xff, AX
	VMOVQ AX, X12
	VPBROADCASTQ X12, Y12
	VPXOR Y13, Y13, Y13

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Y14
	VBROADCASTSS (R8), Y15
	ADDQ         R11, R9
	ADDQ         $4, R8

elements:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	WHOLE_Y(Y0, Y2)
	WHOLE_Y(Y1, Y3)
	VPADDD  Y7, Y0, Y0
	VPADDD  Y7, Y1, Y1
	PACK_Y(Y0, Y1, Y2, X0, X2)
	ADDQ    $64, SI
	ADDQ    $8, DI
	SUBQ    $16, DX
	JNZ     elements
	TESTQ   CX, CX
	JNZ     group
	VPTEST  Y13, Y13
	SETEQ   ok+56(FP)
	VZEROUPPER
	RET

// func encodeI4GroupsAVX512(dst *byte, src, zeros, scales *float32, n, group, step int) (ok bool)
TEXT ·encodeI4GroupsAVX512(SB), NOSPLIT, $0-57
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  zeros+16(FP), R9
	MOVQ  scales+24(FP), R8
	MOVQ  n+32(FP), CX
	MOVQ  group+40(FP), R10
	MOVQ  step+48(FP), R11
	FILL_Z(OFFSET_I4, Z7)
	FILL_Z(LEAST_I4, Z8)
	FILL_Z(MOST_I4, Z9)
	KXORW K2, K2, K2

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Z14
	VBROADCASTSS (R8), Z15
	ADDQ         R11, R9
	ADDQ         $4, R8

elements:
	VMOVUPS (SI), Z0
	WHOLE_Z(Z0)
	VPADDD  Z7, Z0, Z0
	PACK_Z(Z0, Z1)
	ADDQ    $64, SI
	ADDQ    $8, DI
	SUBQ    $16, DX
	JNZ     elements
	TESTQ   CX, CX
	JNZ     group
	KORTESTW K2, K2
	SETEQ   ok+56(FP)
	VZEROUPPER
	RET

// func encodeI8GroupsAVX2(dst *byte, src, zeros, scales *float32, n, group, step int, flip byte) (ok bool)
TEXT ·encodeI8GroupsAVX2(SB), NOSPLIT, $0-65
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  zeros+16(FP), R9
	MOVQ  scales+24(FP), R8
	MOVQ  n+32(FP), CX
	MOVQ  group+40(FP), R10
	MOVQ  step+48(FP), R11
	VPBROADCASTB flip+56(FP), X12
	FILL_Y(LEAST_I8, X8, Y8)
	FILL_Y(MOST_I8, X9, Y9)
	VPXOR Y13, Y13, Y13

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Y14
	VBROADCASTSS (R8), Y15
	ADDQ         R11, R9
	ADDQ         $4, R8

elements:
	VMOVUPS   (SI), Y0
	VMOVUPS   32(SI), Y1
	WHOLE_Y(Y0, Y2)
	WHOLE_Y(Y1, Y3)
	VPACKSSDW Y1, Y0, Y0 // by halves: elements 0 … 3, 8 … 11, 4 … 7, 12 … 15
	VPERMQ    $0xd8, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKSSWB X1, X0, X0
	VPXOR     X12, X0, X0
	VMOVDQU   X0, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	SUBQ      $16, DX
	JNZ       elements
	TESTQ     CX, CX
	JNZ       group
	VPTEST    Y13, Y13
	SETEQ     ok+64(FP)
	VZEROUPPER
	RET

// func encodeI8GroupsAVX512(dst *byte, src, zeros, scales *float32, n, group, step int, flip byte) (ok bool)
TEXT ·encodeI8GroupsAVX512(SB), NOSPLIT, $0-65
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  zeros+16(FP), R9
	MOVQ  scales+24(FP), R8
	MOVQ  n+32(FP), CX
	MOVQ  group+40(FP), R10
	MOVQ  step+48(FP), R11
	VPBROADCASTB flip+56(FP), X12
	FILL_Z(LEAST_I8, Z8)
	FILL_Z(MOST_I8, Z9)
	KXORW K2, K2, K2

group:
	NEXT_GROUP
	VBROADCASTSS (R9), Z14
	VBROADCASTSS (R8), Z15
	ADDQ         R11, R9
	ADDQ         $4, R8

elements:
	VMOVUPS (SI), Z0
	WHOLE_Z(Z0)
	VPMOVDB Z0, X0
	VPXOR   X12, X0, X0
	VMOVDQU X0, (DI)
	ADDQ    $64, SI
	ADDQ    $16, DI
	SUBQ    $16, DX
	JNZ     elements
	TESTQ   CX, CX
	JNZ     group
	KORTESTW K2, K2
	SETEQ   ok+64(FP)
	VZEROUPPER
	RET
