// NEXT_GROUP begins a group of R10 elements: of CX that are left, DX are its own, and those behind it stay in CX.
#define NEXT_GROUP \
	MOVQ    R10, DX; \
	CMPQ    DX, CX;  \
	CMOVQGT CX, DX;  \
	SUBQ    DX, CX
