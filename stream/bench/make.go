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

// architecture is the sizes of a checkpoint's layers: those of a small Llama, or of a toy where
// the vocabulary alone would take more than the size asked for.
type architecture struct{ hidden, ffn, heads, vocabulary int64 }

func architectureFor(size int64) architecture {
	if size < 1e9 {
		return architecture{256, 1024, 4, 2000}
	}
	return architecture{2048, 8192, 16, 32000}
}

// config is what other programs want to know of the model.
const config = `{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
  "hidden_size": %d, "intermediate_size": %d, "num_attention_heads": %d, "num_key_value_heads": %d,
  "num_hidden_layers": %d, "vocab_size": %d, "tie_word_embeddings": false
}
`

// tensors lists the tensors, layer by layer until size bytes of bfloat16 are reached.
func (s architecture) tensors(size int64) (list []format.Tensor, layers int) {
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

// normalsCount is how many normal variates the values are drawn from: a prime, so that
// no tensor's rows meet the same ones again.
const normalsCount = 1<<22 - 3

// normals are variates of a normal distribution.
type normals []float32

func newNormals(seed uint64) normals {
	r := rand.New(rand.NewPCG(seed, 0))
	p := make(normals, normalsCount)
	for i := range p {
		p[i] = float32(r.NormFloat64())
	}
	return p
}

// draw fills dst with the variates from index at on, as if they were repeated without end.
func (p normals) draw(dst []float32, at int64) {
	for len(dst) > 0 {
		n := copy(dst, p[at%normalsCount:])
		dst, at = dst[n:], at+int64(n)
	}
}

// Standard deviations: of weights, of what fine-tuning adds, of gradients.
const sigma, sigmaDelta, sigmaGradient = 0.02, 0.001, 1e-4

// NewSet names a base, models and their importance files in dir, size bytes each in
// bfloat16, and writes nothing.
func NewSet(dir string, size int64, models int) *Set {
	s := &Set{Dir: dir, Base: filepath.Join(dir, "base"), size: size}
	list, _ := architectureFor(size).tensors(size)
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
	shape := architectureFor(s.size)
	list, layers := shape.tensors(s.size)
	m := maker{ctx: ctx, architecture: shape, list: list, layers: layers, normals: newNormals(1), made: func(dir string) { s.made = append(s.made, dir) }}
	const own = 1_000_003 // distance among the variates between two checkpoints
	base := func(dst []float32, at int64) {
		m.normals.draw(dst, at)
		vec.Scale(dst, dst, sigma)
	}
	if err := m.write(s.Base, nil, base); err != nil {
		return err
	}
	for i := range int64(len(s.Models)) {
		model := func(dst []float32, at int64) {
			base(dst, at)
			delta := m.scratch(len(dst))
			m.normals.draw(delta, at+(2*i+1)*own)
			vec.Axpy(dst, sigmaDelta, delta)
		}
		importance := func(dst []float32, at int64) {
			m.normals.draw(dst, at+(2*i+2)*own)
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
	ctx          context.Context
	architecture architecture
	list         []format.Tensor
	layers       int
	normals      normals
	second       []float32
	made         func(dir string)
}

func (m *maker) scratch(n int) []float32 {
	if len(m.second) < n {
		m.second = make([]float32, n)
	}
	return m.second[:n]
}

// chunk is how many elements are made at a time.
const chunk = 1 << 18

// write makes one Hub directory; value fills elements from an index in the checkpoint on.
func (m *maker) write(dir string, metadata map[string]string, value func(dst []float32, at int64)) error {
	layout, err := safetensors.NewLayout(m.list, metadata, 1<<62)
	if err != nil {
		return err
	}
	if isMade(filepath.Join(dir, layout.Shards[0].Name), layout.Header(0), layout.Shards[0].Size) {
		return nil
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s is there already, and is not what is measured here: name another directory", dir)
	}
	staging, err := mmapio.NewStaging(mmapio.OS, dir, mmapio.Directory)
	if err != nil {
		return err
	}
	defer staging.Discard()
	file, err := staging.Create(layout.Shards[0].Name, layout.Size())
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
	small, err := staging.Create("config.json", 0)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(small, config, m.architecture.hidden, m.architecture.ffn, m.architecture.heads, m.architecture.heads/4, m.layers, m.architecture.vocabulary); err != nil {
		return err
	}
	if err := staging.Commit(false, nil); err != nil {
		return err
	}
	m.made(dir)
	return nil
}

// isMade reports whether an earlier run has left this file: files appear when they are
// complete, and what they hold follows from their header.
func isMade(path string, want []byte, size int64) bool {
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
