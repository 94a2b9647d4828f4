//go:build !noasm

#include "textflag.h"

// Eight streams, whose next bits are in R8 to R15. A code has 11 bits at most, so that five of them are there whenever a word
// was loaded, and used up to its seventh bit.

// BYTE reads the next byte of a stream. DX is 64 − 11.
#define BYTE(bits, k) \
	SHRXQ   DX, bits, AX      \
	MOVWLZX (BX)(AX*2), AX    \
	SHLXQ   AX, bits, bits    \
	MOVB    AH, k(DI)(SI*1)

// STREAM reads five, and loads the bits behind them.
#define STREAM(i, bits) \
	MOVQ   (64+8*i)(CX), DI   \
	BYTE(bits, 0)             \
	BYTE(bits, 1)             \
	BYTE(bits, 2)             \
	BYTE(bits, 3)             \
	BYTE(bits, 4)             \
	TZCNTQ bits, AX           \
	MOVQ   AX, DI             \
	ANDQ   $7, AX             \
	SHRQ   $3, DI             \
	MOVQ   (128+8*i)(CX), bits \
	SUBQ   DI, bits           \
	MOVQ   bits, (128+8*i)(CX) \
	MOVQ   (0+8*i)(CX), DI    \
	MOVQ   (DI)(bits*1), bits \
	ORQ    $1, bits           \
	SHLXQ  AX, bits, bits

// func readStreams(s *steps)
TEXT ·readStreams(SB), NOSPLIT, $16-8
	MOVQ s+0(FP), CX
	MOVQ 272(CX), AX
	LEAQ (AX)(AX*4), AX
	MOVQ AX, end-8(SP)
	MOVQ 192(CX), R8
	MOVQ 200(CX), R9
	MOVQ 208(CX), R10
	MOVQ 216(CX), R11
	MOVQ 224(CX), R12
	MOVQ 232(CX), R13
	MOVQ 240(CX), R14
	MOVQ 248(CX), R15
	MOVQ $53, DX
	XORQ SI, SI

step:
	MOVQ 256(CX), BX
	STREAM(0, R8)
	STREAM(1, R9)
	STREAM(2, R10)
	STREAM(3, R11)
	MOVQ 264(CX), BX
	STREAM(4, R12)
	STREAM(5, R13)
	STREAM(6, R14)
	STREAM(7, R15)
	ADDQ $5, SI
	CMPQ SI, end-8(SP)
	JLT  step

	MOVQ R8, 192(CX)
	MOVQ R9, 200(CX)
	MOVQ R10, 208(CX)
	MOVQ R11, 216(CX)
	MOVQ R12, 224(CX)
	MOVQ R13, 232(CX)
	MOVQ R14, 240(CX)
	MOVQ R15, 248(CX)
	RET

// LOOK reads the next one or two bytes of a stream.
#define LOOK(bits, out) \
	SHRXQ   DX, bits, AX      \
	MOVL    (BX)(AX*4), AX    \
	SHLXQ   AX, bits, bits    \
	MOVBLZX AH, DI            \
	SHRL    $16, AX           \
	MOVW    AX, (out)         \
	ADDQ    DI, out

// PAIRS looks five times, and loads the bits behind.
#define PAIRS(i, bits, out) \
	LOOK(bits, out)           \
	LOOK(bits, out)           \
	LOOK(bits, out)           \
	LOOK(bits, out)           \
	LOOK(bits, out)           \
	TZCNTQ bits, AX           \
	MOVQ   AX, DI             \
	ANDQ   $7, AX             \
	SHRQ   $3, DI             \
	MOVQ   (64+8*i)(CX), bits \
	SUBQ   DI, bits           \
	MOVQ   bits, (64+8*i)(CX) \
	MOVQ   (0+8*i)(CX), DI    \
	MOVQ   (DI)(bits*1), bits \
	ORQ    $1, bits           \
	SHLXQ  AX, bits, bits

// func readPairs(s *doubleSteps, doubles *[room]uint32)
TEXT ·readPairs(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), CX
	MOVQ doubles+8(FP), BX
	MOVQ 160(CX), SI
	MOVQ 96(CX), R8
	MOVQ 104(CX), R9
	MOVQ 112(CX), R10
	MOVQ 120(CX), R11
	MOVQ 32(CX), R12
	MOVQ 40(CX), R13
	MOVQ 48(CX), R14
	MOVQ 56(CX), R15
	MOVQ $53, DX

pairs:
	PAIRS(0, R8, R12)
	PAIRS(1, R9, R13)
	PAIRS(2, R10, R14)
	PAIRS(3, R11, R15)
	DECQ SI
	JNZ  pairs

	SUBQ 32(CX), R12
	SUBQ 40(CX), R13
	SUBQ 48(CX), R14
	SUBQ 56(CX), R15
	MOVQ R8, 96(CX)
	MOVQ R9, 104(CX)
	MOVQ R10, 112(CX)
	MOVQ R11, 120(CX)
	MOVQ R12, 128(CX)
	MOVQ R13, 136(CX)
	MOVQ R14, 144(CX)
	MOVQ R15, 152(CX)
	RET
