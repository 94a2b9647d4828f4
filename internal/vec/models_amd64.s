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
	VBROADCASTSS largest<>(SB), Y15
	XORQ         BX, BX
	CMPQ         DX, $2
	JEQ          two

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

// Of two models, 2e² − e² is e² to the bit.
two:
	MOVQ (SI), R9
	MOVQ HEADER(SI), R10

pair:
	VCVTPS2PD   0(R9)(BX*1), Y0
	VCVTPS2PD   16(R9)(BX*1), Y1
	VCVTPS2PD   0(R10)(BX*1), Y2
	VCVTPS2PD   16(R10)(BX*1), Y3
	VPCMPEQQ    Y0, Y2, Y4
	VPCMPEQQ    Y1, Y3, Y5
	VSUBPD      Y0, Y2, Y2
	VSUBPD      Y1, Y3, Y3
	VANDNPD     Y2, Y4, Y2
	VANDNPD     Y3, Y5, Y3
	VMULPD      Y2, Y2, Y2
	VMULPD      Y3, Y3, Y3
	VMULPD      Y14, Y2, Y2
	VMULPD      Y14, Y3, Y3
	VCVTPD2PSY  Y2, X2
	VCVTPD2PSY  Y3, X3
	VINSERTF128 $1, X3, Y2, Y2
	VMINPS      Y15, Y2, Y2
	VMOVUPS     Y2, (DI)(BX*1)
	ADDQ        $32, BX
	SUBQ        $8, CX
	JNZ         pair
	VZEROUPPER
	RET

DATA sign<>+0(SB)/4, $0x80000000
GLOBL sign<>(SB), RODATA|NOPTR, $4

// Predicates of VCMPPS. With a NaN, the first three are true.
#define NOTEQUAL $4
#define NOTATLEAST $25
#define NOTATMOST $22
#define GREATER $30
#define EQUAL $0
#define UNORDERED $3

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

DATA one<>+0(SB)/4, $0x3f800000
GLOBL one<>(SB), RODATA|NOPTR, $4

// WEIGHED makes X what the model has, times the weight in Y13.
#define WEIGHED(at, X) \
	VMULPS at(R9)(BX*1), Y13, X

// NANS makes NUM what of ALL is NaN, else 0.
#define NANS(ALL, NUM) \
	VCMPPS UNORDERED, ALL, ALL, NUM \
	VANDPS ALL, NUM, NUM

// BALLOT adds what of a model agrees, weighed.
#define BALLOT(at, FLIP, NUM, DEN, X, M) \
	WEIGHED(at, X)               \
	VXORPS FLIP, X, M            \
	VCMPPS GREATER, Y15, M, M    \
	VANDPS M, X, X               \
	VANDPS M, Y13, M             \
	VADDPS X, NUM, NUM           \
	VADDPS M, DEN, DEN

// QUOTIENT divides by 1 where weights add up to 0, or everywhere if all bits of Y8 are ones, and adds λ times that.
#define QUOTIENT(at, NUM, DEN, M) \
	VCMPPS    EQUAL, Y15, DEN, M       \
	VORPS     Y8, M, M                 \
	VBLENDVPS M, Y11, DEN, DEN         \
	VDIVPS    DEN, NUM, NUM            \
	VMULPS    Y12, NUM, NUM            \
	VADDPS    at(DI)(BX*1), NUM, NUM   \
	VMOVUPS   NUM, at(DI)(BX*1)

// func applyElectedAVX2(dst *float32, d *[]float32, models, n int, w *float32, lambda float32, sum uint32)
TEXT ·applyElectedAVX2(SB), NOSPLIT, $0-48
	MOVQ         dst+0(FP), DI
	MOVQ         d+8(FP), SI
	MOVQ         models+16(FP), DX
	MOVQ         n+24(FP), CX
	MOVQ         w+32(FP), R8
	VBROADCASTSS lambda+40(FP), Y12
	VBROADCASTSS sum+44(FP), Y8
	VBROADCASTSS one<>(SB), Y11
	VBROADCASTSS sign<>(SB), Y14
	VXORPS       Y15, Y15, Y15
	XORQ         BX, BX

block:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	MOVQ   SI, R10
	XORQ   R11, R11

all:
	MOVQ         (R10), R9
	VBROADCASTSS (R8)(R11*4), Y13
	WEIGHED(0, Y2)
	WEIGHED(32, Y3)
	VADDPS       Y2, Y0, Y0
	VADDPS       Y3, Y1, Y1
	ADDQ         $HEADER, R10
	INCQ         R11
	CMPQ         R11, DX
	JLT          all
	ELECT(Y0, Y2)
	ELECT(Y1, Y3)
	NANS(Y0, Y4)
	NANS(Y1, Y5)
	VXORPS       Y6, Y6, Y6
	VXORPS       Y7, Y7, Y7
	MOVQ         SI, R10
	XORQ         R11, R11

model:
	MOVQ         (R10), R9
	VBROADCASTSS (R8)(R11*4), Y13
	BALLOT(0, Y2, Y4, Y6, Y0, Y9)
	BALLOT(32, Y3, Y5, Y7, Y1, Y10)
	ADDQ         $HEADER, R10
	INCQ         R11
	CMPQ         R11, DX
	JLT          model
	QUOTIENT(0, Y4, Y6, Y0)
	QUOTIENT(32, Y5, Y7, Y1)
	ADDQ $64, BX
	SUBQ $16, CX
	JNZ  block
	VZEROUPPER
	RET

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

// ACTIVE makes M the mask of X where that is active. Y15 is epsilon, Y14 the bits of a magnitude.
#define ACTIVE(X, M) \
	VANDPS X, Y14, M             \
	VCMPPS NOTATMOST, Y15, M, M

// SHARE adds what of a model is active. Y13 is the weight, Y12 is 1.
#define SHARE(at, N, ALL, OWN, X, M) \
	VMOVUPS at(R9)(BX*1), X \
	ACTIVE(X, M)            \
	VANDPS  M, X, X         \
	VANDPS  M, Y12, M       \
	VADDPS  M, N, N         \
	VADDPS  X, ALL, ALL     \
	VMULPS  Y13, X, X       \
	VADDPS  X, OWN, OWN

// Y11 is 0.
#define MEANOWN(at, N, ALL, OWN, M) \
	VCMPPS    NOTEQUAL, Y11, N, M    \
	VDIVPS    N, ALL, ALL            \
	VANDPS    M, ALL, ALL            \
	VCMPPS    EQUAL, Y12, N, M       \
	VBLENDVPS M, OWN, ALL, ALL       \
	VADDPS    at(DI)(BX*1), ALL, ALL \
	VMOVUPS   ALL, at(DI)(BX*1)

// func addActiveAVX2(dst *float32, d *[]float32, models, n int, w *float32, epsilon float32)
TEXT ·addActiveAVX2(SB), NOSPLIT, $0-44
	MOVQ         dst+0(FP), DI
	MOVQ         d+8(FP), SI
	MOVQ         models+16(FP), DX
	MOVQ         n+24(FP), CX
	MOVQ         w+32(FP), R8
	VBROADCASTSS epsilon+40(FP), Y15
	VBROADCASTSS magnitude<>(SB), Y14
	VBROADCASTSS one<>(SB), Y12
	VXORPS       Y11, Y11, Y11
	XORQ         BX, BX

block:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	MOVQ   SI, R10
	XORQ   R11, R11

model:
	MOVQ         (R10), R9
	VBROADCASTSS (R8)(R11*4), Y13
	SHARE(0, Y0, Y1, Y2, Y6, Y7)
	SHARE(32, Y3, Y4, Y5, Y8, Y9)
	ADDQ         $HEADER, R10
	INCQ         R11
	CMPQ         R11, DX
	JLT          model
	MEANOWN(0, Y0, Y1, Y2, Y6)
	MEANOWN(32, Y3, Y4, Y5, Y8)
	ADDQ $64, BX
	SUBQ $16, CX
	JNZ  block
	VZEROUPPER
	RET

// func countActiveAVX2(shared, unique *int64, d *[]float32, models, n int, epsilon float32)
TEXT ·countActiveAVX2(SB), NOSPLIT, $0-44
	MOVQ         shared+0(FP), DI
	MOVQ         unique+8(FP), R8
	MOVQ         d+16(FP), SI
	MOVQ         models+24(FP), DX
	MOVQ         n+32(FP), CX
	VBROADCASTSS epsilon+40(FP), Y15
	VBROADCASTSS magnitude<>(SB), Y14
	XORQ         BX, BX

block:
	VXORPS Y0, Y0, Y0 // some model is active
	VXORPS Y1, Y1, Y1 // several are
	MOVQ   SI, R10
	MOVQ   DX, R11

all:
	MOVQ    (R10), R9
	VMOVUPS (R9)(BX*1), Y2
	ACTIVE(Y2, Y2)
	VANDPS  Y2, Y0, Y3
	VORPS   Y3, Y1, Y1
	VORPS   Y2, Y0, Y0
	ADDQ    $HEADER, R10
	DECQ    R11
	JNZ     all
	MOVQ    SI, R10
	XORQ    R11, R11

model:
	MOVQ      (R10), R9
	VMOVUPS   (R9)(BX*1), Y2
	ACTIVE(Y2, Y2)
	VANDPS    Y2, Y1, Y3
	VANDNPS   Y2, Y1, Y2
	VMOVMSKPS Y3, AX
	VMOVMSKPS Y2, R12
	POPCNTL   AX, AX
	POPCNTL   R12, R12
	ADDQ      AX, (DI)(R11*8)
	ADDQ      R12, (R8)(R11*8)
	ADDQ      $HEADER, R10
	INCQ      R11
	CMPQ      R11, DX
	JLT       model
	ADDQ      $32, BX
	SUBQ      $8, CX
	JNZ       block
	VZEROUPPER
	RET
