package hub

import (
	"strings"
	"testing"
)

// What tells kinds of layers apart follows the layers, in the ways that transformers 5.23 has of saying
// it: each case is a model of six layers from which some are taken.
func TestKindsFollow(t *testing.T) {
	type ranges = [][2]int64
	whole := ranges{{0, 6}}
	doubled := ranges{{0, 6}, {0, 6}}
	for name, c := range map[string]struct {
		in     string
		ranges ranges
		want   string // in place of the first values; "" if nothing changes
		left   string
	}{
		// the first layers are dense: deepseek_v3, glm4_moe, dots1; qwen2's window
		"first k":               {`"first_k_dense_replace":2`, ranges{{0, 4}, {3, 6}}, `"first_k_dense_replace":2`, ""},
		"fewer":                 {`"first_k_dense_replace":2`, ranges{{1, 6}}, `"first_k_dense_replace":1`, ""},
		"none":                  {`"first_k_dense_replace":2`, ranges{{2, 6}}, `"first_k_dense_replace":0`, ""},
		"all dense":             {`"max_window_layers":6`, doubled, `"max_window_layers":12`, ""},
		"switched off":          {`"max_window_layers":3,"use_sliding_window":false`, doubled, ``, ""},
		"switched on":           {`"max_window_layers":3,"use_sliding_window":true`, doubled, ``, "max_window_layers"},
		"dense again":           {`"first_k_dense_replace":2`, doubled, ``, "first_k_dense_replace is carried over as it is: no number says which of the 12 layers"},
		"told by a list":        {`"first_k_dense_replace":2,"mlp_layer_types":["d","d","s","s","s","s"]`, ranges{{0, 3}, {1, 3}}, `"first_k_dense_replace":2,"mlp_layer_types":["d","d","s","d","s"]`, ""},
		"not by another":        {`"first_k_dense_replace":2,"layer_types":["a","b","a","b","a","b"]`, ranges{{0, 3}, {1, 3}}, `"first_k_dense_replace":2,"layer_types":["a","b","a","b","a"]`, "first_k_dense_replace"},
		"start and end":         {`"moe_layer_start_index":1,"moe_layer_end_index":4,"moe_layer_interval":1`, ranges{{0, 4}, {2, 6}}, `"moe_layer_start_index":1,"moe_layer_end_index":6,"moe_layer_interval":1`, ""},
		"behind the end":        {`"moe_layer_end_index":4`, ranges{{5, 6}}, "", "moe_layer_end_index"},
		"open end":              {`"moe_layer_start_index":1,"moe_layer_end_index":-1`, ranges{{0, 6}, {1, 6}}, "", ""},
		"shared at the end":     {`"num_kv_shared_layers":2`, ranges{{0, 4}, {2, 6}}, "", ""},
		"fewer at the end":      {`"num_kv_shared_layers":2`, ranges{{0, 5}}, `"num_kv_shared_layers":1`, ""},
		"shared in between":     {`"num_kv_shared_layers":2`, doubled, "", "num_kv_shared_layers"},
		"every third":           {`"sliding_window_pattern":3`, ranges{{0, 6}, {0, 3}}, "", ""},
		"becomes every other":   {`"full_attention_interval":3`, ranges{{1, 3}, {4, 6}}, `"full_attention_interval":2`, ""},
		"out of step":           {`"no_rope_layer_interval":3`, ranges{{0, 6}, {1, 6}}, "", "no_rope_layer_interval"},
		"at none of them":       {`"no_rope_layer_interval":6`, ranges{{0, 4}, {1, 2}}, "", ""},
		"behind the last":       {`"no_rope_layer_interval":3`, ranges{{0, 2}, {0, 2}}, `"no_rope_layer_interval":5`, ""},
		"two meanings":          {`"global_attn_every_n_layers":3`, ranges{{0, 6}, {3, 6}}, "", ""},
		"listed in one of them": {`"global_attn_every_n_layers":3,"layer_types":["s","s","f","s","s","f"]`, ranges{{1, 3}, {1, 3}}, `"global_attn_every_n_layers":3,"layer_types":["s","f","s","f"]`, ""},
		"neither alone":         {`"global_attn_every_n_layers":3`, ranges{{1, 3}, {4, 6}}, "", "global_attn_every_n_layers"},
		// jamba
		"period and offset": {`"attn_layer_period":3,"attn_layer_offset":1`, ranges{{1, 3}, {4, 6}}, `"attn_layer_period":2,"attn_layer_offset":0`, ""},
		"offset alone":      {`"attn_layer_period":3,"attn_layer_offset":1`, ranges{{1, 6}}, `"attn_layer_period":3,"attn_layer_offset":0`, ""},
		"once":              {`"attn_layer_period":3,"attn_layer_offset":1`, ranges{{0, 3}}, "", ""},
		"no period":         {`"attn_layer_period":3,"attn_layer_offset":1`, ranges{{0, 3}, {0, 2}, {1, 3}}, "", "attn_layer_period"},
		"period unpaired":   {`"attn_layer_period":3`, ranges{{1, 6}}, "", ""},
		// qwen3_moe
		"step":                   {`"decoder_sparse_step":2,"mlp_only_layers":[]`, ranges{{0, 6}, {0, 6}}, "", ""},
		"step with exceptions":   {`"decoder_sparse_step":2,"mlp_only_layers":[3]`, ranges{{0, 4}, {2, 6}}, `"decoder_sparse_step":2,"mlp_only_layers":[3, 5]`, ""},
		"said by the list":       {`"decoder_sparse_step":2,"mlp_only_layers":[ 3 ]`, ranges{{1, 6}}, `"decoder_sparse_step":1,"mlp_only_layers":[ 1, 2, 3 ]`, ""},
		"no exception is left":   {`"decoder_sparse_step":1,"mlp_only_layers":[0]`, ranges{{1, 6}}, `"decoder_sparse_step":1,"mlp_only_layers":[]`, ""},
		"exceptions but no step": {`"mlp_only_layers":[0, 5]`, ranges{{0, 6}, {4, 6}}, `"mlp_only_layers":[0, 5, 7]`, ""},
		// lists and texts
		"named layers":     {`"full_attn_idxs":[2,5]`, ranges{{0, 3}, {2, 6}}, `"full_attn_idxs":[2,3,6]`, ""},
		"all of them":      {`"full_attn_idxs":[0,1,2,3,4,5]`, ranges{{0, 6}, {5, 6}}, `"full_attn_idxs":[0,1,2,3,4,5,6]`, ""},
		"letters":          {`"hybrid_override_pattern":"M-M*-E"`, ranges{{0, 4}, {2, 6}}, `"hybrid_override_pattern":"M-M*M*-E"`, ""},
		"of other layers":  {`"mtp_hybrid_override_pattern":"M*"`, ranges{{0, 4}}, "", ""},
		"too many letters": {`"hybrid_override_pattern":"M-M*-EM"`, ranges{{0, 4}}, "", "hybrid_override_pattern"},
		"repeated":         {`"block_types":["r","r","a"]`, ranges{{0, 6}, {3, 6}}, "", ""},
		"spelled out":      {`"block_types":["r","r","a"]`, ranges{{0, 4}, {2, 6}}, `"block_types":["r","r","a","r","a","r","r","a"]`, ""},
		"repeated letters": {`"sliding_window_pattern":"LLG"`, ranges{{1, 4}}, `"sliding_window_pattern":"LGL"`, ""},
		"flags":            {`"attn_type_list":[0,1,1,0,1,1]`, ranges{{0, 2}, {0, 2}}, `"attn_type_list":[0,1,0,1]`, ""},
		"pointers":         {`"kv_source_layers":[0,0,2,2,4,4]`, ranges{{0, 4}}, "", "kv_source_layers"},
		"outputs":          {`"deepstack_visual_indexes":[1,3]`, ranges{{0, 4}}, "", "deepstack_visual_indexes"},
		"null":             {`"first_k_dense_replace":null,"layer_types":null,"full_attn_idxs":null`, doubled, "", ""},
		"as it is":         {`"first_k_dense_replace":2,"attn_layer_period":3,"attn_layer_offset":1,"full_attn_idxs":[ 5,2 ],"hybrid_override_pattern":"MMMMMM"`, whole, "", ""},
	} {
		config := func(said string) string { return `{"num_hidden_layers":6,` + said + `}` }
		got, left := restacked(config(c.in), Text, 6, c.ranges...)
		if c.want == "" {
			c.want = c.in
		}
		got = strings.Replace(got[strings.Index(got, ",")+1:], "}", "", 1)
		if got != c.want || (c.left == "") != (len(left) == 0) || !strings.Contains(strings.Join(left, "\n"), c.left) {
			t.Errorf("%s: %s, want %s; left %q", name, got, c.want, left)
		}
	}
}

// The kinds of a slice are those of its own model's numbers.
func TestKindsOfOthers(t *testing.T) {
	config := []byte(`{"num_hidden_layers":4,"first_k_dense_replace":1,"x":1}`)
	other := func(said string) Taken { return Taken{"other", []byte(said), 4, 0, 1, 4} }
	own := Taken{"own", config, 4, 0, 0, 2}
	for said, want := range map[string]string{
		`{"first_k_dense_replace":1}`:           `{"num_hidden_layers":5,"first_k_dense_replace":1,"x":1}`,
		`{"first_k_dense_replace":3}`:           "first_k_dense_replace is carried over as it is: no number",
		`{"first_k_dense_replace":"3"}`:         "the configuration of other does not say the same",
		`{"first_k_dense_replace":[0,1,1,1,1]}`: "the configuration of other does not say the same",
		``:                                      "the configuration of other does not say the same",
	} {
		out, left := Restack(config, Stack{Before: 4, Slices: []Taken{own, other(said)}})
		if got := string(out) + strings.Join(left, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: %s", said, got)
		}
	}
}

// Layers that are stored behind those that count have entries too, in some lists.
func TestKindsBehind(t *testing.T) {
	config := []byte(`{"num_hidden_layers":2,"layer_types":["a","b","p"],"num_nextn_predict_layers":1}`)
	for behind, want := range map[int64]string{
		1: `{"num_hidden_layers":3,"layer_types":["a","b","b","p"],"num_nextn_predict_layers":1}`,
		0: `{"num_hidden_layers":3,"layer_types":["a","b","b"],"num_nextn_predict_layers":0}`,
	} {
		slices := []Taken{{"it", config, 2, 1, 0, 2}, {"it", config, 2, 1, 1, 2}}
		if out, left := Restack(config, Stack{Before: 2, Behind: 1, NowBehind: behind, Slices: slices}); string(out) != want || left != nil {
			t.Errorf("%d behind: %s, %q", behind, out, left)
		}
	}
	out, left := Restack(config, Stack{Before: 2, Behind: 1, NowBehind: 2, Slices: []Taken{{"it", config, 2, 1, 0, 2}}})
	if len(left) != 1 || !strings.Contains(string(out), `["a","b","p"]`) {
		t.Errorf("%s, %q", out, left)
	}
}

// A number that a configuration leaves to its architecture is written, unless a list gives it.
func TestNumberThatIsNotThere(t *testing.T) {
	for in, c := range map[string]struct{ want, left string }{
		`{}`: {"{\n  \"num_hidden_layers\": 4}", "num_hidden_layers 4 is written"},
		`{"a":1,"text_config":{"b":2},"vision_config":{}}`: {"{\"a\":1,\"text_config\":{\n  \"num_hidden_layers\": 4,\"b\":2},\"vision_config\":{}}", "is written"},
		`{"layers_block_type":["a","b","c"]}`:              {`{"layers_block_type":["a","b","c","c"]}`, ""},
		`{"hybrid_override_pattern":"M*-"}`:                {`{"hybrid_override_pattern":"M*--"}`, ""},
		`{"first_k_dense_replace":1}`:                      {"{\n  \"num_hidden_layers\": 4,\"first_k_dense_replace\":1}", "is written"},
		`{"num_hidden_layers":5}`:                          {`{"num_hidden_layers":5}`, "set it to 4 in the output"},
		`[]`:                                               {`[]`, "set it to 4 in the output"},
	} {
		got, left := restacked(in, Text, 3, [2]int64{0, 3}, [2]int64{2, 3})
		if got != c.want || (c.left == "") != (len(left) == 0) || !strings.Contains(strings.Join(left, ""), c.left) {
			t.Errorf("%s: %s, left %q", in, got, left)
		}
	}
}

func TestLayers(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		part   Submodel
		have   int64
		want   int64
		none   bool
	}{
		"as many":       {config: `{"num_hidden_layers":61}`, have: 61, want: 61},
		"one behind":    {config: `{"num_hidden_layers":61}`, have: 62, want: 61},
		"too few":       {config: `{"num_hidden_layers":61}`, have: 60, want: 61},
		"nested":        {config: `{"text_config":{"num_hidden_layers":61},"vision_config":{"num_hidden_layers":27}}`, have: 62, want: 61},
		"tower":         {config: `{"num_hidden_layers":61,"vision_config":{"depth":27}}`, part: Vision, have: 28, want: 27},
		"by itself":     {config: `{"depth":27}`, have: 27, want: 27},
		"one of two":    {config: `{"num_hidden_layers":56,"num_layers":28}`, have: 28, want: 28},
		"which":         {config: `{"num_hidden_layers":56,"num_layers":28}`, have: 29, none: true},
		"twice":         {config: `{"n_layer":28,"num_layers":28}`, have: 29, want: 28},
		"other objects": {config: `{"own":{"num_hidden_layers":61}}`, have: 62, none: true},
		"no file":       {have: 2, none: true},
	} {
		if n, ok := Layers([]byte(c.config), c.part, c.have); ok == c.none || ok && n != c.want {
			t.Errorf("%s: %d, %v", name, n, ok)
		}
	}
}

// A name can claim a billion layers; nothing is made for each of them.
func TestKindsOfHugeNumbers(t *testing.T) {
	config := []byte(`{"num_hidden_layers":1000000000,"first_k_dense_replace":1}`)
	_, left := Restack(config, Stack{Before: 1e9, Slices: []Taken{{"it", config, 1e9, 0, 0, 1}}})
	if len(left) != 1 || len(KindsOf(config, Text, 1e9, 0)) > 0 {
		t.Error(left)
	}
}
