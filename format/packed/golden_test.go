package packed

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// The pack of one file "a" with the bytes "hi": the example of docs/format-pack.md, and a promise.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, 1)
	if err := w.Small("a", []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if err := w.Complete(); err != nil {
		t.Fatal(err)
	}
	got := hex.EncodeToString(out.Bytes())
	if want := strings.NewReplacer(" ", "", "\n", "").Replace(golden); got != want {
		t.Errorf("the format has changed:\n%s\nwant\n%s", got, want)
	}
}

const golden = `
8957454c440d0a1a0100010000000000
46494c450b00000000000000000000000000000000000000d4339c08c168456e
0200000000000000010061
444154410200000000000000000000000200000000000000ac2a93d8df614ea8
6869
494e44582b000000020000000000000000000000000000009e6184e581ba1c39
010000000200000000000000010061000000000100000000000000020000000200000000000000ac2a93d8
454e442030000000020000000000000000000000000000007247a77bba2074b1
5d00000000000000020000000000000058e2130e3ce0a1e4d2348f92ee7b4a4e8576318618aaab4a55317d72c3037141
`
