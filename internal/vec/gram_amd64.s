//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// The lanes of ⟨a,a⟩ are Y0 to Y3, those of ⟨a,b⟩ Y4 to Y7, those of ⟨b,b⟩ Y8 to Y11. Sixteen
// elements at a time, from R8 and R9, are widened and multiplied. LOAD(SI, R8) and LOAD(DX, R9)
// see to it that these are the next of a and b, as float32; width is that of a stored element, second
// and third are where the second and the third four are.
//
// The products of float32 are exact in float64, also the smallest and the largest, so that a
// fused addition rounds what a separate one would.
#define GRAM(LOAD, width, second, third) \
	MOVQ l+0(FP), DI           \
	MOVQ a+8(FP), SI           \
	MOVQ b+16(FP), DX          \
	MOVQ n+24(FP), CX          \
	LEAQ stored-128(SP), R8    \
	LEAQ stored-64(SP), R9     \
	VMOVUPD 0(DI), Y0 \
	VMOVUPD 32(DI), Y1 \
	VMOVUPD 64(DI), Y2 \
	VMOVUPD 96(DI), Y3 \
	VMOVUPD 128(DI), Y4 \
	VMOVUPD 160(DI), Y5 \
	VMOVUPD 192(DI), Y6 \
	VMOVUPD 224(DI), Y7 \
	VMOVUPD 256(DI), Y8 \
	VMOVUPD 288(DI), Y9 \
	VMOVUPD 320(DI), Y10 \
	VMOVUPD 352(DI), Y11 \
lanes: \
	LOAD(SI, R8) \
	LOAD(DX, R9) \
	LANES(0, Y0, Y4, Y8)       \
	LANES(second, Y1, Y5, Y9)  \
	LANES(third, Y2, Y6, Y10)  \
	LANES(48, Y3, Y7, Y11)     \
	ADDQ $(16*width), SI       \
	ADDQ $(16*width), DX       \
	SUBQ $16, CX               \
	JNZ  lanes                 \
	VMOVUPD Y0, 0(DI) \
	VMOVUPD Y1, 32(DI) \
	VMOVUPD Y2, 64(DI) \
	VMOVUPD Y3, 96(DI) \
	VMOVUPD Y4, 128(DI) \
	VMOVUPD Y5, 160(DI) \
	VMOVUPD Y6, 192(DI) \
	VMOVUPD Y7, 224(DI) \
	VMOVUPD Y8, 256(DI) \
	VMOVUPD Y9, 288(DI) \
	VMOVUPD Y10, 320(DI) \
	VMOVUPD Y11, 352(DI) \
	VZEROUPPER                 \
	RET

#define LANES(at, AA, AB, BB) \
	VCVTPS2PD   at(R8), Y12   \
	VCVTPS2PD   at(R9), Y13   \
	VFMADD231PD Y12, Y12, AA  \
	VFMADD231PD Y12, Y13, AB  \
	VFMADD231PD Y13, Y13, BB

#define IN_PLACE(FROM, TO) \
	MOVQ FROM, TO

// Zeros below a bfloat16 make a float32 of it. Unpacked within halves of a register, the second four
// change places with the third. They go through memory: a conversion from there is less work than
// one from a register.
#define FROM_BF16(FROM, TO) \
	AHEAD((FROM))                  \
	VPXOR      Y13, Y13, Y13       \
	VPUNPCKLWD 0(FROM), Y13, Y14   \
	VPUNPCKHWD 0(FROM), Y13, Y15   \
	VMOVDQU    Y14, 0(TO)          \
	VMOVDQU    Y15, 32(TO)

// func gramAVX2(l *gramLanes, a, b *float32, n int)
TEXT ·gramAVX2(SB), NOSPLIT, $128-32
	GRAM(IN_PLACE, 4, 16, 32)

// func gramBF16AVX2(l *gramLanes, a, b *byte, n int)
TEXT ·gramBF16AVX2(SB), NOSPLIT, $128-32
	GRAM(FROM_BF16, 2, 32, 16)
