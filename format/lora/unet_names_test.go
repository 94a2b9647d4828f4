package lora

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// U-Nets of Stable Diffusion 1 and XL have the names that diffusers 0.42 gives their modules when it reads a single file.
func TestUNetNames(t *testing.T) {
	text, err := os.ReadFile("testdata/diffusion/unet_names.txt")
	if err != nil {
		t.Fatal(err)
	}
	sets := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	if len(sets) != 3 {
		t.Fatalf("%d sets of names", len(sets))
	}
	for _, set := range sets {
		var original, diffusers []string
		for _, line := range strings.Split(set, "\n") {
			a, b, _ := strings.Cut(line, " ")
			original, diffusers = append(original, a), append(diffusers, b)
		}
		if len(original) < 80 {
			t.Errorf("%d names", len(original))
		}
		forth, back := unetNames(original), unetNames(diffusers)
		for i, name := range original {
			if forth[name] != diffusers[i] || back[diffusers[i]] != name {
				t.Errorf("%s: %s, and back %s: %s", name, forth[name], diffusers[i], back[diffusers[i]])
			}
		}
	}
}

// A U-Net of other levels has no other names: which of the original's blocks is which of its own, the rule does not say.
func TestUNetNamesRefused(t *testing.T) {
	whole := func(levels ...string) []string {
		return append(levels, "conv_in", "mid_block.resnets.0.conv1", "mid_block.attentions.0.proj_in", "mid_block.resnets.1.conv1")
	}
	two := []string{"down_blocks.0.resnets.0.conv1", "down_blocks.0.resnets.1.conv1", "up_blocks.0.resnets.0.conv1", "up_blocks.0.resnets.1.conv1", "up_blocks.0.resnets.2.conv1"}
	if unetNames(whole(two...)) == nil {
		t.Error("levels of two layers have no other names")
	}
	for what, modules := range map[string][]string{
		"one layer down":    whole("down_blocks.0.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv"),
		"one layer up":      whole("up_blocks.0.resnets.0.conv1", "up_blocks.0.resnets.1.conv1"),
		"three layers":      whole(append(slices.Clone(two), "down_blocks.0.resnets.2.conv1")...),
		"another module":    whole(append(slices.Clone(two), "down_blocks.0.motion_modules.0.proj_in")...),
		"outside of levels": whole(append(slices.Clone(two), "encoder_hid_proj")...),
		"original, one":     {"middle_block.0.in_layers.2", "input_blocks.1.0.in_layers.2", "input_blocks.2.0.op"},
		"original, three":   {"middle_block.0.in_layers.2", "input_blocks.1.0.in_layers.2", "input_blocks.4.0.op"},
		"original, size up": {"middle_block.0.in_layers.2", "output_blocks.1.1.conv"},
		"neither":           {"double_blocks.0.img_attn.qkv"},
		"none":              nil,
	} {
		if got := unetNames(modules); len(got) > 0 {
			t.Errorf("%s: %v", what, got)
		}
	}
}
