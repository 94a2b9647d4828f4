package lora

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The U-Nets of Stable Diffusion 1, 2 and XL have two sets of names: those of the original programs (input_blocks.4.1.…) and
// diffusers' (down_blocks.1.attentions.0.…). Adapters of SD 1 are mostly in the second and those of SDXL in the first, whichever
// the base is in. Every level has two layers on the way down and three on the way up: the original counts all of them, and the
// change of size behind them, in one row. The correspondence is that of diffusers 0.42 (convert_ldm_unet_checkpoint), with which the
// tests hold it; weights are the same on both sides.

// level is how many blocks of the original's row a level has.
const level = 3

// inResnet are the modules of a residual block, the original's name first.
var inResnet = [][2]string{
	{"in_layers.0", "norm1"}, {"in_layers.2", "conv1"}, {"emb_layers.1", "time_emb_proj"},
	{"out_layers.0", "norm2"}, {"out_layers.3", "conv2"}, {"skip_connection", "conv_shortcut"},
}

// outside are the modules outside of all levels, the original's name first.
var outside = [][2]string{
	{"time_embed.0", "time_embedding.linear_1"}, {"time_embed.2", "time_embedding.linear_2"},
	{"label_emb.0.0", "add_embedding.linear_1"}, {"label_emb.0.2", "add_embedding.linear_2"},
	{"input_blocks.0.0", "conv_in"}, {"out.0", "conv_norm_out"}, {"out.2", "conv_out"},
}

// other finds the second of a pair by its first, or the other way round.
func other(pairs [][2]string, name string, from int) (string, bool) {
	for _, p := range pairs {
		if p[from] == name {
			return p[1-from], true
		}
	}
	return "", false
}

var (
	originalBlock  = regexp.MustCompile(`^(input_blocks|output_blocks|middle_block)\.(\d{1,3})\.(.+)$`)
	diffusersBlock = regexp.MustCompile(`^(down_blocks\.(\d{1,3})|up_blocks\.(\d{1,3})|mid_block)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)$`)
)

// diffusersModule is diffusers' name of a module of the original.
func diffusersModule(module string) (string, bool) {
	if name, ok := other(outside, module, 0); ok {
		return name, true
	}
	match := originalBlock.FindStringSubmatch(module)
	if match == nil {
		return "", false
	}
	n, _ := strconv.Atoi(match[2])
	if match[1] == "middle_block" {
		switch n {
		case 0, 2:
			return resnetOf("mid_block.resnets."+strconv.Itoa(n/2), match[3], 0)
		case 1:
			return "mid_block.attentions.0." + match[3], true
		}
		return "", false
	}
	way := "up_blocks."
	if match[1] == "input_blocks" {
		way, n = "down_blocks.", n-1
	}
	if n < 0 {
		return "", false
	}
	block, layer := way+strconv.Itoa(n/level), strconv.Itoa(n%level)
	at, inside, _ := strings.Cut(match[3], ".")
	switch {
	case way == "down_blocks." && n%level == level-1:
		return block + ".downsamplers.0.conv", at == "0" && inside == "op"
	case at == "0":
		return resnetOf(block+".resnets."+layer, inside, 0)
	case inside == "conv":
		return block + ".upsamplers.0.conv", way == "up_blocks." && n%level == level-1
	case at == "1":
		return block + ".attentions." + layer + "." + inside, true
	}
	return "", false
}

// resnetOf is a module of a residual block.
func resnetOf(block, inside string, from int) (string, bool) {
	name, ok := other(inResnet, inside, from)
	return block + "." + name, ok
}

// originalModule is the original's name of a module of diffusers. attends says whether a level on the way up has attention, behind which
// the change of size is counted then.
func originalModule(module string, attends func(block string) bool) (string, bool) {
	if name, ok := other(outside, module, 1); ok {
		return name, true
	}
	match := diffusersBlock.FindStringSubmatch(module)
	if match == nil {
		return "", false
	}
	kind, inside := match[4], match[6]
	k, _ := strconv.Atoi(match[5])
	if match[1] == "mid_block" {
		switch {
		case kind == "resnets" && k < 2:
			return resnetOf("middle_block."+strconv.Itoa(2*k), inside, 1)
		case kind == "attentions" && k == 0:
			return "middle_block.1." + inside, true
		}
		return "", false
	}
	row, first, layers := "input_blocks.", 1, level-1
	n, err := strconv.Atoi(match[2])
	if err != nil {
		row, first, layers = "output_blocks.", 0, level
		n, _ = strconv.Atoi(match[3])
	}
	block := row + strconv.Itoa(first+n*level+k)
	switch {
	case kind == "resnets" && k < layers:
		return resnetOf(block+".0", inside, 1)
	case kind == "attentions" && k < layers:
		return block + ".1." + inside, true
	case kind == "downsamplers" && first == 1:
		return row + strconv.Itoa(first+n*level+level-1) + ".0.op", k == 0 && inside == "conv"
	case kind == "upsamplers" && first == 0:
		at := ".1"
		if attends(match[1]) {
			at = ".2"
		}
		return row + strconv.Itoa(n*level+level-1) + at + ".conv", k == 0 && inside == "conv"
	}
	return "", false
}

// unetNames gives the modules of a U-Net of Stable Diffusion their other names; nil of anything else, among it a U-Net whose levels have
// other numbers of layers.
func unetNames(modules []string) map[string]string {
	renamed := make(map[string]string, len(modules))
	switch {
	case slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(m, "middle_block.") }):
		for _, m := range modules {
			if name, ok := diffusersModule(m); ok {
				renamed[m] = name
			}
		}
	case slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(m, "mid_block.") }):
		attends := func(block string) bool {
			return slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(m, block+".attentions.") })
		}
		for _, m := range modules {
			if name, ok := originalModule(m, attends); ok {
				renamed[m] = name
			}
		}
	}
	if len(renamed) < len(modules) || !ofTwoLayers(modules) { // every module has its place, or the levels are not those
		return nil
	}
	return renamed
}

// ofTwoLayers demands of diffusers' names that no level has fewer layers than are counted; the original's show it by where sizes change.
func ofTwoLayers(modules []string) bool {
	there := make(map[string]bool, len(modules))
	for _, m := range modules {
		there[m] = true
	}
	for _, m := range modules {
		match := diffusersBlock.FindStringSubmatch(m)
		switch {
		case match == nil || match[1] == "mid_block":
		case match[2] != "" && !there[match[1]+".resnets.1.conv1"], match[3] != "" && !there[match[1]+".resnets.2.conv1"]:
			return false
		}
	}
	return true
}
