// E2M1 has places of 1/2 up to 2, of 1 up to 4, of 2 from there on. In a sum with a power of two the last place is as large as that; the
// exponent, 2^0 at least, says which power. What the power is less is the code, but that each exponent has two codes.
#define MAGNITUDE 0x7fffffff
#define SIX 0x40c00000
#define EXPONENT 0x7f800000
#define LEAST 0x3f800000 // 1
#define CARRIER 0x0b000000 // 22 exponents
#define SIGN_CODE 8

// E2M1 turns magnitudes M into their codes, with AND of the register's width; E and C are scratch. SIXES to CARRIERS are registers of what is above.
#define E2M1(AND, M, E, C, SIXES, EXPONENTS, LEASTS, CARRIERS) \
	VMINPS  SIXES, M, M;     \
	AND     EXPONENTS, M, E; \
	VPMAXUD LEASTS, E, E;    \
	VPADDD  CARRIERS, E, C;  \
	VADDPS  C, M, M;         \
	VPSUBD  C, M, M;         \
	VPSUBD  LEASTS, E, E;    \
	VPSRLD  $22, E, E;       \
	VPADDD  E, M, M
