//go:build !noasm

#include "textflag.h"

#define ATLEAST $29 // predicate of VCMPPS; false with a NaN

// TALLY adds the number of elements in the mask M to AX.
#define TALLY(M) \
	VMOVMSKPS M, R8  \
	POPCNTL   R8, R8 \
	ADDQ      R8, AX

#define SELECT(at, A, M) \
	VMOVUPS at(SI), A          \
	VCMPPS  ATLEAST, Y15, A, M \
	VANDPS  at(DI), M, A       \
	VMOVUPS A, at(DI)          \
	TALLY(M)

// func selectAVX2(x, s *float32, n int, t float32) (kept int)
TEXT ·selectAVX2(SB), NOSPLIT, $0-40
	MOVQ         x+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS t+24(FP), Y15
	XORL         AX, AX

block:
	SELECT(0, Y0, Y1)
	SELECT(32, Y2, Y3)
	SELECT(64, Y4, Y5)
	SELECT(96, Y6, Y7)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ  block
	MOVQ AX, kept+32(FP)
	VZEROUPPER
	RET

// Where a score does not pass, w times +0 is added: that has its own sign, and is NaN
// if w is not finite.
#define SELECTAXPY(at, A, M) \
	VMOVUPS at(DX), A          \
	VCMPPS  ATLEAST, Y15, A, M \
	VANDPS  at(SI), M, A       \
	VMULPS  Y14, A, A          \
	VADDPS  at(DI), A, A       \
	VMOVUPS A, at(DI)          \
	TALLY(M)

// func selectAxpyAVX2(acc, x, s *float32, n int, w, t float32) (kept int)
TEXT ·selectAxpyAVX2(SB), NOSPLIT, $0-48
	MOVQ         acc+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         s+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSS w+32(FP), Y14
	VBROADCASTSS t+36(FP), Y15
	XORL         AX, AX

block:
	SELECTAXPY(0, Y0, Y1)
	SELECTAXPY(32, Y2, Y3)
	SELECTAXPY(64, Y4, Y5)
	SELECTAXPY(96, Y6, Y7)
	ADDQ $128, DI
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JNZ  block
	MOVQ AX, kept+40(FP)
	VZEROUPPER
	RET

#define COUNT(at, A) \
	VMOVUPS at(SI), A          \
	VCMPPS  ATLEAST, Y15, A, A \
	TALLY(A)

// func countAtLeastAVX2(s *float32, n int, t float32) (kept int)
TEXT ·countAtLeastAVX2(SB), NOSPLIT, $0-32
	MOVQ         s+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSS t+16(FP), Y15
	XORL         AX, AX

block:
	COUNT(0, Y0)
	COUNT(32, Y1)
	COUNT(64, Y2)
	COUNT(96, Y3)
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ  block
	MOVQ AX, kept+24(FP)
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
