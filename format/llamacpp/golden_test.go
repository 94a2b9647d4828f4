package llamacpp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/gguf"
	"weld/mmapio"
)

// goldens are the models that llama.cpp converted from what transformers saved.
var goldens = []string{"llama", "llama3", "mixtral", "qwen2", "qwen3", "qwen2moe", "qwen3moe", "gemma", "gemma2", "gemma3"}

// wanted is what transformers saved.
type wanted struct {
	Config  map[string]any    `json:"config"`
	Tensors map[string][3]any `json:"tensors"` // type, shape, digest of the values in float32
}

func readWanted(t testing.TB, name string) (w wanted) {
	t.Helper()
	readWantedInto(t, name, &w)
	return w
}

func readWantedInto(t testing.TB, name string, to any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".want.json"))
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// opened opens a golden that ends with the test.
func opened(t testing.TB, path string) *gguf.Checkpoint {
	t.Helper()
	c, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// inHub shows a golden as the Hub has it.
func inHub(t testing.TB, name string) *Hub {
	t.Helper()
	file := opened(t, filepath.Join("testdata", name+".gguf"))
	h, err := ToHub(file, file)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// bytesOf are a copy of those of a tensor.
func bytesOf(t testing.TB, c format.Checkpoint, i int) []byte {
	t.Helper()
	view, err := c.View(i, 0, c.Tensors()[i].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	return slices.Clone(view.Data)
}

// digest is that of values in float32, rounded to a type before.
func digest(t testing.TB, c format.Checkpoint, i int, rounded format.DType) string {
	t.Helper()
	x, raw := c.Tensors()[i], bytesOf(t, c, i)
	values := make([]float32, x.Elements())
	format.Decode(x.DType, values, raw)
	narrow := make([]byte, x.Elements()*int64(rounded.Bits())/8)
	format.Encode(rounded, narrow, values)
	format.Decode(rounded, values, narrow)
	wide := make([]byte, 4*len(values))
	format.Encode(format.F32, wide, values)
	sum := sha256.Sum256(wide)
	return hex.EncodeToString(sum[:8])
}

// What llama.cpp made of a model is shown as the model: names, shapes, values.
func TestTensorsOfTheHub(t *testing.T) {
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			h, want := inHub(t, name), readWanted(t, name)
			if len(h.Checkpoint.Tensors()) != len(want.Tensors) {
				t.Errorf("%d tensors, want %d", len(h.Checkpoint.Tensors()), len(want.Tensors))
			}
			for i, x := range h.Checkpoint.Tensors() {
				w, ok := want.Tensors[x.Name]
				if !ok {
					t.Errorf("nobody has %s", x.Name)
					continue
				}
				var shape []int64
				for _, n := range w[1].([]any) {
					shape = append(shape, int64(n.(float64)))
				}
				if !slices.Equal(shape, x.Shape) {
					t.Errorf("%s has shape %v, want %v", x.Name, x.Shape, shape)
				}
				if got := digest(t, h.Checkpoint, i, format.BF16); got != w[2] {
					t.Errorf("%s has other values", x.Name)
				}
				if j, found := h.Checkpoint.Find(x.Name); !found || i != j {
					t.Errorf("%s is found at %d, not %d", x.Name, j, i)
				}
			}
		})
	}
}

// What config.json says is what transformers said, as far as GGUF knows it.
func TestConfig(t *testing.T) {
	unsaid := []string{"transformers_version", "_name_or_path", "initializer_range", "attention_dropout", "use_cache", "pretraining_tp", "max_window_layers", "output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "attention_bias", "rope_parameters", "dtype", "_sliding_window_pattern", "num_local_experts", "sliding_window"}
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			h, want := inHub(t, name), readWanted(t, name).Config
			files, err := h.FilesBeside(format.BF16)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(files[0].Content, &got); err != nil || files[0].Name != "config.json" {
				t.Fatal(files[0].Name, err)
			}
			for key, value := range want {
				said, ok := got[key]
				if value == nil || !ok && value == false || slices.Contains(unsaid, key) {
					continue
				}
				if key == "layer_types" && !strings.HasPrefix(name, "gemma") {
					continue // all layers look at everything
				}
				if !same(said, value) {
					t.Errorf("%s is %v, want %v", key, said, value)
				}
			}
			if got["dtype"] != "bfloat16" || got["architectures"].([]any)[0] == "" {
				t.Errorf("%s", files[0].Content)
			}
			checkRotation(t, got, want["rope_parameters"].(map[string]any))
		})
	}
}

// checkRotation compares what older configurations say of rotations with what newer ones do.
func checkRotation(t *testing.T, got, want map[string]any) {
	t.Helper()
	if local, ok := want["sliding_attention"].(map[string]any); ok {
		if !same(got["rope_local_base_freq"], local["rope_theta"]) {
			t.Errorf("rope_local_base_freq is %v, want %v", got["rope_local_base_freq"], local)
		}
		want = want["full_attention"].(map[string]any)
	}
	scaling, _ := got["rope_scaling"].(map[string]any)
	for key, value := range want {
		switch {
		case key == "rope_theta":
			if !same(got[key], value) {
				t.Errorf("rope_theta is %v, want %v", got[key], value)
			}
		case key == "rope_type" && value == "default":
			if scaling != nil {
				t.Errorf("rope_scaling is %v", scaling)
			}
		case !same(scaling[key], value):
			t.Errorf("rope_scaling has %s %v, want %v", key, scaling[key], value)
		}
	}
}

// same compares values of JSON; numbers to what float32 knows.
func same(a, b any) bool {
	x, isNumber := a.(float64)
	y, other := b.(float64)
	if isNumber && other {
		return math.Abs(x-y) <= 1e-6*math.Abs(y)
	}
	p, _ := json.Marshal(a)
	q, _ := json.Marshal(b)
	return bytes.Equal(p, q)
}

// Any range of a tensor is that of the whole.
func TestRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range goldens {
		h := inHub(t, name)
		for i, x := range h.Checkpoint.Tensors() {
			whole := bytesOf(t, h.Checkpoint, i)
			for range 20 {
				off := r.Int64N(x.Bytes())
				n := r.Int64N(x.Bytes() - off + 1)
				lend := h.Checkpoint.View
				if n%2 == 0 {
					lend = func(i int, off, n int64) (mmapio.View, error) { return format.Read(h.Checkpoint, i, off, n) }
				}
				view, err := lend(i, off, n)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(view.Data, whole[off:off+n]) {
					t.Fatalf("%s: %s: bytes [%d, %d) are others than in the whole", name, x.Name, off, off+n)
				}
				view.Release()
			}
			if file, begin := format.Stored(h.Checkpoint, i); file != nil {
				view, err := file.View(begin, x.Bytes())
				if err != nil || !bytes.Equal(view.Data, whole) {
					t.Errorf("%s: %s lies elsewhere: %v", name, x.Name, err)
				}
				view.Release()
			}
			if _, err := h.Checkpoint.View(i, x.Bytes(), 1); err == nil {
				t.Errorf("%s: a byte behind the end is lent", x.Name)
			}
		}
	}
}
