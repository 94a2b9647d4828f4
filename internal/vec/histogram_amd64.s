//go:build !noasm

#include "textflag.h"

// Eight scores at a time. Increments of one bin that follow each other wait for
// each other's store, five cycles or more; hence eight that share a bin are added
// at once. Others are counted one by one, where a 16-bit load is all it takes to
// get the bits that a bin goes by.

#define NEXT \
	ADDQ $32, SI \
	SUBQ $8, CX

#define HIGH(at) \
	MOVWLZX at+2(SI), AX \
	ANDL    $0x7fff, AX  \
	INCL    (DI)(AX*4)

// func histogramHighAVX2(bins *uint32, s *float32, n int)
TEXT ·histogramHighAVX2(SB), NOSPLIT, $0-24
	MOVQ bins+0(FP), DI
	MOVQ s+8(FP), SI
	MOVQ n+16(FP), CX

eight:
	VMOVDQU      (SI), Y0
	VPSLLD       $1, Y0, Y0  // the sign goes
	VPSRLD       $17, Y0, Y0
	VPBROADCASTD X0, Y1
	VPCMPEQD     Y0, Y1, Y1
	VMOVMSKPS    Y1, AX
	CMPL         AX, $0xff
	JEQ          same
	HIGH(0)
	HIGH(4)
	HIGH(8)
	HIGH(12)
	HIGH(16)
	HIGH(20)
	HIGH(24)
	HIGH(28)
	NEXT
	JNZ          eight
	VZEROUPPER
	RET

same:
	VMOVD X0, AX
	ADDL  $8, (DI)(AX*4)
	NEXT
	JNZ   eight
	VZEROUPPER
	RET
