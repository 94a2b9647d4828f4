//go:build !noasm

#include "textflag.h"

// Codes of 64 bytes at once. Three tables of 256 bytes lie in registers, four for each: lengths, lower and upper
// bytes of codes. Neighbours are joined to two, four and eight codes, the later byte's below, since it is written first. Eight codes
// have 88 bits at most and nearly always fewer than 57: then they are appended as one.

// LOOKUP sets dst to bytes of a table for the bytes in Z0; K1 has their upper bits.
#define LOOKUP(t0, t1, t2, t3, dst) \
	VMOVDQA64 Z0, dst         \
	VPERMI2B  t1, t0, dst     \
	VMOVDQA64 Z0, Z2          \
	VPERMI2B  t3, t2, Z2      \
	VMOVDQU8  Z2, K1, dst

// JOIN joins words of codes with their lengths to four in each quadword of codes: Z11 has the lengths of the later of two, then of the later
// two of four.
#define JOIN(codes, lengths) \
	VPSRLD    $16, lengths, Z11     \
	VPSRLD    $16, codes, Z10       \
	VPANDD    Z29, codes, Z12       \
	VPSLLVD   Z11, Z12, Z12         \
	VPORD     Z12, Z10, Z10         \
	VPMADDWD  Z30, lengths, Z11     \
	VPSRLQ    $32, Z11, Z11         \
	VPSRLQ    $32, Z10, Z12         \
	VPSLLQ    $32, Z10, Z10         \
	VPSRLQ    $32, Z10, Z10         \
	VPSLLVQ   Z11, Z10, Z10         \
	VPORQ     Z12, Z10, codes

// PUT appends the codes at an offset of the frame.
#define PUT(code, length) \
	SHLXQ R10, code, R8     \
	ADDQ  length, R10       \
	ORQ   R8, AX            \
	MOVQ  AX, (DI)          \
	MOVQ  R10, R9           \
	MOVQ  R10, R11          \
	SHRQ  $3, R9            \
	ANDQ  $0x38, R11        \
	ADDQ  R9, DI            \
	SHRXQ R11, AX, AX       \
	ANDQ  $7, R10

// func writeBlocks(s *state, dst, src *byte, n int, t *tables)
TEXT ·writeBlocks(SB), NOSPLIT, $320-40
	MOVQ s+0(FP), BX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	MOVQ t+32(FP), DX
	VMOVDQU64 (DX), Z16
	VMOVDQU64 64(DX), Z17
	VMOVDQU64 128(DX), Z18
	VMOVDQU64 192(DX), Z19
	VMOVDQU64 256(DX), Z20
	VMOVDQU64 320(DX), Z21
	VMOVDQU64 384(DX), Z22
	VMOVDQU64 448(DX), Z23
	VMOVDQU64 512(DX), Z24
	VMOVDQU64 576(DX), Z25
	VMOVDQU64 640(DX), Z26
	VMOVDQU64 704(DX), Z27
	VPXORQ Z31, Z31, Z31
	MOVL $0x0000ffff, R8
	VPBROADCASTD R8, Z29
	MOVL $0x00010001, R8
	VPBROADCASTD R8, Z30
	MOVQ $56, R8
	VPBROADCASTQ R8, Z28
	LEAQ halves-320(SP), DX // to be aligned: what is stored in one line is loaded from it at once
	ADDQ $63, DX
	ANDQ $~63, DX
	MOVQ 0(BX), AX
	MOVQ 8(BX), R10
	MOVQ DI, R12
	ADDQ 16(BX), DI

next:
	SUBQ $64, CX
	VMOVDQU64 (SI)(CX*1), Z0
	VPMOVB2M Z0, K1
	LOOKUP(Z16, Z17, Z18, Z19, Z1)
	LOOKUP(Z20, Z21, Z22, Z23, Z3)
	LOOKUP(Z24, Z25, Z26, Z27, Z5)
	VPUNPCKLBW Z5, Z3, Z6
	VPUNPCKHBW Z5, Z3, Z7
	VPUNPCKLBW Z31, Z1, Z8
	VPUNPCKHBW Z31, Z1, Z9
	JOIN(Z6, Z8)
	JOIN(Z7, Z9)
	VPUNPCKHQDQ Z7, Z6, Z3    // of eight bytes, the later four
	VPUNPCKLQDQ Z7, Z6, Z4    // the first four
	VPSADBW Z31, Z1, Z5       // bits of eight
	VPSRLQ $32, Z1, Z1
	VPSADBW Z31, Z1, Z1       // of the later four
	VPCMPUQ $6, Z28, Z5, K2   // more than 56
	KTESTB K2, K2
	JNZ halves
	VPSLLVQ Z1, Z4, Z4
	VPORQ Z4, Z3, Z3
	VMOVDQU64 Z3, (DX)
	VMOVDQU64 Z5, 64(DX)
	PUT(56(DX), 120(DX))
	PUT(48(DX), 112(DX))
	PUT(40(DX), 104(DX))
	PUT(32(DX), 96(DX))
	PUT(24(DX), 88(DX))
	PUT(16(DX), 80(DX))
	PUT(8(DX), 72(DX))
	PUT(0(DX), 64(DX))
	TESTQ CX, CX
	JNZ next
	JMP done

halves:
	VPSUBQ Z1, Z5, Z5
	VMOVDQU64 Z3, (DX)
	VMOVDQU64 Z1, 64(DX)
	VMOVDQU64 Z4, 128(DX)
	VMOVDQU64 Z5, 192(DX)
	MOVQ $56, R13

half:
	PUT((DX)(R13*1), 64(DX)(R13*1))
	PUT(128(DX)(R13*1), 192(DX)(R13*1))
	SUBQ $8, R13
	JGE half
	TESTQ CX, CX
	JNZ next

done:
	SUBQ R12, DI
	MOVQ AX, 0(BX)
	MOVQ R10, 8(BX)
	MOVQ DI, 16(BX)
	VZEROUPPER
	RET
