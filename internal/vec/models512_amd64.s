//go:build !noasm

#include "textflag.h"

// The kernels of models_amd64.s on 32 elements at a time. The slices of the models lie at SI, a header of 24 bytes each, of which the first 8 are where
// the elements are. BX is the offset of an element in bytes, the same for all of them. Masks are K registers.
#define HEADER 24

#define ARGUMENTS \
	MOVQ dst+0(FP), DI     \
	MOVQ d+8(FP), SI       \
	MOVQ models+16(FP), DX \
	MOVQ n+24(FP), CX      \
	XORQ BX, BX

// EACH does STEP for each model at R9; label is its own. WEIGHING has its weight in Z13 as well.
#define EACH(label, STEP) \
	MOVQ SI, R10            \
	XORQ R11, R11           \
label: \
	MOVQ (R10), R9          \
	STEP                    \
	ADDQ $HEADER, R10       \
	INCQ R11                \
	CMPQ R11, DX            \
	JLT  label

#define WEIGHT \
	VBROADCASTSS (R8)(R11*4), Z13

#define NEXT \
	ADDQ $128, BX \
	SUBQ $32, CX

DATA sign<>+0(SB)/4, $0x80000000
GLOBL sign<>(SB), RODATA|NOPTR, $4

DATA one<>+0(SB)/4, $0x3f800000
GLOBL one<>(SB), RODATA|NOPTR, $4

DATA largest<>+0(SB)/4, $0x7f7fffff
GLOBL largest<>(SB), RODATA|NOPTR, $4

// Predicates of VCMPPS and VPCMPQ. With a NaN, the first two of VCMPPS are true.
#define NOTEQUAL $4
#define NOTATLEAST $25
#define GREATER $30
#define EQUAL $0
#define UNORDERED $3

// ELECT makes FLIP the sign bit where − is elected. Z15 is 0.
#define ELECT(ALL, FLIP, K) \
	VCMPPS    NOTATLEAST, Z15, ALL, K \
	VMOVAPS.Z Z14, K, FLIP

// BALLOT adds what of X agrees to NUM, times ITS weight, and the weight in Z13 to DEN. With its sign flipped, it is positive.
#define BALLOT(FLIP, X, M, K) \
	VPXORD FLIP, X, M         \
	VCMPPS GREATER, Z15, M, K

#define ADD_SUM(at, ALL) \
	VADDPS at(R9)(BX*1), ALL, ALL

#define VOTE(at, FLIP, NUM, DEN, X, M, K) \
	VMOVUPS  at(R9)(BX*1), X \
	BALLOT(FLIP, X, M, K)    \
	VMULPS.Z Z13, X, K, X    \
	VADDPS   X, NUM, NUM     \
	VADDPS   Z13, DEN, K, DEN

// MEAN adds the mean, or the sum of all models if its difference from itself is not 0.
#define MEAN(at, ALL, NUM, DEN, M, K) \
	VCMPPS   NOTEQUAL, Z15, DEN, K  \
	VDIVPS.Z DEN, NUM, K, NUM       \
	VSUBPS   ALL, ALL, M            \
	VCMPPS   NOTEQUAL, Z15, M, K    \
	VMOVAPS  ALL, K, NUM            \
	VADDPS   at(DI)(BX*1), NUM, NUM \
	VMOVUPS  NUM, at(DI)(BX*1)

#define ZERO(A, B) \
	VPXORQ A, A, A \
	VPXORQ B, B, B

#define SUM_ALL \
	ADD_SUM(0, Z0) \
	ADD_SUM(64, Z1)

#define VOTES \
	WEIGHT                                  \
	VOTE(0, Z2, Z4, Z6, Z8, Z9, K1)         \
	VOTE(64, Z3, Z5, Z7, Z10, Z11, K2)

// func addElectedAVX512(dst *float32, d *[]float32, models, n int, w *float32)
TEXT ·addElectedAVX512(SB), NOSPLIT, $0-40
	ARGUMENTS
	MOVQ         w+32(FP), R8
	VBROADCASTSS sign<>(SB), Z14
	VXORPS       Z15, Z15, Z15

block:
	ZERO(Z0, Z1)
	EACH(all, SUM_ALL)
	ELECT(Z0, Z2, K1)
	ELECT(Z1, Z3, K2)
	ZERO(Z4, Z5)
	ZERO(Z6, Z7)
	EACH(model, VOTES)
	MEAN(0, Z0, Z4, Z6, Z8, K1)
	MEAN(64, Z1, Z5, Z7, Z10, K2)
	NEXT
	JNZ block
	VZEROUPPER
	RET

// WEIGHED makes X what the model has, times the weight in Z13.
#define WEIGHED(at, X) \
	VMULPS at(R9)(BX*1), Z13, X

#define SUM_WEIGHED \
	WEIGHT              \
	WEIGHED(0, Z2)      \
	WEIGHED(64, Z3)     \
	VADDPS Z2, Z0, Z0   \
	VADDPS Z3, Z1, Z1

// NANS makes NUM what of ALL is NaN, else 0.
#define NANS(ALL, NUM, K) \
	VCMPPS    UNORDERED, ALL, ALL, K \
	VMOVAPS.Z ALL, K, NUM

#define CAST(at, FLIP, NUM, DEN, X, M, K) \
	WEIGHED(at, X)             \
	BALLOT(FLIP, X, M, K)      \
	VADDPS X, NUM, K, NUM      \
	VADDPS Z13, DEN, K, DEN

#define BALLOTS \
	WEIGHT                             \
	CAST(0, Z2, Z4, Z6, Z0, Z9, K1)    \
	CAST(64, Z3, Z5, Z7, Z1, Z10, K2)

// QUOTIENT divides where weights do not add up to 0.
#define QUOTIENT(NUM, DEN, K) \
	VCMPPS NOTEQUAL, Z15, DEN, K \
	VDIVPS DEN, NUM, K, NUM

// ADD_TIMES adds λ times NUM.
#define ADD_TIMES(at, NUM) \
	VMULPS  Z12, NUM, NUM           \
	VADDPS  at(DI)(BX*1), NUM, NUM  \
	VMOVUPS NUM, at(DI)(BX*1)

// func applyElectedAVX512(dst *float32, d *[]float32, models, n int, w *float32, lambda float32, sum uint32)
TEXT ·applyElectedAVX512(SB), NOSPLIT, $0-48
	ARGUMENTS
	MOVQ         w+32(FP), R8
	VBROADCASTSS lambda+40(FP), Z12
	MOVL         sum+44(FP), R12
	VBROADCASTSS sign<>(SB), Z14
	VXORPS       Z15, Z15, Z15

block:
	ZERO(Z0, Z1)
	EACH(all, SUM_WEIGHED)
	ELECT(Z0, Z2, K1)
	ELECT(Z1, Z3, K2)
	NANS(Z0, Z4, K1)
	NANS(Z1, Z5, K2)
	ZERO(Z6, Z7)
	EACH(model, BALLOTS)
	TESTL R12, R12
	JNZ   apply
	QUOTIENT(Z4, Z6, K1)
	QUOTIENT(Z5, Z7, K2)

apply:
	ADD_TIMES(0, Z4)
	ADD_TIMES(64, Z5)
	NEXT
	JNZ block
	VZEROUPPER
	RET

// DEVIATION adds the difference E from FIRST, and its square. Equal bits clear it.
#define DEVIATION(at, FIRST, SUM, SQUARES, E, K) \
	VCVTPS2PD at(R9)(BX*1), E     \
	VPCMPUQ   NOTEQUAL, FIRST, E, K \
	VSUBPD.Z  FIRST, E, K, E      \
	VADDPD    E, SUM, SUM         \
	VMULPD    E, E, E             \
	VADDPD    E, SQUARES, SQUARES

// SPREAD makes the variance of eight elements. Against a NaN, VMINPS takes what Go writes first. Z13 is the number of models, Z14 its inverse
// squared, Y15 the largest number.
#define SPREAD(at, SUM, SQUARES, Y) \
	VMULPD    SUM, SUM, SUM         \
	VMULPD    Z13, SQUARES, SQUARES \
	VSUBPD    SUM, SQUARES, SQUARES \
	VMULPD    Z14, SQUARES, SQUARES \
	VCVTPD2PS SQUARES, Y            \
	VMINPS    Y15, Y, Y             \
	VMOVUPS   Y, at(DI)(BX*1)

#define DEVIATIONS \
	DEVIATION(0, Z0, Z2, Z6, Z10, K1)   \
	DEVIATION(32, Z1, Z3, Z7, Z11, K2)  \
	DEVIATION(64, Z16, Z4, Z8, Z10, K1) \
	DEVIATION(96, Z17, Z5, Z9, Z11, K2)

// func varianceAVX512(dst *float32, d *[]float32, models, n int, number, share float64)
//
// The first model's difference from itself is 0.
TEXT ·varianceAVX512(SB), NOSPLIT, $0-48
	ARGUMENTS
	VBROADCASTSD number+32(FP), Z13
	VBROADCASTSD share+40(FP), Z14
	VBROADCASTSS largest<>(SB), Y15
	CMPQ         DX, $2
	JEQ          two

block:
	MOVQ      (SI), R9
	VCVTPS2PD 0(R9)(BX*1), Z0
	VCVTPS2PD 32(R9)(BX*1), Z1
	VCVTPS2PD 64(R9)(BX*1), Z16
	VCVTPS2PD 96(R9)(BX*1), Z17
	ZERO(Z2, Z3)
	ZERO(Z4, Z5)
	ZERO(Z6, Z7)
	ZERO(Z8, Z9)
	EACH(model, DEVIATIONS)
	SPREAD(0, Z2, Z6, Y6)
	SPREAD(32, Z3, Z7, Y7)
	SPREAD(64, Z4, Z8, Y8)
	SPREAD(96, Z5, Z9, Y9)
	NEXT
	JNZ block
	VZEROUPPER
	RET

// Of two models, 2e² − e² is e² to the bit.
#define PAIR(at, A, B, Y, K) \
	VCVTPS2PD at(R9)(BX*1), A   \
	VCVTPS2PD at(R10)(BX*1), B  \
	VPCMPUQ   NOTEQUAL, A, B, K \
	VSUBPD.Z  A, B, K, B        \
	VMULPD    B, B, B           \
	VMULPD    Z14, B, B         \
	VCVTPD2PS B, Y              \
	VMINPS    Y15, Y, Y         \
	VMOVUPS   Y, at(DI)(BX*1)

two:
	MOVQ (SI), R9
	MOVQ HEADER(SI), R10

pair:
	PAIR(0, Z0, Z1, Y1, K1)
	PAIR(32, Z2, Z3, Y3, K2)
	PAIR(64, Z4, Z5, Y5, K1)
	PAIR(96, Z6, Z7, Y7, K2)
	NEXT
	JNZ pair
	VZEROUPPER
	RET
