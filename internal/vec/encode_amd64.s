//go:build !noasm

#include "textflag.h"

// Every loop: DI is where to write, SI where to read, CX the elements left, a
// multiple of 32. All loads of a pass come before its stores.

// FILL_Y sets each 32 bits of a register, given by its two names; FILL_Z as well.
#define FILL_Y(bits, X, Y) MOVL $bits, AX; VMOVD AX, X; VPBROADCASTD X, Y
#define FILL_Z(bits, Z) MOVL $bits, AX; VPBROADCASTD AX, Z
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
	VPADDD T, V, V;   \
	VPSRLD $16, V, V

// func encodeBF16AVX512(dst *byte, src *float32, n int)
TEXT ·encodeBF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Z(1, Z13)
	FILL_Z(0x7fff, Z14)
	FILL_Z(NAN32, Z15)

loop:
	LOAD_2Z(Z0, Z1)
	ONE_NAN_K(Z0, Z15)
	ONE_NAN_K(Z1, Z15)
	ROUND_BF16_Z(Z0, Z2)
	ROUND_BF16_Z(Z1, Z3)
	VPMOVDW Z0, (DI)
	VPMOVDW Z1, 32(DI)
	NEXT(32, 2, 4)
	JNZ     loop
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

// The 8-bit formats are reached by way of binary16, whose denormals reach far
// enough down for both, E4M3 divided by 2^8 (see its decoder).
//
// To round twice is right if the first time is to odd: trailing bits that are not
// all 0 leave a 1 in the last place that stays. With two places more than the
// format has, such a value lies on the same side of every tie as before, and is
// itself no tie. binary16 holds it exactly, or else it is so small that the
// format makes it 0, or so large that it overflows.
//
// The second time, in 16-bit integers, is that of bfloat16. What comes out above
// the format's largest code, be it a NaN or, in E4M3, an overflow, becomes the NaN,
// which has no sign.
//
// Registers 7 … 14 hold, in each element,
//	7   8 in the place of float32's exponent, for E4M3
//	8   the trailing bits of float32 that go first
//	9   the bits of an exponent of 16 or more, for E4M3
//	10  one less than half of the last place in binary16
//	11  1
//	12  the bits of the magnitude in binary16
//	13  the NaN, in bytes with AVX2, in 16 bits with AVX-512
//	14  the sign in the code, likewise
#define E4M3_LOW 0x3ffff // of 23 bits 5 stay
#define E5M2_LOW 0x7ffff // of 23 bits 4 stay
#define E4M3_EIGHT 0x04000000
#define E4M3_SIXTEEN 0x78000000
#define E4M3_HALF 0x003f003f
#define E5M2_HALF 0x007f007f
#define ONES 0x00010001
#define MAGNITUDE 0x7fff7fff
#define E4M3_NAN_BYTES 0x7f7f7f7f
#define E5M2_NAN_BYTES 0x7e7e7e7e
#define SIGN_BYTES 0x80808080
#define E4M3_NAN_WORDS 0x007f007f
#define E5M2_NAN_WORDS 0x007e007e
#define SIGN_WORDS 0x00800080

// TO_ODD rounds V to odd: the bits that go, plus as many ones, carry into the last
// that stays unless they are 0.
#define TO_ODD_Y(V, T) \
	VPAND  Y8, V, T; \
	VPADDD Y8, T, T; \
	VPOR   T, V, V;  \
	VPANDN V, Y8, V

// The ternary function is (V | T) &^ Z8.
#define TO_ODD_Z(V, T) \
	VPANDD     Z8, V, T;       \
	VPADDD     Z8, T, T;       \
	VPTERNLOGD $0x54, Z8, T, V

// DIVIDE divides V by 2^8 by taking 8 from exponents of 16 or more, which are those
// with a bit in Y9. Those below are of values that become 0 as they are. A
// product would be slow at denormals. Infinity and NaN become finite, and overflow.
#define DIVIDE_Y(V, T) \
	VPAND   Y9, V, T; \
	VPMINUD Y7, T, T; \
	VPSUBD  T, V, V

#define DIVIDE_Z(V, T) \
	VPANDD  Z9, V, T; \
	VPMINUD Z7, T, T; \
	VPSUBD  T, V, V

// ROUND_WORDS drops the bits below place of V's magnitudes.
#define ROUND_WORDS(V, T, place) \
	VPAND  Y12, V, V;    \
	VPSRLW $place, V, T; \
	VPAND  Y11, T, T;    \
	VPADDW Y10, V, V;    \
	VPADDW T, V, V;      \
	VPSRLW $place, V, V

// ENCODE_F8_Y packs by halves of a register: of elements 0 … 7 and 16 … 23 in one
// and the others in another, it makes one in order. Packed with saturation, words
// of binary16 keep their signs, here in Y4.
#define ENCODE_F8_Y(place) \
	VCVTPS2PH   $NEAREST, Y0, X0; \
	VCVTPS2PH   $NEAREST, Y1, X1; \
	VCVTPS2PH   $NEAREST, Y2, X2; \
	VCVTPS2PH   $NEAREST, Y3, X3; \
	VINSERTI128 $1, X2, Y0, Y0;   \
	VINSERTI128 $1, X3, Y1, Y1;   \
	VPACKSSWB   Y1, Y0, Y4;       \
	ROUND_WORDS(Y0, Y5, place);   \
	ROUND_WORDS(Y1, Y6, place);   \
	VPACKUSWB   Y1, Y0, Y0;       \
	VPMINUB     Y13, Y0, Y0;      \
	VPCMPEQB    Y13, Y0, Y1;      \
	VPAND       Y14, Y4, Y4;      \
	VPANDN      Y4, Y1, Y4;       \
	VPOR        Y4, Y0, Y0;       \
	VMOVDQU     Y0, (DI)

#define BELOW 1

// ENCODE_F8_Z keeps the sign by a mask, K1. The ternary function is Z1 | Z0 & Z14.
#define ENCODE_F8_Z(place) \
	VCVTPS2PH    $NEAREST, Z0, Y0;    \
	VCVTPS2PH    $NEAREST, Z1, Y1;    \
	VINSERTI64X4 $1, Y1, Z0, Z0;      \
	VPANDD       Z12, Z0, Z1;         \
	VPSRLW       $place, Z1, Z2;      \
	VPANDD       Z11, Z2, Z2;         \
	VPADDW       Z10, Z1, Z1;         \
	VPADDW       Z2, Z1, Z1;          \
	VPSRLW       $place, Z1, Z1;      \
	VPMINUW      Z13, Z1, Z1;         \
	VPCMPUW      $BELOW, Z13, Z1, K1; \
	VPSRLW.Z     $8, Z0, K1, Z0;      \
	VPTERNLOGD   $0xf8, Z14, Z0, Z1;  \
	VPMOVWB      Z1, (DI)

// func encodeF8E4M3AVX2(dst *byte, src *float32, n int)
TEXT ·encodeF8E4M3AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(E4M3_EIGHT, X7, Y7)
	FILL_Y(E4M3_LOW, X8, Y8)
	FILL_Y(E4M3_SIXTEEN, X9, Y9)
	FILL_Y(E4M3_HALF, X10, Y10)
	FILL_Y(ONES, X11, Y11)
	FILL_Y(MAGNITUDE, X12, Y12)
	FILL_Y(E4M3_NAN_BYTES, X13, Y13)
	FILL_Y(SIGN_BYTES, X14, Y14)

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	TO_ODD_Y(Y0, Y4)
	TO_ODD_Y(Y1, Y5)
	TO_ODD_Y(Y2, Y6)
	TO_ODD_Y(Y3, Y4)
	DIVIDE_Y(Y0, Y4)
	DIVIDE_Y(Y1, Y5)
	DIVIDE_Y(Y2, Y6)
	DIVIDE_Y(Y3, Y4)
	ENCODE_F8_Y(7)
	NEXT(32, 1, 4)
	JNZ loop
	VZEROUPPER
	RET

// func encodeF8E5M2AVX2(dst *byte, src *float32, n int)
TEXT ·encodeF8E5M2AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Y(E5M2_LOW, X8, Y8)
	FILL_Y(E5M2_HALF, X10, Y10)
	FILL_Y(ONES, X11, Y11)
	FILL_Y(MAGNITUDE, X12, Y12)
	FILL_Y(E5M2_NAN_BYTES, X13, Y13)
	FILL_Y(SIGN_BYTES, X14, Y14)

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	TO_ODD_Y(Y0, Y4)
	TO_ODD_Y(Y1, Y5)
	TO_ODD_Y(Y2, Y6)
	TO_ODD_Y(Y3, Y4)
	ENCODE_F8_Y(8)
	NEXT(32, 1, 4)
	JNZ loop
	VZEROUPPER
	RET

// func encodeF8E4M3AVX512(dst *byte, src *float32, n int)
TEXT ·encodeF8E4M3AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Z(E4M3_EIGHT, Z7)
	FILL_Z(E4M3_LOW, Z8)
	FILL_Z(E4M3_SIXTEEN, Z9)
	FILL_Z(E4M3_HALF, Z10)
	FILL_Z(ONES, Z11)
	FILL_Z(MAGNITUDE, Z12)
	FILL_Z(E4M3_NAN_WORDS, Z13)
	FILL_Z(SIGN_WORDS, Z14)

loop:
	LOAD_2Z(Z0, Z1)
	TO_ODD_Z(Z0, Z2)
	TO_ODD_Z(Z1, Z3)
	DIVIDE_Z(Z0, Z2)
	DIVIDE_Z(Z1, Z3)
	ENCODE_F8_Z(7)
	NEXT(32, 1, 4)
	JNZ loop
	VZEROUPPER
	RET

// func encodeF8E5M2AVX512(dst *byte, src *float32, n int)
TEXT ·encodeF8E5M2AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	FILL_Z(E5M2_LOW, Z8)
	FILL_Z(E5M2_HALF, Z10)
	FILL_Z(ONES, Z11)
	FILL_Z(MAGNITUDE, Z12)
	FILL_Z(E5M2_NAN_WORDS, Z13)
	FILL_Z(SIGN_WORDS, Z14)

loop:
	LOAD_2Z(Z0, Z1)
	TO_ODD_Z(Z0, Z2)
	TO_ODD_Z(Z1, Z3)
	ENCODE_F8_Z(8)
	NEXT(32, 1, 4)
	JNZ loop
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
