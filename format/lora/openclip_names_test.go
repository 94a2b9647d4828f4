package lora

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// A layer of OpenCLIP has the modules that diffusers 0.42 makes of it.
func TestOpenCLIPNames(t *testing.T) {
	text, err := os.ReadFile("testdata/diffusion/openclip_names.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		want[strings.TrimSpace(line)] = true
	}
	seen := 0
	for line := range want {
		name := strings.Fields(line)[0]
		openCLIPPlaces(strings.TrimSuffix(name, ".weight"), func(module string, third int) {
			is := name + " " + inText + module + " " + strconv.Itoa(third)
			if seen++; !want[is] {
				t.Errorf("%s is none of diffusers'", is)
			}
		})
	}
	if thrice := 3 * 3; len(want) != 8 || seen != len(want)-3+thrice {
		t.Errorf("%d of %d lines", seen, len(want))
	}
	openCLIPPlaces("transformer.resblocks.0.attn.in_proj_bias", func(string, int) { t.Error("a bias is a module") })
}
