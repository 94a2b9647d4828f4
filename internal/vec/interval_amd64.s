//go:build !noasm

#include "textflag.h"

// Predicates of VCMPPS: ordered, quiet. NaN is never between.
#define LT_OQ $0x11
#define GE_OQ $0x1d

// func betweenAVX512(dst, s *float32, n int, low, high float32) (inside, above int)
//
// The matches of a vector are compressed to its front and stored with what follows
// them, which the next matches overwrite. As many elements were read as could have
// been written, so the store stays inside dst, and behind the reads if dst is s.
TEXT ·betweenAVX512(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ s+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS low+24(FP), Z14
	VBROADCASTSS high+28(FP), Z13
	MOVQ DI, DX
	XORL R9, R9
	SHLQ $2, CX
	ADDQ SI, CX

loop512:
	VMOVUPS (SI), Z0
	ADDQ $64, SI
	VCMPPS GE_OQ, Z14, Z0, K1
	VCMPPS LT_OQ, Z13, Z0, K1, K1
	VCMPPS GE_OQ, Z13, Z0, K2
	KMOVW K2, R8
	POPCNTL R8, R8
	ADDQ R8, R9
	KMOVW K1, AX
	TESTL AX, AX
	JZ none512
	VCOMPRESSPS.Z Z0, K1, Z1
	VMOVUPS Z1, (DI)
	POPCNTL AX, AX
	LEAQ (DI)(AX*4), DI
none512:
	CMPQ SI, CX
	JLT loop512

	VZEROUPPER
	SUBQ DX, DI
	SHRQ $2, DI
	MOVQ DI, inside+32(FP)
	MOVQ R9, above+40(FP)
	RET

// func betweenAVX2(dst, s *float32, n int, low, high float32, fronts *[256]uint64) (inside, above int)
//
// As above, with the order of the matches' lanes looked up by their mask. Those above are counted in
// each lane of Y12.
TEXT ·betweenAVX2(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         s+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS low+24(FP), Y14
	VBROADCASTSS high+28(FP), Y13
	MOVQ         fronts+32(FP), R10
	VPXOR        Y12, Y12, Y12
	MOVQ         DI, DX
	SHLQ         $2, CX
	ADDQ         SI, CX

loop256:
	VMOVUPS   (SI), Y0
	ADDQ      $32, SI
	VCMPPS    GE_OQ, Y14, Y0, Y1
	VCMPPS    LT_OQ, Y13, Y0, Y2
	VCMPPS    GE_OQ, Y13, Y0, Y3
	VANDPS    Y1, Y2, Y1
	VPSUBD    Y3, Y12, Y12
	VMOVMSKPS Y1, AX
	VPMOVZXBD (R10)(AX*8), Y1
	POPCNTL   AX, AX
	VPERMPS   Y0, Y1, Y1
	VMOVUPS   Y1, (DI)
	LEAQ      (DI)(AX*4), DI
	CMPQ      SI, CX
	JLT       loop256

	VEXTRACTI128 $1, Y12, X13
	VPADDD       X13, X12, X12
	VPSHUFD      $0x4e, X12, X13
	VPADDD       X13, X12, X12
	VPSHUFD      $0xb1, X12, X13
	VPADDD       X13, X12, X12
	VMOVD        X12, R9
	VZEROUPPER
	SUBQ         DX, DI
	SHRQ         $2, DI
	MOVQ         DI, inside+40(FP)
	MOVQ         R9, above+48(FP)
	RET
