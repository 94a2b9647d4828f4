package vec

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Float is what a tile may hold.
type Float interface{ float32 | float64 }

const (
	sign32 = 1 << 31
	sign64 = 1 << 63

	inf32 = 0x7f800000

	// nan32 and nan64 are the NaNs that encoders write.
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

// single reports whether T is float32. It is a constant in every instance, so
// the branch not taken costs nothing.
func single[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

func abs[T Float](x T) T {
	if single[T]() {
		return T(math.Float32frombits(math.Float32bits(float32(x)) &^ sign32))
	}
	return T(math.Float64frombits(math.Float64bits(float64(x)) &^ sign64))
}

func sameBits[T Float](a, b T) bool {
	if single[T]() {
		return math.Float32bits(float32(a)) == math.Float32bits(float32(b))
	}
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b))
}

// bit is 1 for true. The compiler makes it free of branches, which a random
// mask would mispredict every few elements.
func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// keep is x where k is 1, and +0 where k is 0.
func keep[T Float](k uint64, x T) T {
	if single[T]() {
		return T(math.Float32frombits(math.Float32bits(float32(x)) & uint32(-k)))
	}
	return T(math.Float64frombits(math.Float64bits(float64(x)) & -k))
}

// choose is yes where k is 1, and no where k is 0.
func choose[T Float](k uint64, yes, no T) T {
	return [2]T{no, yes}[k&1]
}

// memory is the bytes x lies in.
func memory[T Float](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(*new(T))))
}

// littleEndian reports whether memory has the order of bytes that files have.
func littleEndian() bool {
	return binary.NativeEndian.Uint16([]byte{1, 0}) == 1
}

// Floats is b as float32 values, in place; false where memory has another order of bytes than files, or where b does not
// begin and end as values do.
func Floats(b []byte) ([]float32, bool) {
	at := unsafe.Pointer(unsafe.SliceData(b))
	if !littleEndian() || uintptr(at)%4 != 0 || len(b)%4 != 0 {
		return nil, false
	}
	return unsafe.Slice((*float32)(at), len(b)/4), true
}

// Bytes is x as it lies in files, in place; false where memory has another order of bytes.
func Bytes(x []float32) ([]byte, bool) {
	if !littleEndian() {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x)), true
}
