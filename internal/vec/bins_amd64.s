//go:build !noasm

#include "textflag.h"

// RANGE takes in eight scores. Y15 is −1 in every lane.
#define RANGE(at, A, B, LEAST, MOST) \
	VMOVDQU at(SI), A          \
	VPADDD  Y15, A, B          \
	VPMAXUD A, MOST, MOST      \
	VPMINUD B, LEAST, LEAST

// FOLD leaves in A the extreme of all lanes of A and B.
#define FOLD(OF, A, AX, B, BX) \
	OF           B, A, A       \
	VEXTRACTI128 $1, A, BX     \
	OF           BX, AX, AX    \
	VPSHUFD      $0x4e, AX, BX \
	OF           BX, AX, AX    \
	VPSHUFD      $0xb1, AX, BX \
	OF           BX, AX, AX

// func bitRangeAVX2(s *float32, n int) (least, most uint32)
TEXT ·bitRangeAVX2(SB), NOSPLIT, $0-24
	MOVQ     s+0(FP), SI
	MOVQ     n+8(FP), CX
	VPCMPEQD Y15, Y15, Y15
	VMOVDQU  Y15, Y0
	VMOVDQU  Y15, Y1
	VPXOR    Y2, Y2, Y2
	VPXOR    Y3, Y3, Y3

block:
	RANGE(0, Y4, Y5, Y0, Y2)
	RANGE(32, Y6, Y7, Y1, Y3)
	RANGE(64, Y8, Y9, Y0, Y2)
	RANGE(96, Y10, Y11, Y1, Y3)
	ADDQ $128, SI
	SUBQ $32, CX
	JNZ  block
	FOLD(VPMINUD, Y0, X0, Y1, X1)
	FOLD(VPMAXUD, Y2, X2, Y3, X3)
	VMOVD X0, AX
	MOVL  AX, least+16(FP)
	VMOVD X2, AX
	MOVL  AX, most+20(FP)
	VZEROUPPER
	RET

// BIN makes bins of eight scores. Y15 is −1, Y14 base, Y13 base − 1 in every lane; X12 the shift.
#define BIN(at, A, B) \
	VPADDD  at(SI), Y15, A \
	VPSRAD  X12, A, B      \
	VPSRAD  $31, A, A      \
	VPMAXSD Y14, B, B      \
	VPSUBD  Y13, B, B      \
	VPANDN  B, A, A

// func binsAVX2(bins *uint16, s *float32, n int, base uint32, shift uint64)
TEXT ·binsAVX2(SB), NOSPLIT, $0-40
	MOVQ         bins+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	MOVL         base+24(FP), AX
	VMOVD        AX, X14
	VPBROADCASTD X14, Y14
	VPCMPEQD     Y15, Y15, Y15
	VPADDD       Y15, Y14, Y13
	VMOVQ        shift+32(FP), X12

block:
	BIN(0, Y0, Y4)
	BIN(32, Y1, Y5)
	BIN(64, Y2, Y6)
	BIN(96, Y3, Y7)
	VPACKUSDW Y1, Y0, Y0
	VPACKUSDW Y3, Y2, Y2
	VPERMQ    $0xd8, Y0, Y0 // the halves of registers are packed by themselves
	VPERMQ    $0xd8, Y2, Y2
	VMOVDQU   Y0, 0(DI)
	VMOVDQU   Y2, 32(DI)
	ADDQ      $128, SI
	ADDQ      $64, DI
	SUBQ      $32, CX
	JNZ       block
	VZEROUPPER
	RET

// func countBinsAVX2(even, odd *uint32, bins *uint16, n int)
TEXT ·countBinsAVX2(SB), NOSPLIT, $0-32
	MOVQ even+0(FP), DI
	MOVQ odd+8(FP), DX
	MOVQ bins+16(FP), SI
	MOVQ n+24(FP), CX

four:
	MOVQ    (SI), AX
	MOVL    AX, R8
	MOVWLZX AX, BX
	SHRL    $16, R8
	MOVQ    AX, R9
	SHRQ    $32, R9
	SHRQ    $48, AX
	MOVWLZX R9, R9
	INCL    (DI)(BX*4)
	INCL    (DX)(R8*4)
	INCL    (DI)(R9*4)
	INCL    (DX)(AX*4)
	ADDQ    $8, SI
	SUBQ    $4, CX
	JNZ     four
	RET

// func settleAVX2(kept, open *uint32, x *int32, bins *uint16, limits *Limits, n int)
//
// Of 64 elements, R8 has those to do, R9 those that are kept, R10 those that may be. There is no branch
// on numbers, which would be mispredicted. TZCNT of what is not 0 is BSF on machines that do not have it.
TEXT ·settleAVX2(SB), NOSPLIT, $0-48
	MOVQ x+16(FP), SI
	MOVQ bins+24(FP), BX
	MOVQ limits+32(FP), DX
	XORL DI, DI            // place of the masks

words:
	MOVQ  open+8(FP), AX
	MOVQ  (AX)(DI*8), R8
	XORL  R9, R9
	XORL  R10, R10
	TESTQ R8, R8
	JZ    done

element:
	TZCNTQ  R8, AX
	LEAQ    -1(R8), R11
	ANDQ    R8, R11
	XORQ    R11, R8              // the lowest bit alone
	MOVWLZX (BX)(AX*2), R12
	MOVL    (SI)(AX*4), AX
	XORL    R13, R13
	XORL    R15, R15
	CMPL    AX, (DX)(R12*8)
	CMOVQLE R8, R13
	CMPL    AX, 4(DX)(R12*8)
	CMOVQLE R8, R15
	ORQ     R13, R9
	ORQ     R15, R10
	MOVQ    R11, R8
	TESTQ   R8, R8
	JNZ     element

done:
	MOVQ kept+0(FP), AX
	ORQ  R9, (AX)(DI*8)
	NOTQ R9
	ANDQ R9, R10
	MOVQ open+8(FP), AX
	MOVQ R10, (AX)(DI*8)
	ADDQ $256, SI
	ADDQ $128, BX
	INCQ DI
	CMPQ DI, n+40(FP)
	JLT  words
	RET

DATA least<>+0(SB)/8, $-1.0
GLOBL least<>(SB), RODATA|NOPTR, $8

DATA most<>+0(SB)/8, $2147483647.0
GLOBL most<>(SB), RODATA|NOPTR, $8

// LIMIT makes limits of the four ranks in X: FROM + step·rank. Y13 is the step, Y11 and Y10 the bounds.
#define LIMIT(X, Y, FROM) \
	VCVTDQ2PD   X, Y       \
	VMULPD      Y13, Y, Y  \
	VADDPD      FROM, Y, Y \
	VMAXPD      Y11, Y, Y  \
	VMINPD      Y10, Y, Y  \
	VCVTTPD2DQY Y, X

// func addLimitsAVX2(limits *Limits, first, odd *uint32, n int, base, step, last float64) (before uint32)
//
// Y9 has in every lane the elements of the bins before.
TEXT ·addLimitsAVX2(SB), NOSPLIT, $0-60
	MOVQ         limits+0(FP), DI
	MOVQ         first+8(FP), SI
	MOVQ         odd+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSD base+32(FP), Y14
	VBROADCASTSD step+40(FP), Y13
	VBROADCASTSD last+48(FP), Y12
	VBROADCASTSD least<>(SB), Y11
	VBROADCASTSD most<>(SB), Y10
	VPXOR        Y9, Y9, Y9
	VPCMPEQD     Y8, Y8, Y8
	VPSRLD       $29, Y8, Y8      // the last of eight lanes

eight:
	VMOVDQU      (SI), Y0
	VPADDD       (DX), Y0, Y0
	VPSLLDQ      $4, Y0, Y1
	VPADDD       Y0, Y1, Y1
	VPSLLDQ      $8, Y1, Y2
	VPADDD       Y2, Y1, Y1       // sums in each half
	VPSHUFD      $0xff, Y1, Y2
	VPERM2I128   $0x08, Y2, Y2, Y2
	VPADDD       Y2, Y1, Y1       // the first half's before the second
	VPADDD       Y9, Y1, Y1       // with the bin's own
	VPSUBD       Y0, Y1, Y0       // without
	VPERMD       Y1, Y8, Y9
	VMOVDQU      Y0, (SI)
	VEXTRACTI128 $1, Y0, X2
	VEXTRACTI128 $1, Y1, X3
	LIMIT(X0, Y0, Y14)
	LIMIT(X2, Y2, Y14)
	LIMIT(X1, Y1, Y12)
	LIMIT(X3, Y3, Y12)
	VPUNPCKLDQ   X1, X0, X4
	VPUNPCKHDQ   X1, X0, X5
	VPUNPCKLDQ   X3, X2, X6
	VPUNPCKHDQ   X3, X2, X7
	VMOVDQU      X4, 0(DI)
	VMOVDQU      X5, 16(DI)
	VMOVDQU      X6, 32(DI)
	VMOVDQU      X7, 48(DI)
	ADDQ         $32, SI
	ADDQ         $32, DX
	ADDQ         $64, DI
	SUBQ         $8, CX
	JNZ          eight
	VMOVD        X9, AX
	MOVL         AX, before+56(FP)
	VZEROUPPER
	RET
