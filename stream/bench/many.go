package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"weld/format"
	"weld/format/safetensors"
)

// Many is checkpoints of many small tensors, with the names that a mixture of experts has: what a run takes for each
// tensor, whatever its size, shows there.
type Many struct {
	Tensors int
	Base    string
	Models  []string // two of them
}

// Figures of such a checkpoint.
const (
	manyShards  = 8
	manyExperts = 256 // of a layer
	manyRow     = 8   // elements
	manyRows    = 4
)

var manyProjections = []string{"gate_proj", "up_proj", "down_proj"}

// NewMany names checkpoints of n tensors in dir, and writes nothing.
func NewMany(dir string, n int) *Many {
	return &Many{n, filepath.Join(dir, "base"), []string{filepath.Join(dir, "model-1"), filepath.Join(dir, "model-2")}}
}

// tensor is the i-th one.
func (m *Many) tensor(name []byte, i int) format.Tensor {
	at := func(text string, n int) { name = strconv.AppendInt(append(name, text...), int64(n), 10) }
	expert := i / len(manyProjections)
	at("model.layers.", expert/manyExperts)
	at(".mlp.experts.", expert%manyExperts)
	name = append(append(append(name, '.'), manyProjections[i%len(manyProjections)]...), ".weight"...)
	return format.Tensor{Name: string(name), DType: format.BF16, Shape: []int64{manyRows, manyRow}}
}

// Make writes the checkpoints.
func (m *Many) Make(ctx context.Context) error {
	for seed, dir := range append([]string{m.Base}, m.Models...) {
		if err := m.write(ctx, dir, uint32(seed)); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	return nil
}

// write makes one of them; those of different seeds differ by a few percent.
func (m *Many) write(ctx context.Context, dir string, seed uint32) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	const size = 2 * manyRow * manyRows
	per := (m.Tensors + manyShards - 1) / manyShards
	name := make([]byte, 0, 64)
	layout, err := safetensors.Lay(safetensors.Contents{Count: m.Tensors, Tensor: func(i int) format.Tensor { return m.tensor(name, i) }}, int64(size*per))
	if err != nil {
		return err
	}
	for i, s := range layout.Shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		data := layout.Header(i)
		for at := s.First * manyRow * manyRows; at < s.Last*manyRow*manyRows; at++ {
			x := noise(uint32(at))
			if seed > 0 {
				x += noise(uint32(at)+seed*0x9e3779b9) / 32
			}
			data = binary.LittleEndian.AppendUint16(data, uint16(math.Float32bits(x)>>16))
		}
		if err := os.WriteFile(filepath.Join(dir, s.Name), data, 0o666); err != nil {
			return err
		}
	}
	for _, index := range layout.Indexes() {
		f, err := os.Create(filepath.Join(dir, index.Name))
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.ReadFrom(index); err != nil {
			return err
		}
	}
	layers := (m.Tensors + manyExperts*len(manyProjections) - 1) / (manyExperts * len(manyProjections))
	return os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, "{\"model_type\": \"deepseek_v3\", \"num_hidden_layers\": %d, \"torch_dtype\": \"bfloat16\"}\n", layers), 0o666)
}

// noise is a number from -sigma to sigma that follows from another.
func noise(x uint32) float32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return (float32(x)/(1<<31) - 1) * sigma
}
