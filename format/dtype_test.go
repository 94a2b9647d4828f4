package format

import (
	"strings"
	"testing"
)

// The names are those of the safetensors format, the sizes those of its
// specification.
func TestDTypes(t *testing.T) {
	bits := map[string]int{
		"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
		"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
		"C64": 64, "F64": 64, "I64": 64, "U64": 64,
	}
	all := DTypes()
	if len(all) != len(bits) {
		t.Errorf("%d types, %d expected", len(all), len(bits))
	}
	for i, d := range all {
		if d == Invalid || int(d) != i+1 {
			t.Errorf("type %d is %v", i, d)
		}
		if want, known := bits[d.String()]; !known || d.Bits() != want || d.Align() != max(1, int64(want/8)) {
			t.Errorf("%v: %d bits, aligned to %d", d, d.Bits(), d.Align())
		}
		if i > 0 && d.Align() < all[i-1].Align() {
			t.Errorf("%v is aligned to less than %v", d, all[i-1])
		}
		if got, ok := ParseDType(d.String()); !ok || got != d {
			t.Errorf("%v is parsed as %v", d, got)
		}
		if got, ok := ParseDType(strings.ToLower(d.String())); ok {
			t.Errorf("%q is parsed as %v", strings.ToLower(d.String()), got)
		}
		torch := d.Torch()
		if torch == "" {
			continue
		}
		for _, name := range []string{torch, "torch." + torch} {
			if got, ok := ParseTorchDType(name); !ok || got != d {
				t.Errorf("%s is parsed as %v", name, got)
			}
		}
		if d.Computable() && torch == "" {
			t.Errorf("%v has no name in a recipe", d)
		}
	}
	for _, name := range []string{"", "torch.", "invalid", "INVALID", "float33", "torch.torch.float32", " F32", "F32\x00"} {
		if d, ok := ParseDType(name); ok {
			t.Errorf("%q is parsed as %v", name, d)
		}
		if d, ok := ParseTorchDType(name); ok {
			t.Errorf("%q is parsed as torch's %v", name, d)
		}
	}
	for _, d := range []DType{Invalid, dtypeEnd, 255} {
		if d.String() != "invalid" || d.Torch() != "" || d.Bits() != 0 || d.Align() != 1 || d.Computable() {
			t.Errorf("%d is %v of %d bits", d, d, d.Bits())
		}
	}
}
