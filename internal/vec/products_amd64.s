//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// All functions here have one shape: 32 elements at a time of dst at DI, delta at R9 and wide at R10, which are float32, and of x at SI, base at DX
// and a at R8, which are bfloat16. BX is the offset of an element of the latter in bytes. A kernel is a macro that does one vector,
//
//	KERNEL(half, at, A, B, M)
//
// the one at byte half of bfloat16, at of float32. A, B and the mask M are its own; M is a vector in AVX2, a K register in AVX-512.
// Y15 has the bits of a magnitude, Y13 the largest bits of a product in each lane: those of an infinity or of a NaN are at least those in Y14.

#define ARGUMENTS \
	MOVQ dst+0(FP), DI    \
	MOVQ delta+8(FP), R9  \
	MOVQ wide+16(FP), R10 \
	MOVQ x+24(FP), SI     \
	MOVQ base+32(FP), DX  \
	MOVQ a+40(FP), R8     \
	MOVQ n+48(FP), CX     \
	XORQ BX, BX

#define NEXT \
	ADDQ $64, BX \
	SUBQ $32, CX

DATA magnitude<>+0(SB)/4, $0x7fffffff // all bits but the sign
GLOBL magnitude<>(SB), RODATA|NOPTR, $4

DATA infinity<>+0(SB)/4, $0x7f800000
GLOBL infinity<>(SB), RODATA|NOPTR, $4

#define YMM(KERNEL, SOON) \
	ARGUMENTS                        \
	VBROADCASTSS magnitude<>(SB), Y15 \
	VBROADCASTSS infinity<>(SB), Y14 \
	VXORPS       Y13, Y13, Y13       \
block: \
	SOON                             \
	KERNEL(0, 0, Y0, Y1, Y2)         \
	KERNEL(16, 32, Y3, Y4, Y5)       \
	KERNEL(32, 64, Y6, Y7, Y8)       \
	KERNEL(48, 96, Y9, Y10, Y11)     \
	NEXT                             \
	JNZ          block               \
	VPCMPGTD     Y13, Y14, Y13       \
	VMOVMSKPS    Y13, AX             \
	CMPL         AX, $0xff           \
	SETEQ        finite+56(FP)       \
	VZEROUPPER                       \
	RET

// Predicates of VPCMPUD.
#define LESS $1

#define ZMM(KERNEL, SOON) \
	ARGUMENTS                        \
	VBROADCASTSS magnitude<>(SB), Z15 \
	VBROADCASTSS infinity<>(SB), Z14 \
	VXORPS       Z13, Z13, Z13       \
block: \
	SOON                             \
	KERNEL(0, 0, Z0, Z1, K1)         \
	KERNEL(32, 64, Z2, Z3, K2)       \
	NEXT                             \
	JNZ          block               \
	VPCMPUD      LESS, Z14, Z13, K1  \
	KORTESTW     K1, K1              \
	SETCS        finite+56(FP)       \
	VZEROUPPER                       \
	RET

// PRODUCT_Y and PRODUCT_Z store the magnitude of a product, which is the product of the magnitudes.
#define PRODUCT_Y(at, A) \
	VANDPS  Y15, A, A          \
	VPMAXSD A, Y13, Y13        \
	VMOVUPS A, at(DI)(BX*2)

#define PRODUCT_Z(at, A) \
	VANDPS  Z15, A, A          \
	VPMAXSD A, Z13, Z13        \
	VMOVUPS A, at(DI)(BX*2)

#define AHEAD_XA \
	AHEAD((SI)(BX*1)) \
	AHEAD((R8)(BX*1))

#define MULABS(half, A, B) \
	DECODE(half(SI)(BX*1), A) \
	DECODE(half(R8)(BX*1), B) \
	VMULPS B, A, A

#define MULABS_Y(half, at, A, B, M) \
	MULABS(half, A, B) \
	PRODUCT_Y(at, A)

#define MULABS_Z(half, at, A, B, M) \
	MULABS(half, A, B) \
	PRODUCT_Z(at, A)

// func mulAbsBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·mulAbsBF16AVX2(SB), NOSPLIT, $0-57
	YMM(MULABS_Y, AHEAD_XA)

// func mulAbsBF16AVX512(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·mulAbsBF16AVX512(SB), NOSPLIT, $0-57
	ZMM(MULABS_Z, AHEAD_XA)

#define AHEAD_A \
	AHEAD((R8)(BX*1))

#define MULABSBY_Y(half, at, A, B, M) \
	DECODE(half(R8)(BX*1), A)   \
	VMULPS at(R10)(BX*2), A, A   \
	PRODUCT_Y(at, A)

// func mulAbsByBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·mulAbsByBF16AVX2(SB), NOSPLIT, $0-57
	YMM(MULABSBY_Y, AHEAD_A)

#define AHEAD_XBA \
	AHEAD((SI)(BX*1)) \
	AHEAD((DX)(BX*1)) \
	AHEAD((R8)(BX*1))

// TIMES_A multiplies by what is decoded into B.
#define TIMES_A(half, A, B) \
	DECODE(half(R8)(BX*1), B) \
	VMULPS B, A, A

#define MULABSDELTA_Y(half, at, A, B, M) \
	DECODE(half(SI)(BX*1), A) \
	DECODE(half(DX)(BX*1), B) \
	DIFFERENCE(A, B, M)       \
	TIMES_A(half, A, B)       \
	PRODUCT_Y(at, A)

#define MULABSDELTA_Z(half, at, A, B, M) \
	DECODE(half(SI)(BX*1), A) \
	DECODE(half(DX)(BX*1), B) \
	DIFFERENCEMASKED(A, B, M) \
	TIMES_A(half, A, B)       \
	PRODUCT_Z(at, A)

// func mulAbsDeltaBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·mulAbsDeltaBF16AVX2(SB), NOSPLIT, $0-57
	YMM(MULABSDELTA_Y, AHEAD_XBA)

// func mulAbsDeltaBF16AVX512(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·mulAbsDeltaBF16AVX512(SB), NOSPLIT, $0-57
	ZMM(MULABSDELTA_Z, AHEAD_XBA)

#define DELTAMULABS_Y(half, at, A, B, M) \
	DECODE(half(SI)(BX*1), A)     \
	VMOVUPS at(R10)(BX*2), B      \
	DIFFERENCE(A, B, M)           \
	VMOVUPS A, at(R9)(BX*2)       \
	TIMES_A(half, A, B)           \
	PRODUCT_Y(at, A)

#define DELTAMULABS_Z(half, at, A, B, M) \
	DECODE(half(SI)(BX*1), A)     \
	VMOVUPS at(R10)(BX*2), B      \
	DIFFERENCEMASKED(A, B, M)     \
	VMOVUPS A, at(R9)(BX*2)       \
	TIMES_A(half, A, B)           \
	PRODUCT_Z(at, A)

// func deltaMulAbsBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·deltaMulAbsBF16AVX2(SB), NOSPLIT, $0-57
	YMM(DELTAMULABS_Y, AHEAD_XA)

// func deltaMulAbsBF16AVX512(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
TEXT ·deltaMulAbsBF16AVX512(SB), NOSPLIT, $0-57
	ZMM(DELTAMULABS_Z, AHEAD_XA)
