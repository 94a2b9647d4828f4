//go:build !noasm

#include "textflag.h"
#include "fill_amd64.h"
#include "groups_amd64.h"

// Every loop: DI is where to write, SI where to read, CX the elements left, a
// multiple of 32. All loads of a pass come before its stores.

#define LOAD_4Y(A, B, C, D) \
	VMOVUPS (SI), A;   \
	VMOVUPS 32(SI), B; \
	VMOVUPS 64(SI), C; \
	VMOVUPS 96(SI), D

#define LOAD_2Z(A, B) \
	VMOVUPS (SI), A;  \
	VMOVUPS 64(SI), B

#define NEXT(elements, width, from) \
	ADDQ $(elements*width), DI; \
	ADDQ $(elements*from), SI;  \
	SUBQ $elements, CX

#define NEAREST 0

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

// In groups, elements are divided by the scale of theirs: R8 is where the scales are, R10 the elements of a group, a multiple of 32, CX those left
// behind the group, DX those left of it.

#define NEXT_OF_GROUP \
	ADDQ $32, DI;  \
	ADDQ $128, SI; \
	SUBQ $32, DX

// func encodeF8E4M3GroupsAVX2(dst *byte, src, scales *float32, n, group int)
TEXT ·encodeF8E4M3GroupsAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ scales+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ group+32(FP), R10
	FILL_Y(E4M3_EIGHT, X7, Y7)
	FILL_Y(E4M3_LOW, X8, Y8)
	FILL_Y(E4M3_SIXTEEN, X9, Y9)
	FILL_Y(E4M3_HALF, X10, Y10)
	FILL_Y(ONES, X11, Y11)
	FILL_Y(MAGNITUDE, X12, Y12)
	FILL_Y(E4M3_NAN_BYTES, X13, Y13)
	FILL_Y(SIGN_BYTES, X14, Y14)

group:
	NEXT_GROUP
	VBROADCASTSS (R8), Y15
	ADDQ         $4, R8

loop:
	LOAD_4Y(Y0, Y1, Y2, Y3)
	VDIVPS Y15, Y0, Y0
	VDIVPS Y15, Y1, Y1
	VDIVPS Y15, Y2, Y2
	VDIVPS Y15, Y3, Y3
	TO_ODD_Y(Y0, Y4)
	TO_ODD_Y(Y1, Y5)
	TO_ODD_Y(Y2, Y6)
	TO_ODD_Y(Y3, Y4)
	DIVIDE_Y(Y0, Y4)
	DIVIDE_Y(Y1, Y5)
	DIVIDE_Y(Y2, Y6)
	DIVIDE_Y(Y3, Y4)
	ENCODE_F8_Y(7)
	NEXT_OF_GROUP
	JNZ    loop
	TESTQ  CX, CX
	JNZ    group
	VZEROUPPER
	RET

// func encodeF8E4M3GroupsAVX512(dst *byte, src, scales *float32, n, group int)
TEXT ·encodeF8E4M3GroupsAVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ scales+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ group+32(FP), R10
	FILL_Z(E4M3_EIGHT, Z7)
	FILL_Z(E4M3_LOW, Z8)
	FILL_Z(E4M3_SIXTEEN, Z9)
	FILL_Z(E4M3_HALF, Z10)
	FILL_Z(ONES, Z11)
	FILL_Z(MAGNITUDE, Z12)
	FILL_Z(E4M3_NAN_WORDS, Z13)
	FILL_Z(SIGN_WORDS, Z14)

group:
	NEXT_GROUP
	VBROADCASTSS (R8), Z15
	ADDQ         $4, R8

loop:
	LOAD_2Z(Z0, Z1)
	VDIVPS Z15, Z0, Z0
	VDIVPS Z15, Z1, Z1
	TO_ODD_Z(Z0, Z2)
	TO_ODD_Z(Z1, Z3)
	DIVIDE_Z(Z0, Z2)
	DIVIDE_Z(Z1, Z3)
	ENCODE_F8_Z(7)
	NEXT_OF_GROUP
	JNZ    loop
	TESTQ  CX, CX
	JNZ    group
	VZEROUPPER
	RET
