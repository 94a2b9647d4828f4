package layers

import (
	"testing"

	"weld/format"
)

// Which runs of layers a configuration counts, and where it leaves layers behind.
func TestSettle(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		names  []string // the last tensor of each run
		behind []int64
	}{
		"counted":           {`{"num_hidden_layers": 4}`, []string{"model.layers.3.w"}, []int64{0}},
		"one behind":        {`{"num_hidden_layers": 4}`, []string{"model.layers.4.w"}, []int64{1}},
		"too few":           {`{"num_hidden_layers": 4}`, []string{"model.layers.2.w"}, []int64{0}},
		"none":              {`{"num_hidden_layers": 0}`, []string{"model.layers.2.w"}, []int64{0}},
		"no configuration":  {``, []string{"model.layers.4.w"}, []int64{0}},
		"a run beside it":   {`{"num_hidden_layers": 4}`, []string{"model.layers.3.w", "extractor.conv_layers.6.w"}, []int64{0, 0}},
		"of a tower":        {`{"text_config": {"num_hidden_layers": 4}, "vision_config": {"depth": 2}}`, []string{"model.layers.3.w", "visual.blocks.2.w"}, []int64{0, 1}},
		"of the text":       {`{"text_config": {"num_hidden_layers": 4}, "vision_config": {"depth": 2}}`, []string{"model.layers.5.w", "visual.blocks.1.w"}, []int64{2, 0}},
		"one for all":       {`{"num_hidden_layers": 4}`, []string{"text_encoder.encoder.layers.3.w", "decoder.resblocks.6.w"}, []int64{0, 0}},
		"half of the model": {`{"num_layers": 4, "num_decoder_layers": 2}`, []string{"encoder.block.3.w", "decoder.block.1.w", "extra.layers.8.w"}, []int64{0, 0, 0}},
	} {
		var tensors []format.Tensor
		for _, last := range c.names {
			prefix, n, suffix := Split(last)
			for i := range n + 1 {
				tensors = append(tensors, format.Tensor{Name: prefix + string(rune('0'+i)) + suffix, DType: format.F32, Shape: []int64{9 - n}})
			}
		}
		runs := Runs(tensors)
		Settle(runs, []byte(c.config))
		for i, last := range c.names {
			prefix, n, _ := Split(last)
			for _, run := range runs {
				if run.Prefix == prefix && (run.Behind != c.behind[i] || run.Layers+run.Behind != n+1) {
					t.Errorf("%s: %d layers and %d behind in %s, want %d behind", name, run.Layers, run.Behind, prefix, c.behind[i])
				}
			}
		}
	}
}

func TestPositionOf(t *testing.T) {
	for _, c := range []struct {
		index, layers int64
		want          float64
	}{{0, 5, 0}, {1, 5, 0.25}, {4, 5, 1}, {5, 5, 1}, {9, 5, 1}, {0, 1, 1}, {3, 1, 1}} {
		if got := Position(c.index, c.layers); got != c.want {
			t.Errorf("layer %d of %d is at %g, want %g", c.index, c.layers, got, c.want)
		}
	}
}
