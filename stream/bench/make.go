package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"weld/format"
	"weld/format/safetensors"
	"weld/internal/vec"
	"weld/mmapio"
	"weld/scoring"
)

// Set is the checkpoints of one benchmark, made or not.
type Set struct {
	Dir        string
	Base       string
	Models     []string
	Importance []string // of each model
	Bytes      int64    // of each checkpoint
	Elements   int64    // likewise

	size int64    // that was asked for
	made []string // directories of Make
}

// shape is the shape of a checkpoint: that of a small Llama, or of a toy where
// the vocabulary alone would take more than the size asked for.
type shape struct{ hidden, ffn, heads, vocabulary int64 }

func shapeFor(size int64) shape {
	if size < 1e9 {
		return shape{256, 1024, 4, 2000}
	}
	return shape{2048, 8192, 16, 32000}
}

// config is what other programs want to know of the model.
const config = `{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
  "hidden_size": %d, "intermediate_size": %d, "num_attention_heads": %d, "num_key_value_heads": %d,
  "num_hidden_layers": %d, "vocab_size": %d, "tie_word_embeddings": false
}
`

// tensors lists the tensors, layer by layer until size bytes of bfloat16 are reached.
func (s shape) tensors(size int64) (list []format.Tensor, layers int) {
	hidden, ffn, vocabulary := s.hidden, s.ffn, s.vocabulary
	add := func(name string, shape ...int64) int64 {
		t := format.Tensor{Name: name, DType: format.BF16, Shape: shape}
		list = append(list, t)
		return t.Bytes()
	}
	left := size - add("model.embed_tokens.weight", vocabulary, hidden) - 2*vocabulary*hidden
	for ; left > 0; layers++ {
		p := fmt.Sprintf("model.layers.%d.", layers)
		left -= add(p+"input_layernorm.weight", hidden)
		left -= add(p+"self_attn.q_proj.weight", hidden, hidden)
		left -= add(p+"self_attn.k_proj.weight", hidden/4, hidden)
		left -= add(p+"self_attn.v_proj.weight", hidden/4, hidden)
		left -= add(p+"self_attn.o_proj.weight", hidden, hidden)
		left -= add(p+"post_attention_layernorm.weight", hidden)
		left -= add(p+"mlp.gate_proj.weight", ffn, hidden)
		left -= add(p+"mlp.up_proj.weight", ffn, hidden)
		left -= add(p+"mlp.down_proj.weight", hidden, ffn)
	}
	add("model.norm.weight", hidden)
	add("lm_head.weight", vocabulary, hidden)
	return list, layers
}

// poolSize is how many normal variates the values are drawn from: a prime, so that
// no tensor's rows meet the same ones again.
const poolSize = 1<<22 - 3

// pool holds variates of a normal distribution.
type pool []float32

func newPool(seed uint64) pool {
	r := rand.New(rand.NewPCG(seed, 0))
	p := make(pool, poolSize)
	for i := range p {
		p[i] = float32(r.NormFloat64())
	}
	return p
}

// draw fills dst with what stands at place at of the endless repetition of the pool.
func (p pool) draw(dst []float32, at int64) {
	for len(dst) > 0 {
		n := copy(dst, p[at%poolSize:])
		dst, at = dst[n:], at+int64(n)
	}
}

// Standard deviations: of weights, of what fine-tuning adds, of gradients.
const sigma, sigmaDelta, sigmaGradient = 0.02, 0.001, 1e-4

// NewSet names a base, models and their importance files in dir, size bytes each in
// bfloat16, and writes nothing.
func NewSet(dir string, size int64, models int) *Set {
	s := &Set{Dir: dir, Base: filepath.Join(dir, "base"), size: size}
	list, _ := shapeFor(size).tensors(size)
	for _, t := range list {
		s.Bytes += t.Bytes()
		s.Elements += t.Elements()
	}
	for i := range models {
		s.Models = append(s.Models, filepath.Join(dir, fmt.Sprintf("model-%d", i+1)))
		s.Importance = append(s.Importance, filepath.Join(dir, fmt.Sprintf("importance-%d", i+1)))
	}
	return s
}

// Make writes the checkpoints. Sets of the same size are the same bytes; those that are there
// already stay, and anything else in their place is an error.
func (s *Set) Make(ctx context.Context) error {
	if err := os.MkdirAll(s.Dir, 0o777); err != nil {
		return err
	}
	shape := shapeFor(s.size)
	list, layers := shape.tensors(s.size)
	m := maker{ctx: ctx, shape: shape, list: list, layers: layers, pool: newPool(1), made: func(dir string) { s.made = append(s.made, dir) }}
	const own = 1_000_003 // distance in the pool between two checkpoints
	base := func(dst []float32, at int64) {
		m.pool.draw(dst, at)
		vec.Scale(dst, dst, sigma)
	}
	if err := m.write(s.Base, nil, base); err != nil {
		return err
	}
	for i := range int64(len(s.Models)) {
		model := func(dst []float32, at int64) {
			base(dst, at)
			delta := m.scratch(len(dst))
			m.pool.draw(delta, at+(2*i+1)*own)
			vec.Axpy(dst, sigmaDelta, delta)
		}
		importance := func(dst []float32, at int64) {
			m.pool.draw(dst, at+(2*i+2)*own)
			vec.Abs(dst, dst)
			vec.Scale(dst, dst, sigmaGradient)
		}
		if err := m.write(s.Models[i], nil, model); err != nil {
			return err
		}
		statistic := map[string]string{scoring.StatisticKey: scoring.MeanAbsGrad.String()}
		if err := m.write(s.Importance[i], statistic, importance); err != nil {
			return err
		}
	}
	return nil
}

// maker writes checkpoints of the same tensors.
type maker struct {
	ctx    context.Context
	shape  shape
	list   []format.Tensor
	layers int
	pool   pool
	second []float32
	made   func(dir string)
}

func (m *maker) scratch(n int) []float32 {
	if len(m.second) < n {
		m.second = make([]float32, n)
	}
	return m.second[:n]
}

// chunk is how many elements are made at a time.
const chunk = 1 << 18

// write makes one Hub directory; value fills elements from a place in the checkpoint.
func (m *maker) write(dir string, metadata map[string]string, value func(dst []float32, at int64)) error {
	layout, err := safetensors.NewLayout(m.list, metadata, 1<<62)
	if err != nil {
		return err
	}
	if there(filepath.Join(dir, layout.Shards[0].Name), layout.Header(0), layout.Shards[0].Size) {
		return nil
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s is there already, and is not what is measured here: name another directory", dir)
	}
	stage, err := mmapio.NewStaging(mmapio.OS, dir, mmapio.Directory)
	if err != nil {
		return err
	}
	defer stage.Discard()
	file, err := stage.Create(layout.Shards[0].Name, layout.Size())
	if err != nil {
		return err
	}
	w, err := safetensors.NewWriter(layout, []safetensors.Target{file})
	if err != nil {
		return err
	}
	values, raw := make([]float32, chunk), make([]byte, 2*chunk)
	var at int64
	for i, t := range m.list {
		for lo := int64(0); lo < t.Elements(); lo += chunk {
			if err := m.ctx.Err(); err != nil {
				return err
			}
			n := min(t.Elements()-lo, chunk)
			value(values[:n], at)
			vec.EncodeBF16(raw[:2*n], values[:n])
			if err := w.WriteAt(i, 2*lo, raw[:2*n]); err != nil {
				return err
			}
			at += n
		}
	}
	small, err := stage.Create("config.json", 0)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(small, config, m.shape.hidden, m.shape.ffn, m.shape.heads, m.shape.heads/4, m.layers, m.shape.vocabulary); err != nil {
		return err
	}
	if err := stage.Commit(false, nil); err != nil {
		return err
	}
	m.made(dir)
	return nil
}

// there reports whether an earlier run has left this file: files appear when they are
// complete, and what they hold follows from their header.
func there(path string, want []byte, size int64) bool {
	file, info, err := mmapio.OpenRegular(path)
	if err != nil {
		return false
	}
	defer file.Close()
	header := make([]byte, len(want))
	_, err = file.ReadAt(header, 0)
	return err == nil && bytes.Equal(header, want) && info.Size() == size
}

// Vacant demands that nothing is under the names that the cases write to.
func (s *Set) Vacant(cases []Case) error {
	names := []string{floorName}
	for _, c := range cases {
		names = append(names, c.Out)
	}
	for _, name := range names {
		path := filepath.Join(s.Dir, name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already, and would be written to: name another directory", path)
		}
	}
	return nil
}

// Remove deletes the checkpoints that Make made.
func (s *Set) Remove() error {
	var errs []error
	for _, dir := range s.made {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}
