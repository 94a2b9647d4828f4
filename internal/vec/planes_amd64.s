//go:build !noasm

#include "textflag.h"
#include "bf16_amd64.h"

// All functions here do 32 elements at a time, those of pairs 64. What is split comes from memory.

DATA lowByte<>+0(SB)/4, $0x00ff00ff // of words
GLOBL lowByte<>(SB), RODATA|NOPTR, $4

DATA mantissa7<>+0(SB)/4, $0x007f007f // of words
GLOBL mantissa7<>(SB), RODATA|NOPTR, $4

DATA sign8<>+0(SB)/4, $0x00800080 // of words
GLOBL sign8<>(SB), RODATA|NOPTR, $4

DATA nibble<>+0(SB)/4, $0x0f0f0f0f
GLOBL nibble<>(SB), RODATA|NOPTR, $4

// PACK narrows words of A and B, all under 256, into the bytes of A, in order.
#define PACK(A, B) \
	VPACKUSWB B, A, A  \
	VPERMQ    $0xD8, A, A

// func splitBF16AVX2(exponent, fraction, src *byte, n int)
TEXT ·splitBF16AVX2(SB), NOSPLIT, $0-32
	MOVQ         exponent+0(FP), DI
	MOVQ         fraction+8(FP), DX
	MOVQ         src+16(FP), SI
	MOVQ         n+24(FP), CX
	VPBROADCASTD lowByte<>(SB), Y13
	VPBROADCASTD mantissa7<>(SB), Y14
	VPBROADCASTD sign8<>(SB), Y15

loop:
	AHEAD((SI))
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPSRLW  $7, Y0, Y2
	VPSRLW  $7, Y1, Y3
	VPAND   Y13, Y2, Y2
	VPAND   Y13, Y3, Y3
	PACK(Y2, Y3)
	VMOVDQU Y2, (DI)
	VPSRLW  $8, Y0, Y4
	VPSRLW  $8, Y1, Y5
	VPAND   Y15, Y4, Y4
	VPAND   Y15, Y5, Y5
	VPAND   Y14, Y0, Y0
	VPAND   Y14, Y1, Y1
	VPOR    Y4, Y0, Y0
	VPOR    Y5, Y1, Y1
	PACK(Y0, Y1)
	VMOVDQU Y0, (DX)
	ADDQ    $64, SI
	ADDQ    $32, DI
	ADDQ    $32, DX
	SUBQ    $32, CX
	JNZ     loop
	VZEROUPPER
	RET

#define JOINBF16(at, to) \
	VPMOVZXBW at(SI), Y0  \
	VPMOVZXBW at(DX), Y1  \
	VPSLLW    $7, Y0, Y0  \
	VPAND     Y14, Y1, Y2 \
	VPAND     Y15, Y1, Y1 \
	VPSLLW    $8, Y1, Y1  \
	VPOR      Y2, Y0, Y0  \
	VPOR      Y1, Y0, Y0  \
	VMOVDQU   Y0, to(DI)

// func joinBF16AVX2(dst, exponent, fraction *byte, n int)
TEXT ·joinBF16AVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         exponent+8(FP), SI
	MOVQ         fraction+16(FP), DX
	MOVQ         n+24(FP), CX
	VPBROADCASTD mantissa7<>(SB), Y14
	VPBROADCASTD sign8<>(SB), Y15

loop:
	JOINBF16(0, 0)
	JOINBF16(16, 32)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $64, DI
	SUBQ $32, CX
	JNZ  loop
	VZEROUPPER
	RET

// func split2AVX2(high, low, src *byte, n int)
TEXT ·split2AVX2(SB), NOSPLIT, $0-32
	MOVQ         high+0(FP), DI
	MOVQ         low+8(FP), DX
	MOVQ         src+16(FP), SI
	MOVQ         n+24(FP), CX
	VPBROADCASTD lowByte<>(SB), Y13

loop:
	AHEAD((SI))
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPSRLW  $8, Y0, Y2
	VPSRLW  $8, Y1, Y3
	PACK(Y2, Y3)
	VMOVDQU Y2, (DI)
	VPAND   Y13, Y0, Y0
	VPAND   Y13, Y1, Y1
	PACK(Y0, Y1)
	VMOVDQU Y0, (DX)
	ADDQ    $64, SI
	ADDQ    $32, DI
	ADDQ    $32, DX
	SUBQ    $32, CX
	JNZ     loop
	VZEROUPPER
	RET

#define JOIN2(at, to) \
	VPMOVZXBW at(SI), Y0 \
	VPMOVZXBW at(DX), Y1 \
	VPSLLW    $8, Y0, Y0 \
	VPOR      Y1, Y0, Y0 \
	VMOVDQU   Y0, to(DI)

// func join2AVX2(dst, high, low *byte, n int)
TEXT ·join2AVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ high+8(FP), SI
	MOVQ low+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	JOIN2(0, 0)
	JOIN2(16, 32)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $64, DI
	SUBQ $32, CX
	JNZ  loop
	VZEROUPPER
	RET

// The bytes of four elements, one after the other: a transposition that is its own inverse.
DATA quarters<>+0(SB)/8, $0x0d0905010c080400
DATA quarters<>+8(SB)/8, $0x0f0b07030e0a0602
GLOBL quarters<>(SB), RODATA|NOPTR, $16

// Where TRANSPOSE leaves the quarters of a plane, and the inverse.
DATA gather<>+0(SB)/8, $0x0000000400000000
DATA gather<>+8(SB)/8, $0x0000000500000001
DATA gather<>+16(SB)/8, $0x0000000600000002
DATA gather<>+24(SB)/8, $0x0000000700000003
GLOBL gather<>(SB), RODATA|NOPTR, $32

DATA spread<>+0(SB)/8, $0x0000000200000000
DATA spread<>+8(SB)/8, $0x0000000600000004
DATA spread<>+16(SB)/8, $0x0000000300000001
DATA spread<>+24(SB)/8, $0x0000000700000005
GLOBL spread<>(SB), RODATA|NOPTR, $32

DATA float0<>+0(SB)/4, $0xff000000 // the exponent, shifted by one
GLOBL float0<>(SB), RODATA|NOPTR, $4

DATA float1<>+0(SB)/4, $0x00800000 // the sign, shifted by eight
GLOBL float1<>(SB), RODATA|NOPTR, $4

DATA float2<>+0(SB)/4, $0x007fffff // the mantissa
GLOBL float2<>(SB), RODATA|NOPTR, $4

DATA float3<>+0(SB)/4, $0x7f800000 // the exponent in its place
GLOBL float3<>(SB), RODATA|NOPTR, $4

DATA float4<>+0(SB)/4, $0x80000000 // the sign in its place
GLOBL float4<>(SB), RODATA|NOPTR, $4

// TRANSPOSE swaps rows and columns of four by four double words, in both lanes of A to D. The
// result is in E to H.
#define TRANSPOSE(A, B, C, D, E, F, G, H) \
	VPUNPCKLDQ  B, A, E \
	VPUNPCKHDQ  B, A, G \
	VPUNPCKLDQ  D, C, F \
	VPUNPCKHDQ  D, C, H \
	VPUNPCKLQDQ F, E, A \
	VPUNPCKHQDQ F, E, B \
	VPUNPCKLQDQ H, G, C \
	VPUNPCKHQDQ H, G, D \
	VMOVDQA     A, E    \
	VMOVDQA     B, F    \
	VMOVDQA     C, G    \
	VMOVDQA     D, H

// SPLITF32 moves the exponent into the leading byte, the sign into the next, and sorts the bytes of four
// elements.
#define SPLITF32(at, A, T) \
	VMOVDQU at(SI), A    \
	VPSRLD  $8, A, T     \
	VPAND   Y14, T, T    \
	VPAND   Y13, A, Y8   \
	VPOR    Y8, T, T     \
	VPSLLD  $1, A, A     \
	VPAND   Y15, A, A    \
	VPOR    T, A, A      \
	VPSHUFB Y12, A, A

// func splitF32AVX2(exponent, fraction, middle, low, src *byte, n int)
TEXT ·splitF32AVX2(SB), NOSPLIT, $0-48
	MOVQ           exponent+0(FP), DI
	MOVQ           fraction+8(FP), DX
	MOVQ           middle+16(FP), R8
	MOVQ           low+24(FP), R9
	MOVQ           src+32(FP), SI
	MOVQ           n+40(FP), CX
	VBROADCASTI128 quarters<>(SB), Y12
	VPBROADCASTD   float0<>(SB), Y15
	VPBROADCASTD   float1<>(SB), Y14
	VPBROADCASTD   float2<>(SB), Y13
	VMOVDQU        gather<>(SB), Y11

loop:
	SPLITF32(0, Y0, Y4)
	SPLITF32(32, Y1, Y4)
	SPLITF32(64, Y2, Y4)
	SPLITF32(96, Y3, Y4)
	TRANSPOSE(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VPERMD  Y4, Y11, Y4
	VPERMD  Y5, Y11, Y5
	VPERMD  Y6, Y11, Y6
	VPERMD  Y7, Y11, Y7
	VMOVDQU Y4, (R9)
	VMOVDQU Y5, (R8)
	VMOVDQU Y6, (DX)
	VMOVDQU Y7, (DI)
	ADDQ    $128, SI
	ADDQ    $32, DI
	ADDQ    $32, DX
	ADDQ    $32, R8
	ADDQ    $32, R9
	SUBQ    $32, CX
	JNZ     loop
	VZEROUPPER
	RET

#define JOINF32(at, A) \
	VPSHUFB Y12, A, A   \
	VPSRLD  $1, A, Y0   \
	VPAND   Y15, Y0, Y0 \
	VPSLLD  $8, A, Y1   \
	VPAND   Y14, Y1, Y1 \
	VPAND   Y13, A, A   \
	VPOR    Y0, A, A    \
	VPOR    Y1, A, A    \
	VMOVDQU A, at(DI)

// func joinF32AVX2(dst, exponent, fraction, middle, low *byte, n int)
TEXT ·joinF32AVX2(SB), NOSPLIT, $0-48
	MOVQ           dst+0(FP), DI
	MOVQ           exponent+8(FP), SI
	MOVQ           fraction+16(FP), DX
	MOVQ           middle+24(FP), R8
	MOVQ           low+32(FP), R9
	MOVQ           n+40(FP), CX
	VBROADCASTI128 quarters<>(SB), Y12
	VPBROADCASTD   float3<>(SB), Y15
	VPBROADCASTD   float4<>(SB), Y14
	VPBROADCASTD   float2<>(SB), Y13
	VMOVDQU        spread<>(SB), Y11

loop:
	VPERMD (R9), Y11, Y0
	VPERMD (R8), Y11, Y1
	VPERMD (DX), Y11, Y2
	VPERMD (SI), Y11, Y3
	TRANSPOSE(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	JOINF32(0, Y4)
	JOINF32(32, Y5)
	JOINF32(64, Y6)
	JOINF32(96, Y7)
	ADDQ   $128, DI
	ADDQ   $32, SI
	ADDQ   $32, DX
	ADDQ   $32, R8
	ADDQ   $32, R9
	SUBQ   $32, CX
	JNZ    loop
	VZEROUPPER
	RET

// CODES looks up the codes of 32 bytes: Y10 is the first of the window, Y11 the codes of the window,
// Y12 that of 0, Y13 is 0, Y15 is 15 everywhere.
#define CODES(at, A, T, M) \
	VMOVDQU   at(SI), A     \
	VPSUBB    Y10, A, T     \
	VPMINUB   Y15, T, M     \
	VPCMPEQB  M, T, M       \
	VPSHUFB   T, Y11, T     \
	VPBLENDVB M, T, Y15, T  \
	VPCMPEQB  Y13, A, M     \
	VPBLENDVB M, Y12, T, A

// func pairCodesAVX2(dst, src *byte, codes *Codes, n int) (escapes int)
TEXT ·pairCodesAVX2(SB), NOSPLIT, $0-40
	MOVQ           dst+0(FP), DI
	MOVQ           src+8(FP), SI
	MOVQ           codes+16(FP), DX
	MOVQ           n+24(FP), CX
	VPBROADCASTB   (DX), Y10
	VBROADCASTI128 1(DX), Y11
	VPBROADCASTB   17(DX), Y12
	VPXOR          Y13, Y13, Y13
	VPBROADCASTD   nibble<>(SB), Y15
	XORQ           AX, AX

loop:
	CODES(0, Y0, Y2, Y3)
	CODES(32, Y1, Y4, Y5)
	VPCMPEQB  Y15, Y0, Y6
	VPMOVMSKB Y6, R8
	POPCNTL   R8, R8
	ADDQ      R8, AX
	VPCMPEQB  Y15, Y1, Y7
	VPMOVMSKB Y7, R9
	POPCNTL   R9, R9
	ADDQ      R9, AX
	VPSLLW    $4, Y1, Y1
	VPOR      Y1, Y0, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	SUBQ      $64, CX
	JNZ       loop
	MOVQ      AX, escapes+32(FP)
	VZEROUPPER
	RET

// func unpairCodesAVX2(dst, src *byte, values *[16]byte, n int)
TEXT ·unpairCodesAVX2(SB), NOSPLIT, $0-32
	MOVQ           dst+0(FP), DI
	MOVQ           src+8(FP), SI
	MOVQ           values+16(FP), DX
	MOVQ           n+24(FP), CX
	VBROADCASTI128 (DX), Y11
	VPBROADCASTD   nibble<>(SB), Y15

loop:
	VMOVDQU (SI), Y0
	VPSRLW  $4, Y0, Y1
	VPAND   Y15, Y0, Y0
	VPAND   Y15, Y1, Y1
	VPSHUFB Y0, Y11, Y0
	VPSHUFB Y1, Y11, Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ    $32, SI
	ADDQ    $64, DI
	SUBQ    $64, CX
	JNZ     loop
	VZEROUPPER
	RET
