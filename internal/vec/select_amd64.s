//go:build !noasm

#include "textflag.h"

// Predicates of VCMPPS; false with a NaN.
#define ATLEAST $29
#define ATMOST $18
#define LESS $17

// Those that pass are counted in each lane of two registers: a mask is −1. TALLIES adds them up in AX.
#define COUNTERS \
	VPXOR Y12, Y12, Y12 \
	VPXOR Y13, Y13, Y13

#define TALLIES \
	VPADDD       Y13, Y12, Y12   \
	VEXTRACTI128 $1, Y12, X13    \
	VPADDD       X13, X12, X12   \
	VPSHUFD      $0x4e, X12, X13 \
	VPADDD       X13, X12, X12   \
	VPSHUFD      $0xb1, X12, X13 \
	VPADDD       X13, X12, X12   \
	VMOVD        X12, AX

#define SELECT(at, A, M, TALLY) \
	VMOVUPS at(SI), A          \
	VCMPPS  ATLEAST, Y15, A, M \
	VANDPS  at(DI), M, A       \
	VMOVUPS A, at(DI)          \
	VPSUBD  M, TALLY, TALLY

// func selectAVX2(x, s *float32, n int, t float32) (kept int)
TEXT ·selectAVX2(SB), NOSPLIT, $0-40
	MOVQ         x+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS t+24(FP), Y15
	COUNTERS

block:
	SELECT(0, Y0, Y1, Y12)
	SELECT(32, Y2, Y3, Y13)
	SELECT(64, Y4, Y5, Y12)
	SELECT(96, Y6, Y7, Y13)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ  block
	TALLIES
	MOVQ AX, kept+32(FP)
	VZEROUPPER
	RET

// Where a score does not pass, w times +0 is added: that has its own sign, and is NaN
// if w is not finite.
#define SELECTAXPY(at, A, M, TALLY) \
	VMOVUPS at(DX), A          \
	VCMPPS  ATLEAST, Y15, A, M \
	VANDPS  at(SI), M, A       \
	VMULPS  Y14, A, A          \
	VADDPS  at(DI), A, A       \
	VMOVUPS A, at(DI)          \
	VPSUBD  M, TALLY, TALLY

// func selectAxpyAVX2(acc, x, s *float32, n int, w, t float32) (kept int)
TEXT ·selectAxpyAVX2(SB), NOSPLIT, $0-48
	MOVQ         acc+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         s+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSS w+32(FP), Y14
	VBROADCASTSS t+36(FP), Y15
	COUNTERS

block:
	SELECTAXPY(0, Y0, Y1, Y12)
	SELECTAXPY(32, Y2, Y3, Y13)
	SELECTAXPY(64, Y4, Y5, Y12)
	SELECTAXPY(96, Y6, Y7, Y13)
	ADDQ $128, DI
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JNZ  block
	TALLIES
	MOVQ AX, kept+40(FP)
	VZEROUPPER
	RET

// What is compared lies in Y15: t ≤ s here.
#define COUNT(at, A, TALLY) \
	VCMPPS ATMOST, at(SI), Y15, A \
	VPSUBD A, TALLY, TALLY

// func countAtLeastAVX2(s *float32, n int, t float32) (kept int)
TEXT ·countAtLeastAVX2(SB), NOSPLIT, $0-32
	MOVQ         s+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSS t+16(FP), Y15
	COUNTERS

block:
	COUNT(0, Y0, Y12)
	COUNT(32, Y1, Y13)
	COUNT(64, Y2, Y12)
	COUNT(96, Y3, Y13)
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ  block
	TALLIES
	MOVQ AX, kept+24(FP)
	VZEROUPPER
	RET

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

DATA largest<>+0(SB)/4, $0x7f7fffff
GLOBL largest<>(SB), RODATA|NOPTR, $4

// SIZE keeps what is between. Against a NaN, VMINPS takes what Go writes first.
#define SIZE(at, A, M, B) \
	VMOVUPS at(DI), A          \
	VANDPS  A, Y14, M          \
	VMINPS  Y13, M, M          \
	VCMPPS  LESS, Y12, M, B    \
	VCMPPS  ATLEAST, Y15, M, M \
	VANDPS  A, B, A            \
	VANDPS  A, M, A            \
	VMOVUPS A, at(DI)

// func selectSizeAVX2(x *float32, n int, low, high float32)
TEXT ·selectSizeAVX2(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), DI
	MOVQ         n+8(FP), CX
	VBROADCASTSS low+16(FP), Y15
	VBROADCASTSS high+20(FP), Y12
	VBROADCASTSS magnitude<>(SB), Y14
	VBROADCASTSS largest<>(SB), Y13

block:
	SIZE(0, Y0, Y1, Y2)
	SIZE(32, Y3, Y4, Y5)
	SIZE(64, Y6, Y7, Y8)
	SIZE(96, Y9, Y10, Y11)
	ADDQ $128, DI
	SUBQ $32, CX
	JNZ  block
	VZEROUPPER
	RET

// COMPARE makes the masks of 32 scores and, in AX, adds up how many pass.
#define COMPARE \
	VMOVUPS  0(SI), Z0            \
	VMOVUPS  64(SI), Z1           \
	VCMPPS   ATLEAST, Z15, Z0, K1 \
	VCMPPS   ATLEAST, Z15, Z1, K2 \
	KUNPCKWD K1, K2, K3           \
	KMOVD    K3, R8               \
	POPCNTL  R8, R8               \
	ADDQ     R8, AX

// func selectAVX512(x, s *float32, n int, t float32) (kept int)
TEXT ·selectAVX512(SB), NOSPLIT, $0-40
	MOVQ         x+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS t+24(FP), Z15
	XORL         AX, AX

block:
	COMPARE
	VMOVUPS.Z 0(DI), K1, Z0
	VMOVUPS.Z 64(DI), K2, Z1
	VMOVUPS   Z0, 0(DI)
	VMOVUPS   Z1, 64(DI)
	ADDQ      $128, DI
	ADDQ      $128, SI
	SUBQ      $32, CX
	JNZ       block
	MOVQ      AX, kept+32(FP)
	VZEROUPPER
	RET

// func countAtLeastAVX512(s *float32, n int, t float32) (kept int)
TEXT ·countAtLeastAVX512(SB), NOSPLIT, $0-32
	MOVQ         s+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSS t+16(FP), Z15
	XORL         AX, AX

block:
	COMPARE
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ  block
	MOVQ AX, kept+24(FP)
	VZEROUPPER
	RET

// func selectAxpyAVX512(acc, x, s *float32, n int, w, t float32) (kept int)
TEXT ·selectAxpyAVX512(SB), NOSPLIT, $0-48
	MOVQ         acc+0(FP), DI
	MOVQ         x+8(FP), DX
	MOVQ         s+16(FP), SI
	MOVQ         n+24(FP), CX
	VBROADCASTSS w+32(FP), Z14
	VBROADCASTSS t+36(FP), Z15
	XORL         AX, AX

block:
	COMPARE
	VMOVUPS.Z 0(DX), K1, Z0
	VMOVUPS.Z 64(DX), K2, Z1
	VMULPS    Z14, Z0, Z0
	VMULPS    Z14, Z1, Z1
	VADDPS    0(DI), Z0, Z0
	VADDPS    64(DI), Z1, Z1
	VMOVUPS   Z0, 0(DI)
	VMOVUPS   Z1, 64(DI)
	ADDQ      $128, DI
	ADDQ      $128, SI
	ADDQ      $128, DX
	SUBQ      $32, CX
	JNZ       block
	MOVQ      AX, kept+40(FP)
	VZEROUPPER
	RET

#define SIZEMASKED(at, A, M, K) \
	VMOVUPS   at(DI), A           \
	VANDPS    A, Z14, M           \
	VMINPS    Z13, M, M           \
	VCMPPS    LESS, Z12, M, K     \
	VCMPPS    ATLEAST, Z15, M, K, K \
	VMOVAPS.Z A, K, A             \
	VMOVUPS   A, at(DI)

// func selectSizeAVX512(x *float32, n int, low, high float32)
TEXT ·selectSizeAVX512(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), DI
	MOVQ         n+8(FP), CX
	VBROADCASTSS low+16(FP), Z15
	VBROADCASTSS high+20(FP), Z12
	VBROADCASTSS magnitude<>(SB), Z14
	VBROADCASTSS largest<>(SB), Z13

block:
	SIZEMASKED(0, Z0, Z1, K1)
	SIZEMASKED(64, Z2, Z3, K2)
	ADDQ $128, DI
	SUBQ $32, CX
	JNZ  block
	VZEROUPPER
	RET
