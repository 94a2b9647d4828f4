//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// The planes of 16-bit numbers, 32 at a time. A narrowing move takes the lower byte of each word. Plain bytes are split no faster so than in AVX2.

// MERGE takes of A the bits that MASK has not, and of B those it has.
#define MERGE(A, B, MASK) \
	VPTERNLOGD $0xd8, MASK, B, A

#define WORDS(bits, Z) \
	MOVL         bits, AX \
	VPBROADCASTW AX, Z

#define JOIN(BEGIN, COLLECT) \
	MOVQ      dst+0(FP), DI    \
	MOVQ      high+8(FP), SI   \
	MOVQ      low+16(FP), DX   \
	MOVQ      n+24(FP), CX     \
	BEGIN                      \
loop: \
	VPMOVZXBW (SI), Z1         \
	VPMOVZXBW (DX), Z0         \
	COLLECT                    \
	VMOVDQU16 Z0, (DI)         \
	ADDQ      $32, SI          \
	ADDQ      $32, DX          \
	ADDQ      $64, DI          \
	SUBQ      $32, CX          \
	JNZ       loop             \
	VZEROUPPER                 \
	RET

// The fraction with the sign above it is a byte, and so is the exponent.

#define BEGIN_BF16 \
	WORDS($0x80, Z15)     \
	WORDS($0x8000, Z14)   \
	WORDS($0x7f80, Z13)

#define COLLECT_BF16 \
	VPSLLW $7, Z1, Z1      \
	VPSLLW $8, Z0, Z2      \
	MERGE(Z0, Z1, Z13)     \
	MERGE(Z0, Z2, Z14)

// func splitBF16AVX512(high, low, src *byte, n int)
TEXT ·splitBF16AVX512(SB), NOSPLIT, $0-32
	MOVQ high+0(FP), DI
	MOVQ low+8(FP), DX
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	BEGIN_BF16

loop:
	AHEAD((SI))
	VMOVDQU16 (SI), Z0
	VPSRLW    $7, Z0, Z1
	VPSRLW    $8, Z0, Z2
	MERGE(Z0, Z2, Z15)
	VPMOVWB   Z1, (DI)
	VPMOVWB   Z0, (DX)
	ADDQ      $64, SI
	ADDQ      $32, DI
	ADDQ      $32, DX
	SUBQ      $32, CX
	JNZ       loop
	VZEROUPPER
	RET

// func joinBF16AVX512(dst, high, low *byte, n int)
TEXT ·joinBF16AVX512(SB), NOSPLIT, $0-32
	JOIN(BEGIN_BF16, COLLECT_BF16)

#define NOTHING

#define COLLECT_2 \
	VPSLLW $8, Z1, Z1    \
	VPORD  Z1, Z0, Z0

// func join2AVX512(dst, high, low *byte, n int)
TEXT ·join2AVX512(SB), NOSPLIT, $0-32
	JOIN(NOTHING, COLLECT_2)
