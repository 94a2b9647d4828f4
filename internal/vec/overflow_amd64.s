//go:build !noasm

#include "textflag.h"

// |x| < limit is true when x < limit && x > -limit is: both are false for a NaN
// on either side, and for a limit of 0 or less. The pass that meets an element
// for which it is false is the last; AX counts the elements of those before.

#define LESS_THAN 1

// func finite32AVX2(x *float32, n int, limit float32) int
TEXT ·finite32AVX2(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSS limit+16(FP), Y15
	VPCMPEQD     Y14, Y14, Y14
	VPSRLD       $1, Y14, Y14
	XORL         AX, AX

loop:
	VANDPS    (SI)(AX*4), Y14, Y0
	VANDPS    32(SI)(AX*4), Y14, Y1
	VANDPS    64(SI)(AX*4), Y14, Y2
	VANDPS    96(SI)(AX*4), Y14, Y3
	VCMPPS    $LESS_THAN, Y15, Y0, Y0
	VCMPPS    $LESS_THAN, Y15, Y1, Y1
	VCMPPS    $LESS_THAN, Y15, Y2, Y2
	VCMPPS    $LESS_THAN, Y15, Y3, Y3
	VANDPS    Y0, Y1, Y0
	VANDPS    Y2, Y3, Y2
	VANDPS    Y0, Y2, Y0
	VMOVMSKPS Y0, DX
	CMPL      DX, $0xff
	JNE       done
	ADDQ      $32, AX
	CMPQ      AX, CX
	JLT       loop

done:
	MOVQ AX, ret+24(FP)
	VZEROUPPER
	RET

// The comparison leaves bits here, so that the carry of KORTEST says that all are 1.

// func finite32AVX512(x *float32, n int, limit float32) int
TEXT ·finite32AVX512(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSS limit+16(FP), Z15
	VPTERNLOGD   $0xff, Z14, Z14, Z14
	VPSRLD       $1, Z14, Z14
	XORL         AX, AX

loop:
	VPANDD   (SI)(AX*4), Z14, Z0
	VPANDD   64(SI)(AX*4), Z14, Z1
	VCMPPS   $LESS_THAN, Z15, Z0, K0
	VCMPPS   $LESS_THAN, Z15, Z1, K1
	KUNPCKWD K0, K1, K0
	KORTESTD K0, K0
	JCC      done
	ADDQ     $32, AX
	CMPQ     AX, CX
	JLT      loop

done:
	MOVQ AX, ret+24(FP)
	VZEROUPPER
	RET

// func finite64AVX2(x *float64, n int, limit float64) int
TEXT ·finite64AVX2(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSD limit+16(FP), Y15
	VPCMPEQD     Y14, Y14, Y14
	VPSRLQ       $1, Y14, Y14
	XORL         AX, AX

loop:
	VANDPD    (SI)(AX*8), Y14, Y0
	VANDPD    32(SI)(AX*8), Y14, Y1
	VANDPD    64(SI)(AX*8), Y14, Y2
	VANDPD    96(SI)(AX*8), Y14, Y3
	VCMPPD    $LESS_THAN, Y15, Y0, Y0
	VCMPPD    $LESS_THAN, Y15, Y1, Y1
	VCMPPD    $LESS_THAN, Y15, Y2, Y2
	VCMPPD    $LESS_THAN, Y15, Y3, Y3
	VANDPD    Y0, Y1, Y0
	VANDPD    Y2, Y3, Y2
	VANDPD    Y0, Y2, Y0
	VMOVMSKPD Y0, DX
	CMPL      DX, $0xf
	JNE       done
	ADDQ      $16, AX
	CMPQ      AX, CX
	JLT       loop

done:
	MOVQ AX, ret+24(FP)
	VZEROUPPER
	RET

// func finite64AVX512(x *float64, n int, limit float64) int
TEXT ·finite64AVX512(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), CX
	VBROADCASTSD limit+16(FP), Z15
	VPTERNLOGD   $0xff, Z14, Z14, Z14
	VPSRLQ       $1, Z14, Z14
	XORL         AX, AX

loop:
	VPANDQ   (SI)(AX*8), Z14, Z0
	VPANDQ   64(SI)(AX*8), Z14, Z1
	VCMPPD   $LESS_THAN, Z15, Z0, K0
	VCMPPD   $LESS_THAN, Z15, Z1, K1
	KUNPCKBW K0, K1, K0
	KORTESTW K0, K0
	JCC      done
	ADDQ     $16, AX
	CMPQ     AX, CX
	JLT      loop

done:
	MOVQ AX, ret+24(FP)
	VZEROUPPER
	RET
