//go:build !noasm

#include "textflag.h"

// Philox on sixteen counters at a time, two blocks, in the manner of random_amd64.s: the even counters in registers A, the odd ones in
// registers B, each word with 64 bits to itself. VPTERNLOGQ joins the key and both operands of a round in one step.
//
// The words are Z0 to Z3 of A, Z4 to Z7 of B. Products take Z8 to Z11. Z12 and Z13 are the counters, Z14 and Z15 the multipliers,
// Z16 to Z29 the keys of the rounds.

DATA evens<>+0(SB)/8, $0
DATA evens<>+8(SB)/8, $2
DATA evens<>+16(SB)/8, $4
DATA evens<>+24(SB)/8, $6
DATA evens<>+32(SB)/8, $8
DATA evens<>+40(SB)/8, $10
DATA evens<>+48(SB)/8, $12
DATA evens<>+56(SB)/8, $14
GLOBL evens<>(SB), RODATA|NOPTR, $64

#define M0 $0xd2511f53
#define M1 $0xcd9e8d57
#define XOR3 $0x96 // a ^ b ^ c

#define KEYS(at, K0, K1) \
	VPBROADCASTQ at(R8), K0 \
	VPBROADCASTQ at+32(R8), K1

#define BEGIN \
	MOVQ         keys+8(FP), R8       \
	MOVL         M0, AX               \
	VPBROADCASTQ AX, Z14              \
	MOVL         M1, AX               \
	VPBROADCASTQ AX, Z15              \
	VPBROADCASTQ counter+16(FP), Z12  \
	VPADDQ       evens<>(SB), Z12, Z12 \
	MOVL         $1, AX               \
	VPBROADCASTQ AX, Z13              \
	VPADDQ       Z13, Z12, Z13        \
	MOVL         $16, AX              \
	VPBROADCASTQ AX, Z30              \
	MOVL         $0xaaaa, AX          \
	KMOVW        AX, K1               \
	KEYS(0, Z16, Z17)                 \
	KEYS(64, Z18, Z19)                \
	KEYS(128, Z20, Z21)               \
	KEYS(192, Z22, Z23)               \
	KEYS(256, Z24, Z25)               \
	KEYS(320, Z26, Z27)               \
	KEYS(384, Z28, Z29)

// FIRST is the first round, with the words 2 and 3 still 0. Words 0 to 3 come out in C0, none (it is 0), C2 and P0.
#define FIRST(N, C0, C2, P0) \
	VPMULUDQ N, Z14, P0   \
	VPSRLQ   $32, N, C0   \
	VPXORQ   Z16, C0, C0  \
	VPSRLQ   $32, P0, C2  \
	VPXORQ   Z17, C2, C2

// SECOND is the second, with word 1 still 0.
#define SECOND(C0, C2, C3, P0, P1) \
	VPMULUDQ   C0, Z14, P0         \
	VPMULUDQ   C2, Z15, P1         \
	VPSRLQ     $32, P1, C0         \
	VPXORQ     Z18, C0, C0         \
	VPSRLQ     $32, P0, C2         \
	VPTERNLOGQ XOR3, Z19, C3, C2

// ROUND is one of the others. The products are the new words 1 and 3, so the registers of these
// change places with those of the products from round to round.
#define ROUND(K0, K1, C0, C1, C2, C3, P0, P1) \
	VPMULUDQ   C0, Z14, P0         \
	VPMULUDQ   C2, Z15, P1         \
	VPSRLQ     $32, P1, C0         \
	VPTERNLOGQ XOR3, K0, C1, C0    \
	VPSRLQ     $32, P0, C2         \
	VPTERNLOGQ XOR3, K1, C3, C2

// JOIN puts a word of sixteen counters into one register: C has that of A, D of B.
#define JOIN(C, D) \
	VPSLLQ    $32, D, D \
	VMOVDQA32 D, K1, C

// WORDS draws the words of sixteen counters, in Z0 to Z3, and moves on.
#define WORDS \
	FIRST(Z12, Z0, Z2, Z3)                         \
	FIRST(Z13, Z4, Z6, Z7)                         \
	SECOND(Z0, Z2, Z3, Z8, Z9)                     \
	SECOND(Z4, Z6, Z7, Z10, Z11)                   \
	ROUND(Z20, Z21, Z0, Z9, Z2, Z8, Z3, Z1)        \
	ROUND(Z20, Z21, Z4, Z11, Z6, Z10, Z7, Z5)      \
	ROUND(Z22, Z23, Z0, Z1, Z2, Z3, Z8, Z9)        \
	ROUND(Z22, Z23, Z4, Z5, Z6, Z7, Z10, Z11)      \
	ROUND(Z24, Z25, Z0, Z9, Z2, Z8, Z3, Z1)        \
	ROUND(Z24, Z25, Z4, Z11, Z6, Z10, Z7, Z5)      \
	ROUND(Z26, Z27, Z0, Z1, Z2, Z3, Z8, Z9)        \
	ROUND(Z26, Z27, Z4, Z5, Z6, Z7, Z10, Z11)      \
	ROUND(Z28, Z29, Z0, Z9, Z2, Z8, Z3, Z1)        \
	ROUND(Z28, Z29, Z4, Z11, Z6, Z10, Z7, Z5)      \
	VPADDQ Z30, Z12, Z12                           \
	VPADDQ Z30, Z13, Z13                           \
	JOIN(Z0, Z4)                                   \
	JOIN(Z1, Z5)                                   \
	JOIN(Z2, Z6)                                   \
	JOIN(Z3, Z7)

// NUMBERS stores a word of both blocks.
#define NUMBERS(at, Z, Y) \
	VPSRLD        $1, Z, Z          \
	VMOVDQU       Y, at(DI)         \
	VEXTRACTI64X4 $1, Z, at+128(DI)

// func randomAVX512(x *int32, keys *philoxKeys, counter uint64, pairs int)
TEXT ·randomAVX512(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ pairs+24(FP), CX
	BEGIN

pair:
	WORDS
	NUMBERS(0, Z0, Y0)
	NUMBERS(32, Z1, Y1)
	NUMBERS(64, Z2, Y2)
	NUMBERS(96, Z3, Y3)
	ADDQ $256, DI
	DECQ CX
	JNZ  pair
	VZEROUPPER
	RET

// HALVES stores the masks of two words, of both blocks: each has that of the first block in its lower half.
#define HALVES(at, LOW, HIGH) \
	KUNPCKWD LOW, HIGH, K0   \
	KMOVD    K0, at(DI)      \
	KSHIFTRD $16, LOW, LOW   \
	KSHIFTRD $16, HIGH, HIGH \
	KUNPCKWD LOW, HIGH, K0   \
	KMOVD    K0, at+8(DI)

// The predicate of VPCMPW.
#define LESS $1

// func randomMaskAVX512(mask *uint32, keys *philoxKeys, counter uint64, pairs int, below uint64) int
TEXT ·randomMaskAVX512(SB), NOSPLIT, $0-48
	MOVQ         mask+0(FP), DI
	MOVQ         pairs+24(FP), CX
	MOVQ         below+32(FP), R9
	BEGIN
	VPBROADCASTW R9, Z31

pair:
	WORDS
	VPCMPEQW Z0, Z31, K2
	VPCMPEQW Z1, Z31, K3
	VPCMPEQW Z2, Z31, K4
	VPCMPEQW Z3, Z31, K5
	KORD     K2, K3, K2
	KORD     K4, K5, K4
	KORTESTD K2, K4
	JNZ      done
	VPCMPW   LESS, Z31, Z0, K2
	VPCMPW   LESS, Z31, Z1, K3
	VPCMPW   LESS, Z31, Z2, K4
	VPCMPW   LESS, Z31, Z3, K5
	HALVES(0, K2, K3)
	HALVES(4, K4, K5)
	ADDQ     $16, DI
	DECQ     CX
	JNZ      pair

done:
	MOVQ pairs+24(FP), AX
	SUBQ CX, AX
	MOVQ AX, ret+40(FP)
	VZEROUPPER
	RET
