package lora

import (
	"fmt"
	"regexp"
	"strings"

	"weld/format"
)

// adapterLayout is a way of naming the tensors of adapters.
type adapterLayout struct {
	what string // whose it is
	hint string // what to do with it where weld does not read it
	name *regexp.Regexp
}

// peft is the layout that weld reads beside a configuration.
var peft = adapterLayout{what: "PEFT's layout", name: regexp.MustCompile(`^base_model\.(model\.|vera_[AB])`)}

const (
	toPEFT     = "weld reads adapters in PEFT's layout, a folder with " + ConfigName + " and adapter_model.safetensors"
	fromKohya  = toPEFT + "; diffusers converts this one when it loads it (load_lora_weights, then save_pretrained of the adapter)"
	fromBare   = toPEFT + ", whose names begin with " + prefix
	fromMLX    = toPEFT + "; mlx_lm.fuse puts this one into its model"
	factorName = `\.(lora_[AB]|lora_(down|up)|lora_embedding_[AB])(\.|$)`
)

// kohya and diffusers are the layouts that weld reads without a configuration.
var (
	kohya = adapterLayout{what: "the layout of kohya-ss/sd-scripts (lora_unet_…, lora_te_…, with .alpha)", name: regexp.MustCompile(
		`^(lora_(unet|te\d?|transformer|prior_unet|prior_te)_|lycoris_).*\.(lora_(down|up|mid)\.weight|alpha|dora_scale|scale|(hada|lokr|oft|boft|glora|ia3)[\w.]*|diff(_b)?|norm_[wb]|[wb]_norm|on_input|weight|bias)$`)}
	diffusers = adapterLayout{what: "the layout of diffusers (unet.…, transformer.…, text_encoder.…)", name: regexp.MustCompile(
		`^(unet|transformer(_\d)?|text_encoder(_\d)?|prior)\..*(\.(lora_[AB]|lora_linear_layer|lora_(down|up)|lora\.(down|up)|alpha|lora_magnitude_vector)(\.|$)|_lora\.(down|up)\.weight$)`)}
)

// foreign are the layouts of other programs than PEFT, the more special first.
var foreign = []adapterLayout{
	kohya,
	{what: "the original names of Flux and Stable Diffusion 3 (double_blocks.…, joint_blocks.…)", name: originalName}, // read as well
	{"the layout of ComfyUI (diffusion_model.…)", fromKohya, regexp.MustCompile(`^(diffusion_model|text_encoders|model\.diffusion_model)\..*(\.(lora_[AB]|lora_(down|up)|dora_scale|alpha|diff(_b)?)(\.|$)|\.lokr_|\.hada_)`)},
	diffusers,
	{"the layout of XLabs (double_blocks.0.processor.…)", fromKohya, regexp.MustCompile(`^(diffusion_model\.)?(double|single)_blocks\.\d+\.processor\..*lora\d?\.(down|up)\.weight$`)},
	{"the layout of MLX (lora_a and lora_b)", fromMLX, regexp.MustCompile(`\.(lora_[ab]|m)$`)},
	{"factors without PEFT's beginning of a name", fromBare, regexp.MustCompile(factorName)},
}

// layoutOf finds the layout that all of a checkpoint's tensors are in.
func layoutOf(c format.Checkpoint) (l adapterLayout, ok bool) {
	all := append([]adapterLayout{peft}, foreign...)
	for _, l := range all {
		if len(c.Tensors()) > 0 && l.holds(c.Tensors()) {
			return l, true
		}
	}
	return adapterLayout{}, false
}

func (l adapterLayout) holds(tensors []format.Tensor) bool {
	named := false // a name as short as MLX's m says nothing by itself
	for _, t := range tensors {
		if !l.name.MatchString(t.Name) {
			return false
		}
		named = named || adapterName.MatchString(t.Name)
	}
	return named
}

// adapterName is what only names of adapters have.
var adapterName = regexp.MustCompile(`base_model\.|lora|lycoris|lokr_|hada_|diffusion_model\.`)

// CheckLayout refuses an adapter in a layout that weld does not read, and says which; whether
// one in another can be applied is for [Apply] and [ApplyBare] to say.
func CheckLayout(c format.Checkpoint) error {
	l, ok := layoutOf(c)
	if !ok || l.hint == "" {
		return nil
	}
	return &format.Error{Path: c.Path(), Kind: format.KindUnsupported, Detail: fmt.Sprintf("an adapter in %s: %s", l.what, l.hint)}
}

// Adapter reports whether a checkpoint is an adapter and no model, and in whose layout.
func Adapter(c format.Checkpoint) (whose string, ok bool) {
	l, ok := layoutOf(c)
	if !ok || l.what != peft.what {
		return l.what, ok
	}
	for _, t := range c.Tensors() { // a model may have been saved in its wrapper
		if strings.Contains(t.Name, ".base_layer.") {
			return "PEFT's wrapper, with the model's own tensors among the adapter's: merge_and_unload before saving makes a model", true
		}
	}
	return l.what, ok
}

// Adds reports whether a tensor's name is one that only what an adapter adds to a model has.
func Adds(name string) bool {
	_, ok := strangeIn(name)
	return ok
}
