package packs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"weld/format"
	"weld/format/safetensors"
	"weld/stream"
)

// codedTensor is a tensor and its bytes.
type codedTensor struct {
	format.Tensor
	data []byte
}

// saveCoded saves a model in a folder.
func saveCoded(t testing.TB, dir, config string, list []codedTensor) string {
	t.Helper()
	tensors := make([]format.Tensor, len(list))
	for i, x := range list {
		tensors[i] = x.Tensor
	}
	layout, err := safetensors.NewLayout(tensors, map[string]string{"format": "pt"}, safetensors.OneShard)
	if err != nil {
		t.Fatal(err)
	}
	file := &memoryFile{}
	w, err := safetensors.NewWriter(layout, []safetensors.Target{file})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range list {
		if err := w.WriteAt(i, 0, x.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{safetensors.SingleName: file.data, "config.json": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// memoryFile is a file in memory.
type memoryFile struct{ data []byte }

func (m *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if grow := int(off) + len(p) - len(m.data); grow > 0 {
		m.data = append(m.data, make([]byte, grow)...)
	}
	return copy(m.data[off:], p), nil
}

// codedScheme is a scheme that weld writes, and how a model of it is made.
type codedScheme struct {
	name, config string
	layers       [][]codedPart
}

// codedPart is a tensor of a layer, and a filling for it.
type codedPart struct {
	name  string // behind the layer's
	dtype format.DType
	shape []int64
	fill  func(r *rand.Rand, data []byte)
}

// codes are bytes of FP8 as weights have them, and none that is no number.
func codes(r *rand.Rand, data []byte) {
	for k := range data {
		data[k] = byte(min(max(r.NormFloat64()*12+50, 0), 100)) | byte(r.UintN(2))<<7
	}
}

// nibbles are codes of four bits; every one is a number.
func nibbles(r *rand.Rand, data []byte) {
	for k := range data {
		data[k] = byte(min(max(r.NormFloat64()*2+8, 0), 15)) | byte(min(max(r.NormFloat64()*2+8, 0), 15))<<4
	}
}

// between fills with bytes.
func between(lo, hi byte) func(*rand.Rand, []byte) {
	return func(r *rand.Rand, data []byte) {
		for k := range data {
			data[k] = lo + byte(r.UintN(uint(hi-lo)))
		}
	}
}

// factors fills with numbers of a type, from one on to twice as many.
func factors(d format.DType, least float64) func(*rand.Rand, []byte) {
	return func(r *rand.Rand, data []byte) {
		x := make([]float64, len(data)*8/d.Bits())
		for k := range x {
			x[k] = least * (1 + r.Float64())
		}
		format.Encode(d, data, x)
	}
}

// words fills with numbers of eight bytes.
func words(numbers ...int64) func(*rand.Rand, []byte) {
	return func(_ *rand.Rand, data []byte) {
		for k, n := range numbers {
			binary.LittleEndian.PutUint64(data[8*k:], uint64(n))
		}
	}
}

const compressedConfig = `{"quantization_config": {"quant_method": "compressed-tensors", "format": %q, "config_groups": {"a": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": %q, "symmetric": %v, "strategy": %q, "group_size": %d}}}}}`

// codedSchemes are all that weld writes: scales of every type, few and many, known from a stripe or from all values, before the codes or with them.
func codedSchemes() []codedScheme {
	scaled := func(codesType format.DType, fill func(*rand.Rand, []byte), scales string, scaleType format.DType, shapes ...[2][]int64) (layers [][]codedPart) {
		for _, shape := range shapes {
			layers = append(layers, []codedPart{
				{scales, scaleType, shape[1], factors(scaleType, 0.001)},
				{".weight", codesType, shape[0], fill},
				{".input_scale", format.F32, []int64{}, factors(format.F32, 0.5)},
			})
		}
		return layers
	}
	return []codedScheme{
		{"FP8 blocks", `{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`, scaled(format.F8E4M3, codes, ".weight_scale_inv", format.F32,
			[2][]int64{{300, 260}, {3, 3}}, [2][]int64{{1024, 1536}, {8, 12}}, [2][]int64{{128, 128}, {1, 1}}, [2][]int64{{2000, 640}, {16, 5}})},
		{"FP8 rows", `{"quantization_config": {"quant_method": "fp8"}}`, scaled(format.F8E5M2, codes, ".weight_scale", format.BF16,
			[2][]int64{{1000, 1022}, {1000, 1}}, [2][]int64{{4, 4096}, {4, 1}})},
		{"FP8 of one scale", `{"quantization_config": {"quant_method": "fp8"}}`, scaled(format.F8E4M3, codes, ".weight_scale", format.F32,
			[2][]int64{{1500, 1024}, {}}, [2][]int64{{64, 96}, {}}, [2][]int64{{900, 800}, {1}})},
		{"FP8 with more scales than wait in memory", `{}`, scaled(format.F8E4M3, codes, ".weight_scale", format.F32,
			[2][]int64{{1024, 4096}, {1024, 2048}}, [2][]int64{{128, 64}, {1, 1}}, [2][]int64{{1024, 4096}, {1024, 2048}})},
		{"MXFP4", fmt.Sprintf(compressedConfig, "mxfp4-pack-quantized", "float", true, "group", 32), [][]codedPart{
			packedFloats(700, 1024, 32, format.U8, between(115, 120)), packedFloats(33, 192, 32, format.U8, between(115, 120)), packedFloats(2048, 2048, 32, format.U8, between(115, 120)),
		}},
		{"NVFP4", fmt.Sprintf(compressedConfig, "nvfp4-pack-quantized", "float", true, "tensor_group", 16), [][]codedPart{
			append(packedFloats(700, 1024, 16, format.F8E4M3, between(0x60, 0x70)), codedPart{".weight_global_scale", format.F32, []int64{1}, factors(format.F32, 3000)}),
			append(packedFloats(32, 192, 16, format.F8E4M3, between(0x60, 0x70)), codedPart{".weight_global_scale", format.F32, []int64{1}, factors(format.F32, 3000)}),
		}},
		{"MXFP4 of gpt-oss", `{"quantization_config": {"quant_method": "mxfp4"}}`, [][]codedPart{{
			{".gate_up_proj_blocks", format.U8, []int64{5, 640, 18, 16}, nibbles}, {".gate_up_proj_scales", format.U8, []int64{5, 640, 18}, between(115, 120)},
		}, {
			{".down_proj_blocks", format.U8, []int64{5, 576, 10, 16}, nibbles}, {".down_proj_scales", format.U8, []int64{5, 576, 10}, between(115, 120)},
		}}},
		{"int4", fmt.Sprintf(compressedConfig, "pack-quantized", "int", true, "group", 128), [][]codedPart{
			packedIntegers(700, 1024, 128), packedIntegers(1500, 2048, 128),
		}},
		{"int4 with zero points", fmt.Sprintf(compressedConfig, "pack-quantized", "int", false, "group", 128), [][]codedPart{
			append(packedIntegers(704, 1024, 128), codedPart{".weight_zero_point", format.I32, []int64{88, 8}, nibbles}),
			append(packedIntegers(1504, 2048, 128), codedPart{".weight_zero_point", format.I32, []int64{188, 16}, nibbles}),
		}},
	}
}

// packedFloats is a layer of FP4 in groups.
func packedFloats(rows, cols, group int64, scaleType format.DType, scales func(*rand.Rand, []byte)) []codedPart {
	return []codedPart{
		{".weight_scale", scaleType, []int64{rows, cols / group}, scales},
		{".weight_packed", format.U8, []int64{rows, cols / 2}, nibbles},
	}
}

// packedIntegers is a layer of four-bit integers in groups.
func packedIntegers(rows, cols, group int64) []codedPart {
	return []codedPart{
		{".weight_scale", format.BF16, []int64{rows, cols / group}, factors(format.BF16, 0.001)},
		{".weight_packed", format.I32, []int64{rows, cols / 8}, nibbles},
		{".weight_shape", format.I64, []int64{2}, words(rows, cols)},
	}
}

// model makes a model of the scheme.
func (s codedScheme) model(t testing.TB, dir string, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 77))
	norm := codedTensor{format.Tensor{Name: "model.norm.weight", DType: format.BF16, Shape: []int64{300_000}}, make([]byte, 600_000)}
	between(0, 0x40)(r, norm.data)
	list := []codedTensor{norm}
	for i, layer := range s.layers {
		for _, part := range layer {
			x := codedTensor{Tensor: format.Tensor{Name: fmt.Sprintf("model.layers.%d.mlp.experts%s", i, part.name), DType: part.dtype, Shape: part.shape}}
			x.data = make([]byte, x.Bytes())
			part.fill(r, x.data)
			list = append(list, x)
		}
	}
	return saveCoded(t, dir, s.config, list)
}

// mergeCoded merges a recipe, whose values must be stored as codes.
func mergeCoded(t testing.TB, text, out string, o stream.Options) *stream.Prepared {
	t.Helper()
	r, err := stream.Schema().Parse("r.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o.Force = true
	p, err := stream.Prepare(r, out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(p.Output.Encoded) == 0 {
		t.Fatalf("%s: nothing is encoded: %q", out, p.Notes)
	}
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return p
}

// Codes and scales are the same bytes in every container, for every number of threads and every memory: unpacked and applied, packs
// and patches are the directory, and the compressed file is the plain one.
func TestCodesInEveryContainer(t *testing.T) {
	for _, s := range codedSchemes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			a, b := s.model(t, filepath.Join(dir, "a"), 1), s.model(t, filepath.Join(dir, "b"), 2)
			recipe := "merge_method: task_arithmetic\nbase_model: " + a + "\nmodels: [{model: " + b + ", parameters: {weight: 0.5}}]\n"
			want := filepath.Join(dir, "want")
			mergeCoded(t, recipe, want, stream.Options{Threads: 1})
			checkInARow(t, want)
			weights := contents(t, want)[safetensors.SingleName]
			for _, o := range []stream.Options{{Threads: 1}, {Threads: 2, Memory: 72 << 20}, {Threads: 7}} {
				out := func(name string) string { return filepath.Join(dir, fmt.Sprint(o.Threads, "-", name)) }
				mergeCoded(t, recipe, out("dir"), o)
				same(t, out("dir"), want)
				mergeCoded(t, recipe, out("one.safetensors"), o)
				if one, _ := os.ReadFile(out("one.safetensors")); !bytes.Equal(one, weights) {
					t.Errorf("%d threads: the file is not that of the directory", o.Threads)
				}
				mergeCoded(t, recipe, out("one.safetensors.zst"), o)
				if one := decompressed(t, out("one.safetensors.zst")); !bytes.Equal(one, weights) {
					t.Errorf("%d threads: the compressed file is not that of the directory", o.Threads)
				}
				run := options(nil, nil)
				mergeCoded(t, recipe, out("one.weld"), o)
				if _, err := Unpack(t.Context(), out("one.weld"), out("unpacked"), run); err != nil {
					t.Fatal(err)
				}
				same(t, out("unpacked"), want)
				mergeCoded(t, recipe, out("one.weldpatch"), o)
				if _, err := Apply(t.Context(), a, []string{out("one.weldpatch")}, out("applied"), run); err != nil {
					t.Fatal(err)
				}
				same(t, out("applied"), want)
				for _, name := range []string{"one.weld", "one.weldpatch"} {
					if _, err := Verify(t.Context(), out(name), "", run); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if o.Threads > 1 {
						first, _ := os.ReadFile(filepath.Join(dir, "1-"+name))
						if now, _ := os.ReadFile(out(name)); !bytes.Equal(first, now) {
							t.Errorf("%d threads change %s", o.Threads, name)
						}
					}
				}
				if hidden, _ := filepath.Glob(filepath.Join(dir, ".*")); len(hidden) > 0 {
					t.Errorf("%q is left", hidden)
				}
			}
		})
	}
}

// Codes in words that come twice are stored once, though their blocks are of another type than their tensors.
func TestCodesComeTwice(t *testing.T) {
	dir := t.TempDir()
	s := codedScheme{config: "{}"}
	for range 3 {
		s.layers = append(s.layers, []codedPart{{".weight_packed", format.I32, []int64{1500, 400}, func(_ *rand.Rand, data []byte) { nibbles(rand.New(rand.NewPCG(1, 2)), data) }}})
	}
	model, pack := s.model(t, filepath.Join(dir, "model"), 1), filepath.Join(dir, "one.weld")
	if _, err := Pack(t.Context(), model, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(pack); err != nil || info.Size() > 3_200_000 { // of 7.8 MB
		t.Errorf("%v %d bytes", err, info.Size())
	}
	if _, err := Verify(t.Context(), pack, "", options(nil, nil)); err != nil {
		t.Error(err)
	}
	if _, err := Unpack(t.Context(), pack, filepath.Join(dir, "unpacked"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(dir, "unpacked"), model)
}

// decompressed is what a compressed file was.
func decompressed(t *testing.T, path string) []byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkInARow demands that a model has each weight's scales directly behind its codes, that all tensors are aligned, and that its values
// can be read.
func checkInARow(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, safetensors.SingleName))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	h, err := safetensors.ReadHeader(file.Name(), file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	coded := 0
	for i, e := range h.Tensors {
		if (h.DataStart+e.Begin)%e.DType.Align() != 0 {
			t.Errorf("%s is not aligned", e.Name)
		}
		module := e.Name[:strings.LastIndexByte(e.Name, '.')+1]
		switch e.Name[len(module):] {
		case "weight_scale", "weight_scale_inv", "weight_zero_point", "weight_global_scale", "gate_up_proj_scales", "down_proj_scales":
			coded++
			if i == 0 || !strings.HasPrefix(h.Tensors[i-1].Name, module) {
				t.Errorf("%s is not behind its codes", e.Name)
			}
		}
	}
	if coded == 0 {
		t.Error("there are no scales")
	}
}
