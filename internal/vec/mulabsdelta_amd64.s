//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// LOOP does 32 elements at a time: SI = x, DX = base and R8 = a at byte BX, DI = dst at twice that.
#define LOOP(BLOCK) \
	MOVQ dst+0(FP), DI   \
	MOVQ x+8(FP), SI     \
	MOVQ base+16(FP), DX \
	MOVQ a+24(FP), R8    \
	MOVQ n+32(FP), CX    \
	XORQ BX, BX          \
block: \
	AHEAD((SI)(BX*1))    \
	AHEAD((DX)(BX*1))    \
	AHEAD((R8)(BX*1))    \
	BLOCK                \
	ADDQ $64, BX         \
	SUBQ $32, CX         \
	JNZ  block           \
	VZEROUPPER           \
	RET

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

// Equal bits clear the difference A. The magnitude of a product is the product of the magnitudes.

#define SCORE(half, at, A, B, M) \
	DECODE(half(SI)(BX*1), A)  \
	DECODE(half(DX)(BX*1), B)  \
	VPCMPEQD B, A, M           \
	VSUBPS   B, A, A           \
	DECODE(half(R8)(BX*1), B)  \
	VANDNPS  A, M, A           \
	VMULPS   B, A, A           \
	VANDPS   Y15, A, A         \
	VMOVUPS  A, at(DI)(BX*2)

#define SCORE_Y \
	SCORE(0, 0, Y0, Y1, Y2)   \
	SCORE(16, 32, Y3, Y4, Y5) \
	SCORE(32, 64, Y6, Y7, Y8) \
	SCORE(48, 96, Y9, Y10, Y11)

// func mulAbsDeltaBF16AVX2(dst *float32, x, base, a *byte, n int)
TEXT ·mulAbsDeltaBF16AVX2(SB), NOSPLIT, $0-40
	VBROADCASTSS magnitude<>(SB), Y15
	LOOP(SCORE_Y)

#define SCOREMASKED(half, at, A, B, M) \
	DECODE(half(SI)(BX*1), A)  \
	DECODE(half(DX)(BX*1), B)  \
	VPCMPUD  NOTEQUAL, B, A, M \
	VSUBPS.Z B, A, M, A        \
	DECODE(half(R8)(BX*1), B)  \
	VMULPS   B, A, A           \
	VANDPS   Z15, A, A         \
	VMOVUPS  A, at(DI)(BX*2)

#define SCORE_Z \
	SCOREMASKED(0, 0, Z0, Z1, K1) \
	SCOREMASKED(32, 64, Z2, Z3, K2)

// func mulAbsDeltaBF16AVX512(dst *float32, x, base, a *byte, n int)
TEXT ·mulAbsDeltaBF16AVX512(SB), NOSPLIT, $0-40
	VBROADCASTSS magnitude<>(SB), Z15
	LOOP(SCORE_Z)
