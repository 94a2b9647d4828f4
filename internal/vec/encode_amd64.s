//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"

// Every loop: DI is where to write, SI where to read, CX the elements left, a
// multiple of 32. All loads of a pass come before its stores.

#define FILL_Z64(bits, Z) MOVQ $bits, AX; VPBROADCASTQ AX, Z
#define FILL_Y64(bits, X, Y) MOVQ $bits, AX; VMOVQ AX, X; VPBROADCASTQ X, Y

#define LOAD_4Y(A, B, C, D) \
	VMOVUPS (SI), A;   \
	VMOVUPS 32(SI), B; \
	VMOVUPS 64(SI), C; \
	VMOVUPS 96(SI), D

#define STORE_4Y(A, B, C, D) \
	VMOVUPS A, (DI);   \
	VMOVUPS B, 32(DI); \
	VMOVUPS C, 64(DI); \
	VMOVUPS D, 96(DI)

#define LOAD_2Z(A, B) \
	VMOVUPS (SI), A;  \
	VMOVUPS 64(SI), B

#define NEXT(elements, width, from) \
	ADDQ $(elements*width), DI; \
	ADDQ $(elements*from), SI;  \
	SUBQ $elements, CX

// The NaN that is written replaces every other before the conversion.
#define UNORDERED 3
#define NAN32 0x7fc00000
#define NAN64 0x7ff8000000000000

#define ONE_NAN_PS(V, T, NAN) VCMPPS $UNORDERED, V, V, T; VBLENDVPS T, NAN, V, V
#define ONE_NAN_PD(V, T, NAN) VCMPPD $UNORDERED, V, V, T; VBLENDVPD T, NAN, V, V
#define ONE_NAN_K(V, NAN) VCMPPS $UNORDERED, V, V, K1; VMOVAPS NAN, K1, V

// bfloat16 is the leading half of float32, rounded by an integer sum: 0x7fff, and
// 1 more if the last bit that stays is odd. A carry runs on into the exponent, as
// it should, up to infinity.

#define ROUND_BF16_Y(V, T) \
	VPSRLD $16, V, T; \
	VPAND  Y13, T, T; \
	VPADDD Y14, V, V; \
	VPADDD T, V, V

// ENCODE_BF16_Y makes 32 codes of what is at SI: in Y0 and Y2, by way of Y1 … Y7. It
// packs by halves of a register, which leaves its quarters in the order 0, 2, 1, 3.
#define ENCODE_BF16_Y \
	LOAD_4Y(Y0, Y1, Y2, Y3); \
	ONE_NAN_PS(Y0, Y4, Y15); \
	ONE_NAN_PS(Y1, Y5, Y15); \
	ONE_NAN_PS(Y2, Y6, Y15); \
	ONE_NAN_PS(Y3, Y7, Y15); \
	ROUND_BF16_Y(Y0, Y4);    \
	ROUND_BF16_Y(Y1, Y5);    \
	ROUND_BF16_Y(Y2, Y6);    \
	ROUND_BF16_Y(Y3, Y7);    \
	VPSRLD    $16, Y0, Y0;   \
	VPSRLD    $16, Y1, Y1;   \
	VPSRLD    $16, Y2, Y2;   \
	VPSRLD    $16, Y3, Y3;   \
	VPACKUSDW Y1, Y0, Y0;    \
	VPACKUSDW Y3, Y2, Y2;    \
	VPERMQ    $0xd8, Y0, Y0; \
	VPERMQ    $0xd8, Y2, Y2

// func encodeBF16AVX2(dst *byte, src *float32, n int)
TEXT ·encodeBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(1, X13, Y13)
	FILL_Y(0x7fff, X14, Y14)
	FILL_Y(NAN32, X15, Y15)

loop:
	ENCODE_BF16_Y
	VMOVUPS Y0, (DI)
	VMOVUPS Y2, 32(DI)
	NEXT(32, 2, 4)
	JNZ     loop
	VZEROUPPER
	RET

// Without its sign, the largest code says whether all are finite: it is below that of
// infinity. The sign leaves by a shift.
#define INFINITE_BF16 0xff00ff00 // shifted left by one

// func encodeBF16FiniteAVX2(dst *byte, src *float32, n int) (finite bool)
TEXT ·encodeBF16FiniteAVX2(SB), NOSPLIT, $0-25
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	FILL_Y(INFINITE_BF16, X12, Y12)
	FILL_Y(1, X13, Y13)
	FILL_Y(0x7fff, X14, Y14)
	FILL_Y(NAN32, X15, Y15)
	VPXOR Y8, Y8, Y8 // the largest codes so far
	VPXOR Y9, Y9, Y9

loop:
	ENCODE_BF16_Y
	VMOVUPS  Y0, (DI)
	VMOVUPS  Y2, 32(DI)
	VPADDW   Y0, Y0, Y0
	VPADDW   Y2, Y2, Y2
	VPMAXUW  Y0, Y8, Y8
	VPMAXUW  Y2, Y9, Y9
	NEXT(32, 2, 4)
	JNZ      loop
	VPMAXUW  Y9, Y8, Y8
	VPMINUW  Y12, Y8, Y8
	VPCMPEQW Y12, Y8, Y8 // at least infinity
	VPTEST   Y8, Y8
	SETEQ    finite+24(FP)
	VZEROUPPER
	RET

#define ROUND_BF16_Z(V, T) \
	VPSRLD $16, V, T; \
	VPANDD Z13, T, T; \
	VPADDD Z14, V, V; \
	VPADDD T, V, V

// Words of two registers that are woven together, in their order: those of the first are the even ones.
DATA woven<>+0(SB)/8, $0x0006000400020000
DATA woven<>+8(SB)/8, $0x000e000c000a0008
DATA woven<>+16(SB)/8, $0x0016001400120010
DATA woven<>+24(SB)/8, $0x001e001c001a0018
DATA woven<>+32(SB)/8, $0x0007000500030001
DATA woven<>+40(SB)/8, $0x000f000d000b0009
DATA woven<>+48(SB)/8, $0x0017001500130011
DATA woven<>+56(SB)/8, $0x001f001d001b0019
GLOBL woven<>(SB), RODATA|NOPTR, $64

#define BEGIN_BF16_Z \
	MOVQ      dst+0(FP), DI;     \
	MOVQ      src+8(FP), SI;     \
	MOVQ      n+16(FP), CX;      \
	FILL_Z(1, Z13);              \
	FILL_Z(0x7fff, Z14);         \
	FILL_Z(NAN32, Z15);          \
	VMOVDQU64 woven<>(SB), Z12;  \
	MOVL      $0xaaaaaaaa, AX;   \
	KMOVD     AX, K2

// ENCODE_BF16_Z makes 32 codes of what is at SI, in Z0.
#define ENCODE_BF16_Z \
	LOAD_2Z(Z0, Z1);          \
	ONE_NAN_K(Z0, Z15);       \
	ONE_NAN_K(Z1, Z15);       \
	ROUND_BF16_Z(Z0, Z2);     \
	ROUND_BF16_Z(Z1, Z3);     \
	VPSRLD    $16, Z0, Z0;    \
	VMOVDQU16 Z1, K2, Z0;     \
	VPERMW    Z0, Z12, Z0

// func encodeBF16AVX512(dst *byte, src *float32, n int)
TEXT ·encodeBF16AVX512(SB), NOSPLIT, $0-24
	BEGIN_BF16_Z

loop:
	ENCODE_BF16_Z
	VMOVDQU64 Z0, (DI)
	NEXT(32, 2, 4)
	JNZ       loop
	VZEROUPPER
	RET

// func encodeBF16FiniteAVX512(dst *byte, src *float32, n int) (finite bool)
TEXT ·encodeBF16FiniteAVX512(SB), NOSPLIT, $0-25
	BEGIN_BF16_Z
	FILL_Z(INFINITE_BF16, Z11)
	VPXORQ Z10, Z10, Z10 // the largest codes so far

loop:
	ENCODE_BF16_Z
	VMOVDQU64 Z0, (DI)
	VPADDW    Z0, Z0, Z0
	VPMAXUW   Z0, Z10, Z10
	NEXT(32, 2, 4)
	JNZ       loop
	VPCMPUW   $5, Z11, Z10, K1 // at least infinity
	KORTESTD  K1, K1
	SETEQ     finite+24(FP)
	VZEROUPPER
	RET

// binary16 has an instruction, which heeds no flush-to-zero flag.
#define NEAREST 0

// func encodeF16AVX2(dst *byte, src *float32, n int)
TEXT ·encodeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(NAN32, X15, Y15)

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	ONE_NAN_PS(Y0, Y4, Y15)
	ONE_NAN_PS(Y1, Y5, Y15)
	ONE_NAN_PS(Y2, Y6, Y15)
	ONE_NAN_PS(Y3, Y7, Y15)
	VCVTPS2PH $NEAREST, Y0, (DI)
	VCVTPS2PH $NEAREST, Y1, 16(DI)
	VCVTPS2PH $NEAREST, Y2, 32(DI)
	VCVTPS2PH $NEAREST, Y3, 48(DI)
	NEXT(32, 2, 4)
	JNZ       loop
	VZEROUPPER
	RET

// func encodeF16AVX512(dst *byte, src *float32, n int)
TEXT ·encodeF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Z(NAN32, Z15)

loop:
	LOAD_2Z(Z0, Z1)
	ONE_NAN_K(Z0, Z15)
	ONE_NAN_K(Z1, Z15)
	VCVTPS2PH $NEAREST, Z0, (DI)
	VCVTPS2PH $NEAREST, Z1, 32(DI)
	NEXT(32, 2, 4)
	JNZ       loop
	VZEROUPPER
	RET

// func encodeF32AVX2(dst *byte, src *float32, n int)
TEXT ·encodeF32AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(NAN32, X15, Y15)

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	ONE_NAN_PS(Y0, Y4, Y15)
	ONE_NAN_PS(Y1, Y5, Y15)
	ONE_NAN_PS(Y2, Y6, Y15)
	ONE_NAN_PS(Y3, Y7, Y15)
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(32, 4, 4)
	JNZ loop
	VZEROUPPER
	RET

// func encodeF32From64AVX2(dst *byte, src *float64, n int)
TEXT ·encodeF32From64AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(NAN32, X15, Y15)

loop:
	VCVTPD2PSY (SI), X0
	VCVTPD2PSY 32(SI), X1
	VCVTPD2PSY 64(SI), X2
	VCVTPD2PSY 96(SI), X3
	ONE_NAN_PS(X0, X4, X15)
	ONE_NAN_PS(X1, X5, X15)
	ONE_NAN_PS(X2, X6, X15)
	ONE_NAN_PS(X3, X7, X15)
	VMOVUPS    X0, (DI)
	VMOVUPS    X1, 16(DI)
	VMOVUPS    X2, 32(DI)
	VMOVUPS    X3, 48(DI)
	NEXT(16, 4, 8)
	JNZ        loop
	VZEROUPPER
	RET

// func encodeF32From64AVX512(dst *byte, src *float64, n int)
TEXT ·encodeF32From64AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(NAN32, X15, Y15)

loop:
	VCVTPD2PS (SI), Y0
	VCVTPD2PS 64(SI), Y1
	ONE_NAN_K(Y0, Y15)
	ONE_NAN_K(Y1, Y15)
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	NEXT(16, 4, 8)
	JNZ       loop
	VZEROUPPER
	RET

// func encodeF64AVX2(dst *byte, src *float64, n int)
TEXT ·encodeF64AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y64(NAN64, X15, Y15)

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	ONE_NAN_PD(Y0, Y4, Y15)
	ONE_NAN_PD(Y1, Y5, Y15)
	ONE_NAN_PD(Y2, Y6, Y15)
	ONE_NAN_PD(Y3, Y7, Y15)
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(16, 8, 8)
	JNZ loop
	VZEROUPPER
	RET

// func encodeF64From32AVX2(dst *byte, src *float32, n int)
TEXT ·encodeF64From32AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(NAN32, X15, Y15)

loop:
	VMOVUPS   (SI), X0
	VMOVUPS   16(SI), X1
	VMOVUPS   32(SI), X2
	VMOVUPS   48(SI), X3
	ONE_NAN_PS(X0, X4, X15)
	ONE_NAN_PS(X1, X5, X15)
	ONE_NAN_PS(X2, X6, X15)
	ONE_NAN_PS(X3, X7, X15)
	VCVTPS2PD X0, Y0
	VCVTPS2PD X1, Y1
	VCVTPS2PD X2, Y2
	VCVTPS2PD X3, Y3
	STORE_4Y(Y0, Y1, Y2, Y3)
	NEXT(16, 8, 4)
	JNZ       loop
	VZEROUPPER
	RET

// narrowOdd is the way from float64 to the narrow formats: rounded to odd with 12
// bits behind the point, two more than binary16, which has the most of them.
// float32 holds that exactly, or it is below 2^-137, where all of them make it 0,
// or it overflows all.
#define NARROW_LOW 0xffffffffff // of 52 bits 12 stay

#define TO_ODD_PD_Y(V, T) \
	VPAND  Y15, V, T; \
	VPADDQ Y15, T, T; \
	VPOR   T, V, V;   \
	VPANDN V, Y15, V

// func narrowOddAVX2(dst *float32, src *float64, n int)
TEXT ·narrowOddAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y64(NARROW_LOW, X15, Y15)

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	TO_ODD_PD_Y(Y0, Y4)
	TO_ODD_PD_Y(Y1, Y5)
	TO_ODD_PD_Y(Y2, Y6)
	TO_ODD_PD_Y(Y3, Y7)
	VCVTPD2PSY Y0, X0
	VCVTPD2PSY Y1, X1
	VCVTPD2PSY Y2, X2
	VCVTPD2PSY Y3, X3
	VMOVUPS    X0, (DI)
	VMOVUPS    X1, 16(DI)
	VMOVUPS    X2, 32(DI)
	VMOVUPS    X3, 48(DI)
	NEXT(16, 4, 8)
	JNZ        loop
	VZEROUPPER
	RET

#define TO_ODD_PD_Z(V, T) \
	VPANDQ     Z15, V, T;       \
	VPADDQ     Z15, T, T;       \
	VPTERNLOGQ $0x54, Z15, T, V

// func narrowOddAVX512(dst *float32, src *float64, n int)
TEXT ·narrowOddAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Z64(NARROW_LOW, Z15)

loop:
	LOAD_2Z(Z0, Z1)
	TO_ODD_PD_Z(Z0, Z2)
	TO_ODD_PD_Z(Z1, Z3)
	VCVTPD2PS Z0, Y0
	VCVTPD2PS Z1, Y1
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	NEXT(16, 4, 8)
	JNZ       loop
	VZEROUPPER
	RET
