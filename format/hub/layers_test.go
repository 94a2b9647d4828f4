package hub

import (
	"slices"
	"strings"
	"testing"
)

// restacked is what Restack makes of a configuration where the slices are of it itself.
func restacked(config string, part Submodel, before int64, ranges ...[2]int64) (string, []string) {
	s := Stack{Part: part, Before: before}
	for _, r := range ranges {
		s.Slices = append(s.Slices, Taken{"itself", []byte(config), before, 0, r[0], r[1]})
	}
	out, left := Restack([]byte(config), s)
	return string(out), left
}

func TestRestackNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		part      Submodel
		in, want  string
		untouched bool
	}{
		"llama":         {in: `{"num_hidden_layers": 32, "x": 32}`, want: `{"num_hidden_layers": 44, "x": 32}`},
		"gpt2":          {in: "{\"n_layer\"\t:\n 32}", want: "{\"n_layer\"\t:\n 44}"},
		"nested":        {in: `{"text_config":{"num_hidden_layers":32},"vision_config":{"num_hidden_layers":32}}`, want: `{"text_config":{"num_hidden_layers":44},"vision_config":{"num_hidden_layers":32}}`},
		"both":          {in: `{"num_hidden_layers":32,"text_config":{"num_hidden_layers":32}}`, want: `{"num_hidden_layers":44,"text_config":{"num_hidden_layers":44}}`},
		"thinker":       {in: `{"thinker_config":{"text_config":{"num_hidden_layers":32}}}`, want: `{"thinker_config":{"text_config":{"num_hidden_layers":44}}}`},
		"somewhere":     {in: `{"own":{"num_layers":32}}`, want: `{"own":{"num_layers":44}}`},
		"python":        {in: `{"x": -Infinity, "num_hidden_layers":32, "y": NaN}`, want: `{"x": -Infinity, "num_hidden_layers":44, "y": NaN}`},
		"vision":        {part: Vision, in: `{"num_hidden_layers":32,"vision_config":{"num_hidden_layers":32}}`, want: `{"num_hidden_layers":32,"vision_config":{"num_hidden_layers":44}}`},
		"depth":         {part: Vision, in: `{"depth":32,"vision_config":{"depth":32}}`, want: `{"depth":32,"vision_config":{"depth":44}}`},
		"audio":         {part: Audio, in: `{"audio_config":{"encoder_layers":32}}`, want: `{"audio_config":{"encoder_layers":44}}`},
		"t5 encoder":    {part: Encoder, in: `{"num_layers":32,"num_decoder_layers":32}`, want: `{"num_layers":44,"num_decoder_layers":32}`},
		"t5 decoder":    {part: Decoder, in: `{"num_layers":32,"num_decoder_layers":32}`, want: `{"num_layers":32,"num_decoder_layers":44}`},
		"opt":           {part: Decoder, in: `{"num_hidden_layers":32}`, want: `{"num_hidden_layers":44}`},
		"halves":        {part: Decoder, in: `{"encoder":{"num_hidden_layers":32},"decoder":{"num_hidden_layers":32}}`, want: `{"encoder":{"num_hidden_layers":32},"decoder":{"num_hidden_layers":44}}`},
		"no tower":      {part: Vision, in: `{"num_hidden_layers":32}`, untouched: true},
		"other numbers": {in: `{"num_hidden_layers":"32","layers":32,"num_hidden_layers_":32,"n_layer":31}`, untouched: true},
		"cut":           {in: `{"num_hidden_layers":32`, untouched: true},
		"more":          {in: `{"num_hidden_layers":32}}`, untouched: true},
		"no object":     {in: `[{"num_hidden_layers":32}]`, untouched: true},
		"empty":         {in: ``, untouched: true},
		"unfinished":    {in: `{"num_hidden_layers":`, untouched: true},
		"deep":          {in: strings.Repeat(`{"a":`, 1000), untouched: true},
	} {
		got, left := restacked(c.in, c.part, 32, [2]int64{0, 24}, [2]int64{12, 32})
		if c.untouched {
			c.want = c.in
		}
		if got != c.want || (len(left) == 1) != c.untouched {
			t.Errorf("%s: %s, want %s; left %v", name, got, c.want, left)
		}
	}
}

func TestRestackLists(t *testing.T) {
	for name, c := range map[string]struct {
		part     Submodel
		in, want string
		left     string // a word of it
	}{
		"strings":     {in: `{"num_hidden_layers":3,"layer_types":["a","b","c"]}`, want: `{"num_hidden_layers":4,"layer_types":["a","b","b","c"]}`},
		"layout":      {in: "{\"num_hidden_layers\":3,\n\"layer_types\": [\n  \"a\",\n  \"b\",\n  \"c\"\n ],\n\"x\": [1, 2,3]}", want: "{\"num_hidden_layers\":4,\n\"layer_types\": [\n  \"a\",\n  \"b\",\n  \"b\",\n  \"c\"\n ],\n\"x\": [1, 2,3]}"},
		"flags":       {in: `{"num_hidden_layers":3,"no_rope_layers":[1, 1, 0]}`, want: `{"num_hidden_layers":4,"no_rope_layers":[1, 1, 1, 0]}`},
		"objects":     {in: `{"n_layer":3,"block_configs":[{"a":[1,"]"]},{},null]}`, want: `{"n_layer":4,"block_configs":[{"a":[1,"]"]},{},{},null]}`},
		"known keys":  {in: `{"n_layer":3,"num_key_value_heads":[0,1,2],"sliding_window_pattern":[true,false,true]}`, want: `{"n_layer":4,"num_key_value_heads":[0,1,1,2],"sliding_window_pattern":[true,false,false,true]}`},
		"numbers":     {in: `{"n_layer":3,"mlp_only_layers":[0, 2]}`, want: `{"n_layer":4,"mlp_only_layers":[0, 3]}`},
		"all numbers": {in: `{"n_layer":3,"moe_layers":[0,1,2]}`, want: `{"n_layer":4,"moe_layers":[0,1,2,3]}`},
		"from behind": {in: `{"n_layer":3,"feature_layer":[-3,-2,-1]}`, want: `{"n_layer":4,"feature_layer":[-3,-2,-1]}`, left: "feature_layer"},
		"too short":   {in: `{"n_layer":3,"layer_types":["a","b"]}`, want: `{"n_layer":4,"layer_types":["a","b"]}`, left: "layer_types"},
		"coincidence": {in: `{"n_layer":3,"eos_token_id":[1,2,3],"architectures":["A","B","C"],"mlp_only_layers":[]}`, want: `{"n_layer":4,"eos_token_id":[1,2,3],"architectures":["A","B","C"],"mlp_only_layers":[]}`},
		"text only": {in: `{"text_config":{"num_hidden_layers":3,"layer_types":["a","b","c"]},"vision_config":{"layer_types":["a","b","c"]}}`,
			want: `{"text_config":{"num_hidden_layers":4,"layer_types":["a","b","b","c"]},"vision_config":{"layer_types":["a","b","c"]}}`},
		"vision only": {part: Vision, in: `{"layer_types":["a","b","c"],"vision_config":{"depth":3,"layer_types":["a","b","c"]}}`,
			want: `{"layer_types":["a","b","c"],"vision_config":{"depth":4,"layer_types":["a","b","b","c"]}}`},
		"number at top": {in: `{"num_hidden_layers":3,"text_config":{"layer_types":["a","b","c"]}}`, want: `{"num_hidden_layers":4,"text_config":{"layer_types":["a","b","b","c"]}}`},
		"decoder": {part: Decoder, in: `{"decoder_layers":3,"encoder_layer_types":["a","b","c"],"decoder_layer_types":["a","b","c"]}`,
			want: `{"decoder_layers":4,"encoder_layer_types":["a","b","c"],"decoder_layer_types":["a","b","b","c"]}`},
	} {
		got, left := restacked(c.in, c.part, 3, [2]int64{0, 2}, [2]int64{1, 3})
		if got != c.want || (c.left == "") != (len(left) == 0) || !strings.Contains(strings.Join(left, "\n"), c.left) {
			t.Errorf("%s: %s, want %s; left %v", name, got, c.want, left)
		}
	}
}

// Entries come from the model that the layers come from, wherever its configuration has them.
func TestRestackOfOthers(t *testing.T) {
	config := []byte(`{"text_config": {"num_hidden_layers": 2, "layer_types": ["a", "b"]}}`)
	slice := func(config string, layers, first, last int64) Taken {
		return Taken{"other", []byte(config), layers, 0, first, last}
	}
	own := slice(string(config), 2, 0, 1)
	for name, c := range map[string]struct {
		other Taken
		want  string
	}{
		"at its top":    {slice(`{"layer_types": ["x", "y", "z"]}`, 3, 1, 3), `["a", "y", "z"]`},
		"same place":    {slice(`{"layer_types": ["u", "v", "w"], "text_config": {"layer_types": ["x", "y", "z"]}}`, 3, 2, 3), `["a", "z"]`},
		"in that order": {slice(`{"text_config": {"layer_types": ["x", "y", "z"]}, "layer_types": ["u", "v", "w"]}`, 3, 2, 3), `["a", "z"]`},
		"none":          {slice(`{}`, 3, 1, 3), ""},
		"no file":       {slice(``, 3, 1, 3), ""},
		"too long":      {slice(`{"layer_types": ["x", "y", "z", "z"]}`, 3, 1, 3), ""},
	} {
		out, left := Restack(config, Stack{Before: 2, Slices: []Taken{own, c.other}})
		if c.want == "" {
			if !strings.Contains(string(out), `["a", "b"]`) || len(left) != 1 || !strings.Contains(left[0], "layer_types is carried over as it is: the configuration of other does not say the same of each") {
				t.Errorf("%s: %s, left %v", name, out, left)
			}
		} else if !strings.Contains(string(out), c.want) || len(left) > 0 {
			t.Errorf("%s: %s, want %s, left %v", name, out, c.want, left)
		}
	}
}

// Layers that are all taken, in their order, leave every byte as it is.
func FuzzRestackAll(f *testing.F) {
	f.Add([]byte(`{"num_hidden_layers":3,"layer_types":["a" , "b","c"], "block": [ 1, 1 ,1 ]}`))
	f.Add([]byte(`{"x": [{"a": [1, {}]}], "layer": "\\", "\u0061": Infinity}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		for part := Text; part <= Decoder; part++ {
			out, _ := Restack(config, Stack{Part: part, Before: 3, Slices: []Taken{{"it", config, 3, 0, 0, 2}, {"it", config, 3, 0, 2, 3}}})
			if !slices.Equal(out, config) {
				t.Fatalf("%s becomes %s", config, out)
			}
			Restack(config, Stack{Part: part, Before: 3, Slices: []Taken{{"it", config, 3, 0, 1, 3}}}) // does not panic
		}
	})
}
