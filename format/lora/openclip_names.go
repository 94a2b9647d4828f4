package lora

import "regexp"

// Single files of SDXL and SD 2 have a text encoder of OpenCLIP, whose names are not those of transformers, and whose queries, keys and values are
// one tensor [3·width, width]. Adapters are trained on the model that transformers makes of it (diffusers 0.42,
// convert_open_clip_checkpoint), and change a third of that tensor each.

// inLayer are the modules of a layer, OpenCLIP's name first.
var inLayer = [][2]string{
	{"attn.out_proj", "self_attn.out_proj"}, {"mlp.c_fc", "mlp.fc1"}, {"mlp.c_proj", "mlp.fc2"}, {"ln_1", "layer_norm1"}, {"ln_2", "layer_norm2"},
}

// thirds are the modules that OpenCLIP has as one, in their order.
var thirds = []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}

var openCLIPLayer = regexp.MustCompile(`^transformer\.resblocks\.(\d{1,3})\.(.+)$`)

// openCLIPPlaces are the places, by transformers' name, of a module of OpenCLIP's, or of a tensor that is three.
func openCLIPPlaces(name string, visit func(module string, third int)) {
	match := openCLIPLayer.FindStringSubmatch(name)
	if match == nil {
		return
	}
	layer := "encoder.layers." + match[1] + "."
	if match[2] == "attn.in_proj_weight" {
		for i, module := range thirds {
			visit(layer+module, i+1)
		}
		return
	}
	if module, ok := other(inLayer, match[2], 0); ok {
		visit(layer+module, 0)
	}
}
