// FILL_Y sets each 32 bits of a register, given by its two names, and FILL_Z those of one of AVX-512. AX is lost.
#define FILL_Y(bits, X, Y) MOVL $bits, AX; VMOVD AX, X; VPBROADCASTD X, Y
#define FILL_Z(bits, Z) MOVL $bits, AX; VPBROADCASTD AX, Z
