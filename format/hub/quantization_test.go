package hub

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestQuantizations(t *testing.T) {
	for _, c := range []struct {
		config string
		want   []Quantization
	}{
		{`{}`, nil},
		{`{"quantization_config": null, "a": Infinity}`, nil},
		{`{"quantization_config": {}}`, nil},
		{`{"a": Infinity, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`, []Quantization{{"quantization_config", "fp8", ""}}},
		{`{"quantization_config": {"format": "pack-quantized", "config_groups": {"group_0": {"format": null}}, "quant_method": "compressed-tensors"}}`,
			[]Quantization{{"quantization_config", "compressed-tensors pack-quantized", ""}}},
		{`{"compression_config": {"format": "dense", "quantization_status": "frozen"}}`, []Quantization{{"compression_config", "compressed-tensors dense", ""}}},
		{`{"text_config": {"quantization_config": {"load_in_4bit": true}}}`, []Quantization{{"text_config.quantization_config", "bitsandbytes", ""}}},
		{`{"quantization_config": {"some":"day"}}`, []Quantization{{"quantization_config", "", ""}}},
		{`{"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}`,
			[]Quantization{{"quantization", "mlx", ""}, {"quantization_config", "", ""}}},
		{`{"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}`, []Quantization{{"quantization", "modelopt NVFP4", ""}}},
		{`{"quantization": {"quant_algo": null, "kv_cache_quant_algo": null}}`, nil},
		{`{"quantization": "none"}`, nil},
		{`{"quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}}`, nil},
	} {
		got := Quantizations([]byte(c.config))
		for i := range got {
			if !json.Valid([]byte(got[i].Value)) || strings.Contains(got[i].Value, " ") {
				t.Errorf("%s: value %s", c.config, got[i].Value)
			}
			got[i].Value = ""
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.config, got, c.want)
		}
	}
}

func TestDropQuantization(t *testing.T) {
	const q = `{"quant_method": "fp8", "ignore": ["a,b"]}`
	for in, want := range map[string]string{
		`{"quantization_config": ` + q + `}`:                                    `{}`,
		"{\n  \"a\": 1,\n  \"quantization_config\" : " + q + ",\n  \"b\": 2\n}": "{\n  \"a\": 1,\n  \"b\": 2\n}",
		"{\n  \"a\": 1,\n  \"quantization_config\": " + q + "\n}":               "{\n  \"a\": 1\n}",
		`{"quantization": {"bits": 4},"quantization_config": ` + q + `}`:        `{}`,
		`{"text_config": {"x": [1, 2], "quantization_config": ` + q + `}}`:      `{"text_config": {"x": [1, 2]}}`,
		`{"a": "quantization_config", "quantization_config": null}`:             `{"a": "quantization_config", "quantization_config": null}`,
	} {
		got := string(DropQuantization([]byte(in)))
		if got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is no JSON", got)
		}
	}
}

func TestSetQuantization(t *testing.T) {
	const q, set = `{"quant_method": "fp8"}`, "{\n  \"quantization_config\": {\"new\": 1}"
	for in, want := range map[string]string{
		`{}`:       set + `}`,
		`{"a": 1}`: set + `,"a": 1}`,
		"{\n  \"a\": Infinity,\n  \"quantization_config\": " + q + "\n}": set + ",\n  \"a\": Infinity\n}",
		`{"quantization_config": null, "b": 2}`:                          set + `,"b": 2}`,
		`{"text_config": {"quantization_config": ` + q + `}, "b": 2}`:    set + `,"text_config": {}, "b": 2}`,
		`[1]`: "", `nonsense`: "", `{"a": 1`: "",
	} {
		got, ok := SetQuantization([]byte(in), []byte(`{"new": 1}`))
		if ok != (want != "") || ok && string(got) != want {
			t.Errorf("%s becomes %s, %v, want %s", in, got, ok, want)
		}
	}
}
