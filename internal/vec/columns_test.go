package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The most columns, and the most bytes that their codes take.
const (
	mostColumns = 40
	mostApart   = mostColumns * (groupBytes + 40)
)

// everyColumns runs every number of columns up to some steps of assembly, with columns and rows that lie apart.
func everyColumns(t *testing.T, test func(t *testing.T, cols, step, apart int)) {
	r := rand.New(rand.NewPCG(121, 122))
	levelsFrom(Portable, t, func(t *testing.T) {
		for cols := range mostColumns + 1 {
			for range 4 {
				test(t, cols, max(1, cols)+r.IntN(5), groupBytes+r.IntN(40))
			}
		}
	})
}

// Against codes that are looked up one by one; what lies between the rows stays. All memory ends where the last of it does.
func TestDecodeNibbleColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(123, 124))
	srcRoom, scaleRoom, dstRoom := guarded(mostApart), guardedFloats(mostColumns), guardedFloats(GroupRows*(mostColumns+5))
	everyColumns(t, func(t *testing.T, cols, step, apart int) {
		var values [16]float32
		for code := range values {
			values[code] = float32(r.NormFloat64())
		}
		src := srcRoom[mostApart-max(0, (cols-1)*apart+groupBytes):]
		for i := range src {
			src[i] = byte(r.Uint32())
		}
		scales := scaleRoom[mostColumns-cols:]
		for c := range scales {
			if scales[c] = anyScale(r)(); !(scales[c] <= math.MaxFloat32) {
				scales[c] = math.Float32frombits(nan32)
			}
		}
		dst := dstRoom[len(dstRoom)-(GroupRows-1)*step-cols:]
		Fill(dst, 42)
		DecodeNibbleColumns(dst, step, src, apart, &values, scales)
		for i, got := range dst {
			want := float32(42)
			if row, c := i/step, i%step; c < cols {
				want = values[src[c*apart+row/2]>>(row%2*4)&15] * scales[c]
			}
			if !sameBits(got, want) {
				t.Fatalf("%d columns, steps %d and %d: element %d is %x, want %x", cols, step, apart, i, got, want)
			}
		}
	})
}

// Against the scale by its definition, and codes of a group that lies in a row.
func TestEncodeE2M1Columns(t *testing.T) {
	r := rand.New(rand.NewPCG(125, 126))
	srcRoom, scaleRoom, dstRoom := guardedFloats(GroupRows*(mostColumns+5)), guarded(mostColumns), guarded(mostApart)
	everyColumns(t, func(t *testing.T, cols, step, apart int) {
		src := srcRoom[len(srcRoom)-(GroupRows-1)*step-cols:]
		special := r.IntN(4) == 0
		for c := range cols {
			scale := math.Exp2(float64(r.IntN(250) - 126))
			switch r.IntN(8) {
			case 0:
				scale = 0
			case 1:
				scale = 0x1p-149 // subnormals
			}
			for row := range GroupRows {
				x := float32([]float64{0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7, r.NormFloat64()}[r.IntN(17)] * scale)
				switch r.IntN(8) {
				case 0:
					x = math.Nextafter32(x, 1000)
				case 1:
					x = -x
				}
				src[row*step+c] = x
			}
		}
		for i := range src { // between the rows lies what is no number, and is not looked at
			if i%step >= cols {
				src[i] = math.Float32frombits(nan32)
			}
		}
		if special && cols > 0 {
			src[r.IntN(GroupRows)*step+r.IntN(cols)] = []float32{mostPlainE2M1, -mostPlainE2M1, math.MaxFloat32, math.Float32frombits(inf32), math.Float32frombits(inf32 | sign32), math.Float32frombits(nan32)}[r.IntN(6)]
		}
		dst, scales := dstRoom[mostApart-max(0, (cols-1)*apart+groupBytes):], scaleRoom[mostColumns-cols:]
		for i := range dst {
			dst[i] = 0xa5
		}
		ok, wantOK := EncodeE2M1Columns(dst, apart, scales, src, step), true
		for c := range cols {
			var column [GroupRows]float32
			largest := 0.0
			for row := range column {
				column[row] = src[row*step+c]
				wantOK = wantOK && math.Abs(float64(column[row])) < mostPlainE2M1
				largest = max(largest, math.Abs(float64(column[row])))
			}
			if !ok || !wantOK {
				continue
			}
			exponent := math.Ilogb(largest)
			if largest/math.Exp2(float64(exponent)) >= 1.75 {
				exponent++
			}
			if largest == 0 {
				exponent = 2
			}
			want := uint8(max(exponent-2+127, 0))
			var codes [groupBytes]byte
			EncodeE2M1Groups(codes[:], column[:], []float32{float32(math.Ldexp(1, int(want)-127))}, GroupRows)
			if scales[c] != want || [groupBytes]byte(dst[c*apart:][:groupBytes]) != codes {
				t.Fatalf("%d columns, steps %d and %d: column %d of %v has the scale %d and codes % x, want %d and % x", cols, step, apart, c, column, scales[c], dst[c*apart:][:groupBytes], want, codes)
			}
		}
		if ok != wantOK {
			t.Fatalf("%d columns: %v, want %v", cols, ok, wantOK)
		}
		for i, b := range dst {
			if i%apart >= groupBytes && b != 0xa5 {
				t.Fatalf("%d columns, steps %d and %d: wrote between them", cols, step, apart)
			}
		}
	})
}
