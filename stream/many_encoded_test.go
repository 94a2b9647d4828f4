package stream_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/stream"
)

// manyCodes makes a checkpoint of n small FP8 weights, each with its block's scale.
func manyCodes(t *testing.T, n int) string {
	dir := t.TempDir()
	var h safetensors.Header
	end := int64(0)
	add := func(name string, d format.DType, size int64, shape ...int64) {
		h.Tensors = append(h.Tensors, safetensors.Entry{Tensor: format.Tensor{Name: name, DType: d, Shape: shape}, Begin: end, End: end + size})
		end += size
	}
	for i := range n {
		name := fmt.Sprintf("model.layers.%d.mlp.experts.%d.down_proj.weight", i/256, i%256)
		add(name, format.F8E4M3, 32, 4, 8)
		add(name+"_scale_inv", format.F32, 4, 1, 1)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(safetensors.SingleName, append(h.AppendFile(nil), make([]byte, end)...))
	write("config.json", []byte(`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`))
	return dir
}

// What a plan and a merge hold of weights that are stored as codes is less than is stated, of views of several models and of
// an output in the same scheme, and what is allocated on the way grows with the tensors.
func TestPlansOfCodesOfManyTensors(t *testing.T) {
	const small, large = 2_000, 26_000
	type figures struct{ held, stated, planned int64 }
	measure := func(n int, quantize string) (f figures) {
		a, b := manyCodes(t, n), manyCodes(t, n)
		text := fmt.Sprintf("merge_method: linear\nquantize: %s\nmodels: [{model: %q}, {model: %q}]\n", quantize, a, b)
		r, err := stream.Schema().Parse("r.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var before, opened, after runtime.MemStats
		settle()
		runtime.ReadMemStats(&before)
		said := int64(-1)
		p, err := stream.Prepare(r, filepath.Join(t.TempDir(), "out"), stream.Options{Memory: 64 << 20, Beyond: func(bytes int64) { said = bytes }})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		runtime.ReadMemStats(&opened)
		settle()
		runtime.ReadMemStats(&after)
		if said != p.Budget.Beyond || n == large && quantize == "keep" && said == 0 {
			t.Errorf("%d bytes beyond the memory were said last, and %d are planned", said, p.Budget.Beyond)
		}
		return figures{int64(after.HeapAlloc) - int64(before.HeapAlloc), p.Budget.Held, int64(opened.TotalAlloc) - int64(before.TotalAlloc)}
	}
	for _, c := range []struct {
		quantize      string
		held, planned int64 // bytes for each weight at most
	}{{"none", 1_000, 2_500}, {"keep", 1_700, 3_800}} {
		few, many := measure(small, c.quantize), measure(large, c.quantize)
		each := func(few, many int64) int64 { return (many - few) / (large - small) }
		held, stated, planned := each(few.held, many.held), each(few.stated, many.stated), each(few.planned, many.planned)
		if c.quantize == "keep" {
			held += 165 // the writer's, once it is there
		}
		if held > stated || stated > c.held {
			t.Errorf("quantize %s: a plan holds %d bytes for each weight, and says %d", c.quantize, held, stated)
		}
		if planned > c.planned {
			t.Errorf("quantize %s: a plan allocates %d bytes for each weight", c.quantize, planned)
		}
	}
}
