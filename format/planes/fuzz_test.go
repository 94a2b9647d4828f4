package planes

import (
	"bytes"
	"errors"
	"testing"

	"weld/format"
)

// FuzzDecode decodes whatever it is given: the result is content or a damaged block, never more. What
// is content is coded and decoded again.
func FuzzDecode(f *testing.F) {
	var e Encoder
	for _, content := range [][]byte{nil, []byte("hello, hello, hello"), bytes.Repeat([]byte{0, 0x3c}, 200), make([]byte, 100)} {
		for _, d := range []format.DType{format.Invalid, format.BF16, format.F32, format.I64} {
			coded, c := e.Append(nil, d, content)
			f.Add(coded, content, byte(c), byte(d), len(content))
			coded, c = e.AppendRelative(nil, d, content, make([]byte, len(content)))
			f.Add(coded, content, byte(c), byte(d), len(content))
		}
	}
	f.Fuzz(func(t *testing.T, payload, base []byte, coding, dtype byte, n int) {
		if n < 0 || n > 1<<16 || int(dtype) > int(format.U64) {
			return
		}
		d, dst := format.DType(dtype), make([]byte, n)
		var decoder Decoder
		var err error
		if len(base) == n {
			err = decoder.DecodeRelative(dst, Coding(coding), d, payload, base)
		} else {
			err = decoder.Decode(dst, Coding(coding), d, payload)
		}
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Errorf("%v", err)
			}
			return
		}
		var encoder Encoder
		again, c := encoder.Append(nil, d, dst)
		back := make([]byte, n)
		if err := decoder.Decode(back, c, d, again); err != nil || !bytes.Equal(back, dst) {
			t.Errorf("%v: %v", c, err)
		}
	})
}
