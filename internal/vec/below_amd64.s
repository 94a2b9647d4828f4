//go:build !noasm

#include "textflag.h"

// Predicates of VCMPPS, with v before the scores.
#define BELOW $17
#define ATMOST $18

DATA lanes<>+0(SB)/8, $0x0000000100000000
DATA lanes<>+8(SB)/8, $0x0000000300000002
DATA lanes<>+16(SB)/8, $0x0000000500000004
DATA lanes<>+24(SB)/8, $0x0000000700000006
GLOBL lanes<>(SB), RODATA|NOPTR, $32

DATA eight<>+0(SB)/4, $8
GLOBL eight<>(SB), RODATA|NOPTR, $4

// COUNT counts in each lane of TALLY where v compares so. Y15 is v in every lane.
#define COUNT(PREDICATE, at, A, TALLY) \
	VCMPPS PREDICATE, at(SI), Y15, A \
	VPSUBD A, TALLY, TALLY

#define BLOCK(PREDICATE) \
	COUNT(PREDICATE, 0, Y0, Y12)  \
	COUNT(PREDICATE, 32, Y1, Y13) \
	COUNT(PREDICATE, 64, Y2, Y12) \
	COUNT(PREDICATE, 96, Y3, Y13) \
	ADDQ $128, SI                 \
	DECQ CX

// MIDDLE counts those before place i as the blocks before, and the others as those behind. Y11 has the places of
// the lanes, Y10 is i in every lane, Y9 is 8.
#define MIDDLE(at) \
	VPCMPGTD  Y11, Y10, Y2          \
	VCMPPS    BELOW, at(SI), Y15, Y0  \
	VCMPPS    ATMOST, at(SI), Y15, Y1 \
	VBLENDVPS Y2, Y0, Y1, Y1        \
	VPSUBD    Y1, Y12, Y12          \
	VPADDD    Y9, Y11, Y11

// func belowAVX2(s *float32, n, i int, v float32) (others int)
TEXT ·belowAVX2(SB), NOSPLIT, $0-40
	MOVQ         s+0(FP), SI
	MOVQ         n+8(FP), DX
	MOVQ         i+16(FP), AX
	VBROADCASTSS v+24(FP), Y15
	VPXOR        Y12, Y12, Y12
	VPXOR        Y13, Y13, Y13
	SHRQ         $5, DX
	MOVQ         AX, CX
	SHRQ         $5, CX
	SUBQ         CX, DX         // blocks from that of i on
	TESTQ        CX, CX
	JZ           middle

before:
	BLOCK(BELOW)
	JNZ before

middle:
	MOVQ         DX, CX
	TESTQ        CX, CX
	JZ           done
	ANDL         $31, AX
	VMOVD        AX, X10
	VPBROADCASTD X10, Y10
	VMOVDQU      lanes<>(SB), Y11
	VPBROADCASTD eight<>(SB), Y9
	MIDDLE(0)
	MIDDLE(32)
	MIDDLE(64)
	MIDDLE(96)
	ADDQ         $128, SI
	DECQ         CX
	JZ           done

behind:
	BLOCK(ATMOST)
	JNZ behind

done:
	VPADDD       Y13, Y12, Y12
	VEXTRACTI128 $1, Y12, X13
	VPADDD       X13, X12, X12
	VPSHUFD      $0x4e, X12, X13
	VPADDD       X13, X12, X12
	VPSHUFD      $0xb1, X12, X13
	VPADDD       X13, X12, X12
	VMOVD        X12, AX
	MOVQ         AX, others+32(FP)
	VZEROUPPER
	RET
