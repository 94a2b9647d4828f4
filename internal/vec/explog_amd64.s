//go:build !noasm

#include "textflag.h"

// Four elements at a time, as ExpDown and logNormal of the reference have them: the same operations in
// the same order, each rounded by itself.

// EACH is a constant for each element.
#define EACH(name, bits) \
	DATA  name<>+0(SB)/8, $bits  \
	DATA  name<>+8(SB)/8, $bits  \
	DATA  name<>+16(SB)/8, $bits \
	DATA  name<>+24(SB)/8, $bits \
	GLOBL name<>(SB), RODATA|NOPTR, $32

EACH(log2e, 0x3ff71547652b82fe) // log₂ e
EACH(half, 0x3fe0000000000000) // 0.5
EACH(one, 0x3ff0000000000000) // 1
EACH(two, 0x4000000000000000) // 2
EACH(lowest, 0xc086200000000000) // −708
EACH(ln2Hi, 0x3fe62e42fee00000)
EACH(ln2Lo, 0x3dea39ef35793c76)
EACH(p1, 0x3fc5555555555555)
EACH(p2, 0xbf66c16c16bebd93)
EACH(p3, 0x3f11566aaf25de2c)
EACH(p4, 0xbebbbd41c5d26bf1)
EACH(p5, 0x3e66376972bea4d0)
EACH(l1, 0x3fe5555555555593)
EACH(l2, 0x3fd999999997fa04)
EACH(l3, 0x3fd2492494229359)
EACH(l4, 0x3fcc71c51d8e78af)
EACH(l5, 0x3fc7466496cb03de)
EACH(l6, 0x3fc39a09d078c69f)
EACH(l7, 0x3fc2f112df3e4431)
EACH(bias, 0x00000000000003ff) // 1023
EACH(biased, 0x3ff0000000000000) // 1023, where an exponent is
EACH(split, 0x00095f619980c433) // that, less the bits of √2/2
EACH(integer, 0x4330000000000000) // 2⁵²: integers below, put into its significand, are added to it
EACH(offset, 0x43300000000003ff) // 2⁵² + 1023

// The predicate of VCMPPD.
#define LESS $17

// POLYNOMIAL computes SUM = SUM·X + C.
#define POLYNOMIAL(SUM, X, C) \
	VMULPD X, SUM, SUM   \
	VADDPD C<>(SB), SUM, SUM

// Two chains of dependent operations run beside each other, a few steps of one and the same of the other:
// the processor does not look far enough ahead to find the next elements itself.

// Of an exponential: X is x, E the power of two in whose lower half XE is, HI and LO are as in the reference.
// Against a NaN, VMAXPD takes what Go writes first.
#define SCALE(at, X, E, XE, HI, T) \
	VCVTPS2PD   at(SI), X           \
	VSUBPD      Y13, X, X           \
	VCMPPD      LESS, Y12, X, T     \
	VMAXPD      X, Y12, X           \
	VMULPD      log2e<>(SB), X, E   \
	VSUBPD      half<>(SB), E, E    \
	VCVTTPD2DQY E, XE               \
	VCVTDQ2PD   XE, HI              \
	VPMOVSXDQ   XE, E               \
	VPADDQ      bias<>(SB), E, E    \
	VPSLLQ      $52, E, E           \
	VANDNPD     E, T, E

// X becomes r, T its square.
#define REDUCE(X, HI, LO, T, C) \
	VMULPD ln2Lo<>(SB), HI, LO \
	VMULPD ln2Hi<>(SB), HI, HI \
	VSUBPD HI, X, HI           \
	VSUBPD LO, HI, X           \
	VMULPD X, X, T             \
	VMULPD p5<>(SB), T, C      \
	VADDPD p4<>(SB), C, C

#define SERIES(T, C) \
	POLYNOMIAL(C, T, p3) \
	POLYNOMIAL(C, T, p2) \
	POLYNOMIAL(C, T, p1) \
	VMULPD T, C, C

#define QUOTIENT(X, C) \
	VSUBPD C, X, C   \
	VMULPD C, X, X   \
	VSUBPD C, Y14, C \
	VDIVPD C, X, X

#define FINISH(at, X, E, HI, LO) \
	VSUBPD  X, LO, X  \
	VSUBPD  HI, X, X  \
	VSUBPD  X, Y15, X \
	VMULPD  E, X, X   \
	VMOVUPD X, at(DI)

// func exponentialsAVX2(dst *float64, x *float32, n int, shift float64)
TEXT ·exponentialsAVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VMOVUPD      lowest<>(SB), Y12
	VBROADCASTSD shift+24(FP), Y13
	VMOVUPD      two<>(SB), Y14
	VMOVUPD      one<>(SB), Y15

eight:
	SCALE(0, Y0, Y1, X1, Y2, Y4)
	SCALE(16, Y6, Y7, X7, Y8, Y10)
	REDUCE(Y0, Y2, Y3, Y4, Y5)
	REDUCE(Y6, Y8, Y9, Y10, Y11)
	SERIES(Y4, Y5)
	SERIES(Y10, Y11)
	QUOTIENT(Y0, Y5)
	QUOTIENT(Y6, Y11)
	FINISH(0, Y0, Y1, Y2, Y3)
	FINISH(32, Y6, Y7, Y8, Y9)
	ADDQ $32, SI
	ADDQ $64, DI
	SUBQ $8, CX
	JNZ  eight
	VZEROUPPER
	RET

// Of a term: X is x, F its quotient with y, and then what that is away from a power of two, K the
// exponent of that.
#define RATIO(at, X, F, TOP, TOQ) \
	VBROADCASTSD TOP, X  \
	VBROADCASTSD TOQ, F  \
	VMULPD at(SI), X, X  \
	VMULPD at(DX), F, F  \
	VADDPD Y14, X, X     \
	VADDPD Y14, F, F     \
	VDIVPD F, X, F

// A difference from itself that is not 0 makes a NaN of F.
#define DIVIDE(F, K, S, T) \
	VSUBPD F, F, T             \
	VPADDQ split<>(SB), F, K   \
	VPSRLQ $52, K, K           \
	VPSLLQ $52, K, S           \
	VPSUBQ S, F, F             \
	VPADDQ biased<>(SB), F, F  \
	VSUBPD Y15, F, F           \
	VADDPD T, F, F             \
	VPOR   integer<>(SB), K, K \
	VSUBPD offset<>(SB), K, K  \
	VADDPD two<>(SB), F, S     \
	VDIVPD S, F, S

// T becomes the odd terms, by Z, which becomes the even ones, by W.
#define TERMS(S, Z, W, T) \
	VMULPD S, S, Z        \
	VMULPD Z, Z, W        \
	VMULPD l7<>(SB), W, T \
	VADDPD l5<>(SB), T, T \
	POLYNOMIAL(T, W, l3)  \
	POLYNOMIAL(T, W, l1)  \
	VMULPD T, Z, T        \
	VMULPD l6<>(SB), W, Z \
	VADDPD l4<>(SB), Z, Z \
	POLYNOMIAL(Z, W, l2)  \
	VMULPD Z, W, Z

#define LOGARITHM(at, X, F, K, S, Z, T) \
	VADDPD  Z, T, T            \
	VMULPD  half<>(SB), F, Z   \
	VMULPD  F, Z, Z            \
	VADDPD  T, Z, T            \
	VMULPD  T, S, T            \
	VMULPD  ln2Lo<>(SB), K, S  \
	VADDPD  S, T, T            \
	VSUBPD  T, Z, Z            \
	VSUBPD  F, Z, Z            \
	VMULPD  ln2Hi<>(SB), K, K  \
	VSUBPD  Z, K, K            \
	VMULPD  K, X, X            \
	VMOVUPD X, at(DI)

// func entropyTermsAVX2(dst, p, q *float64, n int, toP, toQ, least float64)
TEXT ·entropyTermsAVX2(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         p+8(FP), SI
	MOVQ         q+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSD least+48(FP), Y14
	VMOVUPD      one<>(SB), Y15

eight:
	RATIO(0, Y0, Y1, toP+32(FP), toQ+40(FP))
	RATIO(32, Y7, Y8, toP+32(FP), toQ+40(FP))
	DIVIDE(Y1, Y2, Y3, Y6)
	DIVIDE(Y8, Y9, Y10, Y13)
	TERMS(Y3, Y4, Y5, Y6)
	TERMS(Y10, Y11, Y12, Y13)
	LOGARITHM(0, Y0, Y1, Y2, Y3, Y4, Y6)
	LOGARITHM(32, Y7, Y8, Y9, Y10, Y11, Y13)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $8, CX
	JNZ  eight
	VZEROUPPER
	RET
