//go:build !noasm

#include "textflag.h"

// Philox works on eight counters at a time, the even ones in registers A and the odd ones in
// registers B. Each word of each counter has 64 bits to itself, because that is what
// VPMULUDQ multiplies: the lower half is the word, the upper half is whatever it is. So
// a product is the low word as it stands, and the high word when it is shifted.
//
// The words are Y0 to Y3 of A, Y4 to Y7 of B. Products take Y8 to Y11. Y12 and Y13 are the
// counters, Y14 and Y15 the multipliers; R8 points to the keys of the rounds.

DATA even<>+0(SB)/8, $0
DATA even<>+8(SB)/8, $2
DATA even<>+16(SB)/8, $4
DATA even<>+24(SB)/8, $6
GLOBL even<>(SB), RODATA|NOPTR, $32

DATA one<>+0(SB)/8, $1
DATA one<>+8(SB)/8, $1
DATA one<>+16(SB)/8, $1
DATA one<>+24(SB)/8, $1
GLOBL one<>(SB), RODATA|NOPTR, $32

DATA eight<>+0(SB)/8, $8
DATA eight<>+8(SB)/8, $8
DATA eight<>+16(SB)/8, $8
DATA eight<>+24(SB)/8, $8
GLOBL eight<>(SB), RODATA|NOPTR, $32

#define M0 $0xd2511f53
#define M1 $0xcd9e8d57

#define BEGIN \
	MOVQ         keys+8(FP), R8     \
	MOVL         M0, AX             \
	VMOVD        AX, X14            \
	VPBROADCASTQ X14, Y14           \
	MOVL         M1, AX             \
	VMOVD        AX, X15            \
	VPBROADCASTQ X15, Y15           \
	VPBROADCASTQ counter+16(FP), Y12 \
	VPADDQ       even<>(SB), Y12, Y12 \
	VPADDQ       one<>(SB), Y12, Y13

// FIRST is the first round, with the words 2 and 3 still 0. Words 0 to 3 come out in
// C0, none (it is 0), C2 and P0.
#define FIRST(N, C0, C2, P0) \
	VPMULUDQ N, Y14, P0         \
	VPSRLQ   $32, N, C0         \
	VPXOR    0(R8), C0, C0      \
	VPSRLQ   $32, P0, C2        \
	VPXOR    32(R8), C2, C2

// SECOND is the second, with word 1 still 0.
#define SECOND(C0, C2, C3, P0, P1) \
	VPMULUDQ C0, Y14, P0        \
	VPMULUDQ C2, Y15, P1        \
	VPXOR    96(R8), C3, C3     \
	VPSRLQ   $32, P1, C0        \
	VPXOR    64(R8), C0, C0     \
	VPSRLQ   $32, P0, C2        \
	VPXOR    C3, C2, C2

// ROUND is one of the others. The products are the new words 1 and 3, so the registers of these
// change places with those of the products from round to round.
#define ROUND(key, C0, C1, C2, C3, P0, P1) \
	VPMULUDQ C0, Y14, P0        \
	VPMULUDQ C2, Y15, P1        \
	VPXOR    key(R8), C1, C1    \
	VPXOR    key+32(R8), C3, C3 \
	VPSRLQ   $32, P1, C0        \
	VPSRLQ   $32, P0, C2        \
	VPXOR    C1, C0, C0         \
	VPXOR    C3, C2, C2

// JOIN puts a word of eight counters into one register: C has that of A, D of B.
#define JOIN(C, D) \
	VPSLLQ   $32, D, D      \
	VPBLENDD $0xaa, D, C, C

// WORDS draws the words of eight counters, and moves on.
#define WORDS \
	FIRST(Y12, Y0, Y2, Y3)                    \
	FIRST(Y13, Y4, Y6, Y7)                    \
	SECOND(Y0, Y2, Y3, Y8, Y9)                \
	SECOND(Y4, Y6, Y7, Y10, Y11)              \
	ROUND(128, Y0, Y9, Y2, Y8, Y3, Y1)        \
	ROUND(128, Y4, Y11, Y6, Y10, Y7, Y5)      \
	ROUND(192, Y0, Y1, Y2, Y3, Y8, Y9)        \
	ROUND(192, Y4, Y5, Y6, Y7, Y10, Y11)      \
	ROUND(256, Y0, Y9, Y2, Y8, Y3, Y1)        \
	ROUND(256, Y4, Y11, Y6, Y10, Y7, Y5)      \
	ROUND(320, Y0, Y1, Y2, Y3, Y8, Y9)        \
	ROUND(320, Y4, Y5, Y6, Y7, Y10, Y11)      \
	ROUND(384, Y0, Y9, Y2, Y8, Y3, Y1)        \
	ROUND(384, Y4, Y11, Y6, Y10, Y7, Y5)      \
	VPADDQ eight<>(SB), Y12, Y12              \
	VPADDQ eight<>(SB), Y13, Y13

// func randomAVX2(x *int32, keys *philoxKeys, counter uint64, blocks int)
TEXT ·randomAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ blocks+24(FP), CX
	BEGIN

block:
	WORDS
	JOIN(Y0, Y4)
	JOIN(Y1, Y5)
	JOIN(Y2, Y6)
	JOIN(Y3, Y7)
	VPSRLD  $1, Y0, Y0
	VPSRLD  $1, Y1, Y1
	VPSRLD  $1, Y2, Y2
	VPSRLD  $1, Y3, Y3
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	ADDQ    $128, DI
	DECQ    CX
	JNZ     block
	VZEROUPPER
	RET

// func randomMaskAVX2(mask *uint32, keys *philoxKeys, counter uint64, blocks int, below uint64) int
TEXT ·randomMaskAVX2(SB), NOSPLIT, $0-48
	MOVQ mask+0(FP), DI
	MOVQ blocks+24(FP), CX
	MOVQ below+32(FP), R9
	BEGIN

block:
	WORDS
	JOIN(Y0, Y4)
	JOIN(Y1, Y5)
	JOIN(Y2, Y6)
	JOIN(Y3, Y7)
	VMOVQ        R9, X4
	VPBROADCASTW X4, Y4
	VPCMPEQW     Y0, Y4, Y5
	VPCMPEQW     Y1, Y4, Y6
	VPCMPEQW     Y2, Y4, Y7
	VPCMPEQW     Y3, Y4, Y8
	VPOR         Y5, Y6, Y6
	VPOR         Y7, Y8, Y8
	VPOR         Y6, Y8, Y8
	VPTEST       Y8, Y8
	JNZ          done
	VPCMPGTW     Y0, Y4, Y0
	VPCMPGTW     Y1, Y4, Y1
	VPCMPGTW     Y2, Y4, Y2
	VPCMPGTW     Y3, Y4, Y3
	VPACKSSWB    Y1, Y0, Y0
	VPACKSSWB    Y3, Y2, Y2
	VPERMQ       $0xd8, Y0, Y0 // the halves of registers are packed by themselves
	VPERMQ       $0xd8, Y2, Y2
	VPMOVMSKB    Y0, AX
	VPMOVMSKB    Y2, BX
	MOVL         AX, 0(DI)
	MOVL         BX, 4(DI)
	ADDQ         $8, DI
	DECQ         CX
	JNZ          block

done:
	MOVQ blocks+24(FP), AX
	SUBQ CX, AX
	MOVQ AX, ret+40(FP)
	VZEROUPPER
	RET
