//go:build !noasm

#include "textflag.h"

// The slices of the models lie at SI, a header of 24 bytes each, of which the first 8 are where the
// elements are. BX is the offset of an element in bytes, the same for all of them.
#define HEADER 24

DATA largest<>+0(SB)/4, $0x7f7fffff
GLOBL largest<>(SB), RODATA|NOPTR, $4

// DEVIATION adds the difference E from FIRST, and its square. Equal bits clear it.
#define DEVIATION(E, FIRST, SUM, SQUARES, M) \
	VPCMPEQQ FIRST, E, M       \
	VSUBPD   FIRST, E, E       \
	VANDNPD  E, M, E           \
	VADDPD   E, SUM, SUM       \
	VMULPD   E, E, E           \
	VADDPD   E, SQUARES, SQUARES

// SPREAD makes the variance of four elements. Against a NaN, VMINPS takes what Go writes first.
#define SPREAD(at, SUM, SQUARES, X) \
	VMULPD     SUM, SUM, SUM         \
	VMULPD     Y13, SQUARES, SQUARES \
	VSUBPD     SUM, SQUARES, SQUARES \
	VMULPD     Y14, SQUARES, SQUARES \
	VCVTPD2PSY SQUARES, X            \
	VMINPS     X15, X, X             \
	VMOVUPS    X, at(DI)(BX*1)

// func varianceAVX2(dst *float32, d *[]float32, models, n int, number, share float64)
TEXT ·varianceAVX2(SB), NOSPLIT, $0-48
	MOVQ         dst+0(FP), DI
	MOVQ         d+8(FP), SI
	MOVQ         models+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSD number+32(FP), Y13
	VBROADCASTSD share+40(FP), Y14
	VBROADCASTSS largest<>(SB), X15
	XORQ         BX, BX

block:
	MOVQ      (SI), R9
	VCVTPS2PD 0(R9)(BX*1), Y0
	VCVTPS2PD 16(R9)(BX*1), Y1
	VXORPD    Y2, Y2, Y2
	VXORPD    Y3, Y3, Y3
	VXORPD    Y4, Y4, Y4
	VXORPD    Y5, Y5, Y5
	LEAQ      HEADER(SI), R10
	MOVQ      DX, R11
	JMP       next

model:
	MOVQ      (R10), R9
	ADDQ      $HEADER, R10
	VCVTPS2PD 0(R9)(BX*1), Y6
	VCVTPS2PD 16(R9)(BX*1), Y7
	DEVIATION(Y6, Y0, Y2, Y4, Y8)
	DEVIATION(Y7, Y1, Y3, Y5, Y9)

next:
	DECQ R11
	JNZ  model
	SPREAD(0, Y2, Y4, X4)
	SPREAD(16, Y3, Y5, X5)
	ADDQ $32, BX
	SUBQ $8, CX
	JNZ  block
	VZEROUPPER
	RET

DATA sign<>+0(SB)/4, $0x80000000
GLOBL sign<>(SB), RODATA|NOPTR, $4

// Predicates of VCMPPS. With a NaN, the first two are true.
#define NOTEQUAL $4
#define NOTATLEAST $25
#define GREATER $30

// ELECT makes FLIP the sign bit where − is elected. Y15 is 0.
#define ELECT(ALL, FLIP) \
	VCMPPS NOTATLEAST, Y15, ALL, FLIP \
	VANDPS Y14, FLIP, FLIP

// VOTE adds what of a model agrees: with its sign flipped, it is positive. Y13 is the weight.
#define VOTE(at, FLIP, NUM, DEN, X, M) \
	VMOVUPS at(R9)(BX*1), X      \
	VXORPS  FLIP, X, M           \
	VCMPPS  GREATER, Y15, M, M   \
	VANDPS  M, X, X              \
	VANDPS  M, Y13, M            \
	VMULPS  Y13, X, X            \
	VADDPS  X, NUM, NUM          \
	VADDPS  M, DEN, DEN

// MEAN adds the mean, or the sum of all models if its difference from itself is not 0.
#define MEAN(at, ALL, NUM, DEN, M) \
	VCMPPS    NOTEQUAL, Y15, DEN, M \
	VDIVPS    DEN, NUM, NUM         \
	VANDPS    M, NUM, NUM           \
	VSUBPS    ALL, ALL, M           \
	VCMPPS    NOTEQUAL, Y15, M, M   \
	VBLENDVPS M, ALL, NUM, NUM      \
	VADDPS    at(DI)(BX*1), NUM, NUM \
	VMOVUPS   NUM, at(DI)(BX*1)

// func addElectedAVX2(dst *float32, d *[]float32, models, n int, w *float32)
TEXT ·addElectedAVX2(SB), NOSPLIT, $0-40
	MOVQ         dst+0(FP), DI
	MOVQ         d+8(FP), SI
	MOVQ         models+16(FP), DX
	MOVQ         n+24(FP), CX
	MOVQ         w+32(FP), R8
	VBROADCASTSS sign<>(SB), Y14
	VXORPS       Y15, Y15, Y15
	XORQ         BX, BX

block:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	MOVQ   SI, R10
	MOVQ   DX, R11

all:
	MOVQ   (R10), R9
	VADDPS 0(R9)(BX*1), Y0, Y0
	VADDPS 32(R9)(BX*1), Y1, Y1
	ADDQ   $HEADER, R10
	DECQ   R11
	JNZ    all
	ELECT(Y0, Y2)
	ELECT(Y1, Y3)
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	MOVQ   SI, R10
	XORQ   R11, R11

model:
	MOVQ         (R10), R9
	VBROADCASTSS (R8)(R11*4), Y13
	VOTE(0, Y2, Y4, Y6, Y8, Y9)
	VOTE(32, Y3, Y5, Y7, Y10, Y11)
	ADDQ         $HEADER, R10
	INCQ         R11
	CMPQ         R11, DX
	JLT          model
	MEAN(0, Y0, Y4, Y6, Y8)
	MEAN(32, Y1, Y5, Y7, Y10)
	ADDQ $64, BX
	SUBQ $16, CX
	JNZ  block
	VZEROUPPER
	RET
