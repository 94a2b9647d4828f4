//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// The slices of the models lie at SI, a header of 24 bytes each, of which the first 8 are where the bytes are. BX is the offset of an element
// in bytes, the same for all of them and for the base at R12; in dst, at DI, it is twice as much. R8 points to the weights.
#define HEADER 24

// SUM does 32 elements at a time: BEGIN, MODEL for each model at R9 with its weight in W, END.
#define SUM(BEGIN, MODEL, END, W) \
	MOVQ         dst+0(FP), DI      \
	MOVQ         base+8(FP), R12    \
	MOVQ         x+16(FP), SI       \
	MOVQ         models+24(FP), DX  \
	MOVQ         n+32(FP), CX       \
	MOVQ         w+40(FP), R8       \
	XORQ         BX, BX             \
block: \
	BEGIN                           \
	MOVQ         SI, R10            \
	XORQ         R11, R11           \
model: \
	MOVQ         (R10), R9          \
	AHEAD((R9)(BX*1))               \
	VBROADCASTSS (R8)(R11*4), W     \
	MODEL                           \
	ADDQ         $HEADER, R10       \
	INCQ         R11                \
	CMPQ         R11, DX            \
	JLT          model              \
	END                             \
	ADDQ         $64, BX            \
	SUBQ         $32, CX            \
	JNZ          block              \
	VZEROUPPER                      \
	RET

DATA negative0<>+0(SB)/4, $0x80000000
GLOBL negative0<>(SB), RODATA|NOPTR, $4

// WEIGHED adds what a model has, times its weight. Products are rounded before they are added.
#define WEIGHED(half, ACC, A, W) \
	DECODE(half(R9)(BX*1), A) \
	VMULPS W, A, A            \
	VADDPS A, ACC, ACC

// A sum begins with −0: with any number, it is that number.

#define BEGIN_SUM_Y \
	VMOVAPS Y15, Y0 \
	VMOVAPS Y15, Y1 \
	VMOVAPS Y15, Y2 \
	VMOVAPS Y15, Y3

#define SUM_Y \
	WEIGHED(0, Y0, Y4, Y13)  \
	WEIGHED(16, Y1, Y5, Y13) \
	WEIGHED(32, Y2, Y6, Y13) \
	WEIGHED(48, Y3, Y7, Y13)

#define STORE_Y \
	VMOVUPS Y0, 0(DI)(BX*2)  \
	VMOVUPS Y1, 32(DI)(BX*2) \
	VMOVUPS Y2, 64(DI)(BX*2) \
	VMOVUPS Y3, 96(DI)(BX*2)

// func sumBF16AVX2(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)
TEXT ·sumBF16AVX2(SB), NOSPLIT, $0-52
	VBROADCASTSS negative0<>(SB), Y15
	SUM(BEGIN_SUM_Y, SUM_Y, STORE_Y, Y13)

#define BEGIN_SUM_Z \
	VMOVAPS Z15, Z0 \
	VMOVAPS Z15, Z1

#define SUM_Z \
	WEIGHED(0, Z0, Z2, Z13)  \
	WEIGHED(32, Z1, Z3, Z13)

#define STORE_Z \
	VMOVUPS Z0, 0(DI)(BX*2) \
	VMOVUPS Z1, 64(DI)(BX*2)

// func sumBF16AVX512(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)
TEXT ·sumBF16AVX512(SB), NOSPLIT, $0-52
	VBROADCASTSS negative0<>(SB), Z15
	SUM(BEGIN_SUM_Z, SUM_Z, STORE_Z, Z13)

// DELTA adds a model's difference from base B, times its weight.
#define DELTA(half, ACC, A, B, M, W) \
	DECODE(half(R9)(BX*1), A) \
	DIFFERENCE(A, B, M)       \
	VMULPS W, A, A            \
	VADDPS A, ACC, ACC

#define DELTAMASKED(half, ACC, A, B, M, W) \
	DECODE(half(R9)(BX*1), A)  \
	DIFFERENCEMASKED(A, B, M)  \
	VMULPS W, A, A             \
	VADDPS A, ACC, ACC

// APPLY adds the sum, times λ in L, to the base.
#define APPLY(at, ACC, B, L) \
	VMULPS  L, ACC, ACC \
	VADDPS  ACC, B, ACC \
	VMOVUPS ACC, at(DI)(BX*2)

#define BEGIN_DELTAS_Y \
	AHEAD((R12)(BX*1))        \
	DECODE(0(R12)(BX*1), Y4)  \
	DECODE(16(R12)(BX*1), Y5) \
	DECODE(32(R12)(BX*1), Y6) \
	DECODE(48(R12)(BX*1), Y7) \
	VXORPS Y0, Y0, Y0         \
	VXORPS Y1, Y1, Y1         \
	VXORPS Y2, Y2, Y2         \
	VXORPS Y3, Y3, Y3

#define DELTAS_Y \
	DELTA(0, Y0, Y8, Y4, Y9, Y13)    \
	DELTA(16, Y1, Y10, Y5, Y11, Y13) \
	DELTA(32, Y2, Y8, Y6, Y9, Y13)   \
	DELTA(48, Y3, Y10, Y7, Y11, Y13)

#define END_DELTAS_Y \
	APPLY(0, Y0, Y4, Y14)  \
	APPLY(32, Y1, Y5, Y14) \
	APPLY(64, Y2, Y6, Y14) \
	APPLY(96, Y3, Y7, Y14)

// func addDeltasBF16AVX2(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)
TEXT ·addDeltasBF16AVX2(SB), NOSPLIT, $0-52
	VBROADCASTSS lambda+48(FP), Y14
	SUM(BEGIN_DELTAS_Y, DELTAS_Y, END_DELTAS_Y, Y13)

#define BEGIN_DELTAS_Z \
	AHEAD((R12)(BX*1))        \
	DECODE(0(R12)(BX*1), Z4)  \
	DECODE(32(R12)(BX*1), Z5) \
	VXORPS Z0, Z0, Z0         \
	VXORPS Z1, Z1, Z1

#define DELTAS_Z \
	DELTAMASKED(0, Z0, Z8, Z4, K1, Z13) \
	DELTAMASKED(32, Z1, Z9, Z5, K2, Z13)

#define END_DELTAS_Z \
	APPLY(0, Z0, Z4, Z14) \
	APPLY(64, Z1, Z5, Z14)

// func addDeltasBF16AVX512(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)
TEXT ·addDeltasBF16AVX512(SB), NOSPLIT, $0-52
	VBROADCASTSS lambda+48(FP), Z14
	SUM(BEGIN_DELTAS_Z, DELTAS_Z, END_DELTAS_Z, Z13)
