package quant

import "encoding/json"

// weightArgs are what compressed-tensors says of a scheme.
type weightArgs struct {
	Format      string
	Bits        int
	Type        string
	Strategy    string
	Group       int64  // 0 for none
	ScaleType   string // "" where it is the weights'
	Activations bool   // they are rounded, too, each token by a scale of its own, when the model runs
}

// Declare is the quantization_config of a checkpoint in the scheme, indented as the value of a key at the top of a config.json. plain are the modules that are stored
// plainly.
func (n *Named) Declare(plain []string) []byte {
	if plain == nil {
		plain = []string{} // no null
	}
	text, err := json.MarshalIndent(n.config(n, plain), "  ", "  ")
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return text
}

// fineGrained is what transformers 5.23 reads (FineGrainedFP8Config), and DeepSeek-V3 says.
func fineGrained(n *Named, plain []string) any {
	return struct {
		Activations string   `json:"activation_scheme"`
		Format      string   `json:"fmt"`
		Plain       []string `json:"modules_to_not_convert"`
		Method      string   `json:"quant_method"`
		Block       [2]int64 `json:"weight_block_size"`
	}{"dynamic", "e4m3", plain, "fp8", n.block}
}

// compressedRounding is a QuantizationArgs of compressed-tensors.
type compressedRounding struct {
	Dynamic   bool   `json:"dynamic"`
	GroupSize *int64 `json:"group_size"`
	Bits      int    `json:"num_bits"`
	ScaleType string `json:"scale_dtype,omitempty"`
	Strategy  string `json:"strategy"`
	Symmetric bool   `json:"symmetric"`
	Type      string `json:"type"`
}

// compressedNamed is what compressed-tensors 0.20.1 writes for a model whose Linear modules are stored in one scheme.
func compressedNamed(n *Named, plain []string) any {
	type group struct {
		Format  string              `json:"format"`
		Inputs  *compressedRounding `json:"input_activations"`
		Outputs *compressedRounding `json:"output_activations"`
		Targets []string            `json:"targets"`
		Weights *compressedRounding `json:"weights"`
	}
	a := &n.args
	g := group{Format: a.Format, Targets: []string{"Linear"}, Weights: &compressedRounding{Bits: a.Bits, ScaleType: a.ScaleType, Strategy: a.Strategy, Symmetric: true, Type: a.Type}}
	if a.Group > 0 {
		g.Weights.GroupSize = &a.Group
	}
	if a.Activations {
		g.Inputs = &compressedRounding{Dynamic: true, Bits: 8, Strategy: "token", Symmetric: true, Type: a.Type}
	}
	return struct {
		Groups     map[string]group `json:"config_groups"`
		Format     string           `json:"format"`
		Ratio      *float64         `json:"global_compression_ratio"`
		Ignore     []string         `json:"ignore"`
		Cache      *struct{}        `json:"kv_cache_scheme"`
		Experts    *struct{}        `json:"moe_sparsity_config"`
		Method     string           `json:"quant_method"`
		Status     string           `json:"quantization_status"`
		Sparsity   struct{}         `json:"sparsity_config"`
		Transforms struct{}         `json:"transform_config"`
		Version    string           `json:"version"`
	}{Groups: map[string]group{"group_0": g}, Format: a.Format, Ignore: plain, Method: "compressed-tensors", Status: "compressed", Version: compressedVersion}
}

// compressedVersion is the release of compressed-tensors whose layouts are written: how codes lie in words depends on it.
const compressedVersion = "0.20.1"
