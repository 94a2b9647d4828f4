package lora

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weld/format"
	"weld/mmapio"
)

const f32, bf16 = format.F32, format.BF16

// pair are the factors of a linear layer.
func pair(name string, out, r, in int64) arrays {
	return arrays{prefix + name + ".lora_A.weight": random(8, f32, r, in), prefix + name + ".lora_B.weight": random(9, f32, out, r)}
}

func with(all ...arrays) arrays {
	sum := arrays{}
	for _, a := range all {
		maps.Copy(sum, a)
	}
	return sum
}

// The ways in which PEFT, old and new, names the same tensors.
func TestNames(t *testing.T) {
	a, b := random(1, f32, 2, 5), random(2, f32, 3, 2)
	base := arrays{"model.x.q.weight": random(3, bf16, 3, 5), "model.embed.weight": random(4, bf16, 5, 3)}
	want := func(c format.Checkpoint, name string) string { return fmt.Sprint(numbers(t, c, name)) }
	linear := want(apply(t, base, arrays{prefix + "model.x.q.lora_A.weight": a, prefix + "model.x.q.lora_B.weight": b}, settings{"r": 2}), "model.x.q.weight")
	for _, names := range [][2]string{
		{"model.x.q.lora_A.default.weight", "model.x.q.lora_B.default.weight"},
		{"model.x.q.lora_A.my adapter.weight", "model.x.q.lora_B.my adapter.weight"},
		{"x.q.lora_A.weight", "x.q.lora_B.weight"}, // trained on the bare model
		{"outer.model.x.q.lora_A.weight", "outer.model.x.q.lora_B.weight"},
	} {
		if got := want(apply(t, base, arrays{prefix + names[0]: a, prefix + names[1]: b}, settings{"r": 2}), "model.x.q.weight"); got != linear {
			t.Errorf("%q: %s, want %s", names, got, linear)
		}
	}
	embedding := want(apply(t, base, arrays{prefix + "model.embed.lora_embedding_A": a, prefix + "model.embed.lora_embedding_B": b}, settings{"r": 2}), "model.embed.weight")
	got := want(apply(t, base, arrays{prefix + "model.embed.lora_embedding_A.default": a, prefix + "model.embed.lora_embedding_B.default": b}, settings{"r": 2}), "model.embed.weight")
	if got != embedding {
		t.Errorf("an embedding with a name: %s, want %s", got, embedding)
	}
}

// What is stored whole replaces the base's, in its own type, and is lent as it is stored.
func TestWhole(t *testing.T) {
	base := arrays{
		"head.weight": random(1, bf16, 6, 4), "norm.weight": random(2, bf16, 4), "norm.bias": random(3, bf16, 4),
		"embed.weight": random(4, bf16, 6, 4), "mask": opaque(format.Bool, 3), "q.weight": random(5, bf16, 4, 4),
	}
	files := with(pair("q", 4, 2, 4), arrays{
		prefix + "head.weight": random(11, f32, 6, 4), prefix + "norm.modules_to_save.default.weight": random(12, bf16, 4),
		prefix + "norm.bias": random(13, format.F16, 4), prefix + "mask": opaque(format.Bool, 3),
		prefix + "embed.base_layer.weight": random(14, f32, 6, 4),
		prefix + "embed.lora_embedding_A":  random(15, f32, 2, 6), prefix + "embed.lora_embedding_B": random(16, f32, 4, 2),
	})
	b, a := base.open(t, "model.safetensors", nil), files.open(t, "adapter_model.safetensors", nil)
	c, err := Apply(b, a, settings{"r": 2, "bias": "all", "modules_to_save": []string{"head", "norm"}}.raw())
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"head.weight": "head.weight", "norm.weight": "norm.modules_to_save.default.weight", "norm.bias": "norm.bias", "mask": "mask"} {
		i, _ := c.Find(name)
		j, _ := a.Find(prefix + from)
		tensor, data := content(t, c, name)
		if want := files[prefix+from]; tensor.DType != want.dtype || !bytes.Equal(data, want.bytes) {
			t.Errorf("%s is %v %x, want %v %x", name, tensor.DType, data, want.dtype, want.bytes)
		}
		file, begin := format.Stored(c, i)
		if wantFile, wantBegin := format.Stored(a, j); file != wantFile || begin != wantBegin {
			t.Errorf("%s is stored at %d", name, begin)
		}
		if format.FileOf(c, i) != 1 {
			t.Errorf("%s is in file %d", name, format.FileOf(c, i))
		}
	}
	// The embedding's product is added to what replaces it.
	plain := arrays{"embed.weight": random(14, f32, 6, 4)}
	sum := arrays{prefix + "embed.lora_embedding_A": files[prefix+"embed.lora_embedding_A"], prefix + "embed.lora_embedding_B": files[prefix+"embed.lora_embedding_B"]}
	_, want := content(t, apply(t, plain, sum, settings{"r": 2}), "embed.weight")
	if _, got := content(t, c, "embed.weight"); !bytes.Equal(got, want) {
		t.Errorf("the embedding is %x, want %x", got, want)
	}
	if i, _ := c.Find("embed.weight"); format.FileOf(c, i) != 1 {
		t.Errorf("the embedding is in file %d", format.FileOf(c, i))
	}
}

// counted remembers what a checkpoint was asked for.
type counted struct {
	format.Checkpoint
	asked   []string
	closing error
}

func (c *counted) Advise(a mmapio.Advice, i int, off, n int64) {
	c.asked = append(c.asked, fmt.Sprintf("%d %s %d+%d", a, c.Tensors()[i].Name, off, n))
}

func (c *counted) Close() error { c.asked = append(c.asked, "close"); return c.closing }

func (c *counted) Unwrap() format.Checkpoint { return c.Checkpoint }

func (c *counted) FileOf(i int) int { return format.FileOf(c.Checkpoint, i) }

func (c *counted) Stored(i int) (*mmapio.File, int64) { return format.Stored(c.Checkpoint, i) }

// listed are the tensors of a checkpoint, with the types that they are shown in, and that the model has them in.
func listed(c format.Checkpoint) string {
	var all []string
	for _, t := range c.Tensors() {
		all = append(all, fmt.Sprintf("{%s %v %v %v}", t.Name, t.DType, t.Shape, t.StoredDType()))
	}
	return "[" + strings.Join(all, " ") + "]"
}

// The rest of the interface covers both checkpoints.
func TestBoth(t *testing.T) {
	base := arrays{"q.weight": random(1, bf16, 4, 6), "k.weight": random(2, bf16, 4, 6)}
	b := &counted{Checkpoint: base.open(t, "model.safetensors", map[string]string{"format": "pt", "x": "base"})}
	a := &counted{Checkpoint: pair("q", 4, 2, 6).open(t, "adapter_model.safetensors", map[string]string{"format": "mlx", "y": "adapter"})}
	config := settings{"r": 2}.raw()
	c, err := Apply(b, a, config)
	if err != nil {
		t.Fatal(err)
	}
	if want := b.Path() + "+" + a.Path(); c.Path() != want || format.Beside(c).Path() != format.Beside(b).Path() {
		t.Errorf("path %q, directory %q", c.Path(), format.Beside(c).Path())
	}
	if got := fmt.Sprint(format.Metadata(c)); got != "map[format:pt x:base y:adapter]" {
		t.Error(got)
	}
	if got := listed(c); got != "[{k.weight BF16 [4 6] BF16} {q.weight F32 [4 6] BF16}]" {
		t.Error(got)
	}
	if got := listed(b); got != "[{k.weight BF16 [4 6] BF16} {q.weight BF16 [4 6] BF16}]" {
		t.Errorf("the base became %s", got)
	}
	files := c.Files()
	if len(files) != 2 || files[0] != b.Files()[0] || files[1].Path != a.Files()[0].Path || files[1].Digest == a.Files()[0].Digest {
		t.Errorf("files %v", files)
	}
	digest := a.Files()[0].Digest
	if want := sha256.Sum256(append(digest[:], config...)); files[1].Digest != want {
		t.Error("the digest is not that of header and configuration")
	}
	if file, begin := format.Stored(c, 1); file != nil || begin != 0 {
		t.Error("a sum is stored")
	}
	if file, _ := format.Stored(c, 0); file == nil || format.FileOf(c, 0) != 0 || format.FileOf(c, 1) != 0 {
		t.Error("the base's tensor is not stored")
	}
	if cost := format.ViewCost(c, 1000); cost < 1000+c.(*adapted).singles.cost() || format.ViewCost(c, 0) >= cost {
		t.Errorf("a view costs %d", cost)
	}
	format.Advise(c, mmapio.Soon, 0, 3, 5)
	format.Advise(c, mmapio.Soon, 1, 0, 40)
	format.Advise(c, mmapio.Soon, 1, 40, 56)
	format.Advise(c, mmapio.Done, 1, 0, 40)
	format.Advise(c, mmapio.Done, 1, 40, 56)
	if err := format.Unchanged(c); err != nil {
		t.Error(err)
	}
	a.closing, b.closing = errors.New("a"), errors.New("b")
	if err := c.Close(); !errors.Is(err, a.closing) || !errors.Is(err, b.closing) {
		t.Errorf("Close says %v", err)
	}
	if got := strings.Join(b.asked, ", "); got != "0 k.weight 3+5, 0 q.weight 0+20, 0 q.weight 20+28, 1 q.weight 0+20, 1 q.weight 20+28, close" {
		t.Errorf("the base was asked for %s", got)
	}
	const factors = "base_model.model.q.lora_B.weight 0+32, %[1]d base_model.model.q.lora_A.weight 0+48"
	if got := strings.Join(a.asked, ", "); got != fmt.Sprintf("%[1]d "+factors, 0)+", "+fmt.Sprintf("%[1]d "+factors, 1)+", close" {
		t.Errorf("the adapter was asked for %s", got)
	}
}

// A change of either file is noticed.
func TestUnchanged(t *testing.T) {
	for which := range 2 {
		b := arrays{"q.weight": random(1, bf16, 4, 6)}.open(t, "model.safetensors", nil)
		a := pair("q", 4, 2, 6).open(t, "adapter_model.safetensors", nil)
		c, err := Apply(b, a, settings{"r": 2}.raw())
		if err != nil {
			t.Fatal(err)
		}
		if err := format.Unchanged(c); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes([]string{b.Path(), a.Path()}[which], time.Time{}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := format.Unchanged(c); err == nil {
			t.Errorf("file %d: a change is not noticed", which)
		}
	}
}

// Two adapters, one over the other.
func TestStacked(t *testing.T) {
	base := arrays{"q.weight": random(1, bf16, 4, 6)}
	first := apply(t, base, pair("q", 4, 2, 6), settings{"r": 2})
	both, err := Apply(first, pair("q", 4, 2, 6).open(t, "a.safetensors", nil), settings{"r": 2}.raw())
	if err != nil {
		t.Fatal(err)
	}
	_, once := numbers(t, first, "q.weight")
	d, twice := numbers(t, both, "q.weight")
	for i, w := range base["q.weight"].values {
		if got, want := twice[i]-w, 2*(once[i]-w); got-want > 1e-5 || want-got > 1e-5 {
			t.Fatalf("element %d changes by %v, want %v", i, got, want)
		}
	}
	if len(both.Files()) != 3 || d != f32 {
		t.Errorf("%d files, %v", len(both.Files()), d)
	}
}

// Each adapter cannot be applied; the error names the kind, the tensor and the reason.
func TestRefused(t *testing.T) {
	base := arrays{
		"m.q.weight": random(1, bf16, 4, 6), "m.square.weight": random(2, bf16, 4, 4), "m.conv.weight": random(3, bf16, 4, 6, 1, 1),
		"m.norm.weight": random(4, bf16, 4), "m.f8.weight": random(5, format.F8E4M3, 4, 6), "m.ids": opaque(format.I64, 3),
		"m.embed.weight": random(6, bf16, 9, 4), "a.twin.weight": random(7, bf16, 4, 6), "b.twin.weight": random(7, bf16, 4, 6),
	}
	a, b := random(8, f32, 2, 6), random(9, f32, 4, 2)
	for name, c := range map[string]struct {
		adapter arrays
		s       settings
		kind    format.Kind
		says    string
	}{
		"nothing":               {arrays{}, nil, format.KindKey, "without tensors"},
		"no prefix":             {arrays{"m.q.lora_A.weight": a, "m.q.lora_B.weight": b}, nil, format.KindKey, "begin with base_model.model."},
		"no target":             {pair("m.gone", 4, 2, 6), nil, format.KindKey, `no tensor "m.gone.weight"`},
		"two targets":           {pair("twin", 4, 2, 6), nil, format.KindNames, `"twin.weight" could be "a.twin.weight" or "b.twin.weight"`},
		"no whole target":       {arrays{prefix + "m.gone.weight": a}, nil, format.KindKey, `no tensor "m.gone.weight"`},
		"prefix alone":          {arrays{prefix: a}, nil, format.KindKey, "no tensor"},
		"no B":                  {arrays{prefix + "m.q.lora_A.weight": a}, nil, format.KindKey, "no lora_B"},
		"no A":                  {arrays{prefix + "m.q.lora_B.weight": b}, nil, format.KindKey, "no lora_A"},
		"rank":                  {pair("m.q", 4, 3, 6), nil, format.KindShape, "gives the rank 2"},
		"ranks":                 {arrays{prefix + "m.q.lora_A.weight": a, prefix + "m.q.lora_B.weight": random(1, f32, 4, 3)}, nil, format.KindShape, "B [4 3]"},
		"rank 0":                {pair("m.q", 4, 0, 6), nil, format.KindShape, "A [0 6]"},
		"rank by pattern":       {pair("m.q", 4, 2, 6), settings{"rank_pattern": map[string]int{"q": 3}}, format.KindShape, "gives the rank 3"},
		"in":                    {pair("m.q", 4, 2, 7), nil, format.KindShape, "[4 7]"},
		"out":                   {pair("m.q", 5, 2, 6), nil, format.KindShape, "[5 6]"},
		"vector":                {pair("m.norm", 4, 2, 1), nil, format.KindShape, "has [4]"},
		"factor is a vector":    {arrays{prefix + "m.q.lora_A.weight": random(1, f32, 2), prefix + "m.q.lora_B.weight": b}, nil, format.KindShape, "two dimensions"},
		"factor is a scalar":    {arrays{prefix + "m.q.lora_A.weight": random(1, f32), prefix + "m.q.lora_B.weight": b}, nil, format.KindShape, "two dimensions"},
		"embedding not turned":  {arrays{prefix + "m.embed.lora_embedding_A": random(1, f32, 2, 4), prefix + "m.embed.lora_embedding_B": random(1, f32, 9, 2)}, nil, format.KindShape, "[4 9]"},
		"quantised base":        {pair("m.f8", 4, 2, 6), nil, format.KindDType, "F8_E4M3"},
		"integers":              {arrays{prefix + "m.q.lora_A.weight": opaque(format.I32, 2, 6), prefix + "m.q.lora_B.weight": b}, nil, format.KindDType, "I32"},
		"whole shape":           {arrays{prefix + "m.embed.weight": random(1, f32, 10, 4)}, nil, format.KindShape, "[10 4]"},
		"whole type":            {arrays{prefix + "m.ids": random(1, f32, 3)}, nil, format.KindDType, "F32 in place of"},
		"whole and product":     {with(pair("m.q", 4, 2, 6), arrays{prefix + "m.q.weight": random(1, f32, 4, 6)}), nil, format.KindDuplicate, "as well"},
		"twice whole":           {arrays{prefix + "m.q.weight": random(1, f32, 4, 6), prefix + "q.weight": random(1, f32, 4, 6)}, nil, format.KindDuplicate, "the same"},
		"two names":             {with(pair("m.square", 4, 2, 4), arrays{prefix + "m.q.lora_A.x.weight": a, prefix + "m.q.lora_B.x.weight": b}), nil, format.KindUnsupported, "several adapters"},
		"two modules":           {with(pair("m.q", 4, 2, 6), pair("q", 4, 2, 6)), nil, format.KindDuplicate, "changes the same tensor"},
		"mixed kinds":           {arrays{prefix + "m.q.lora_A.weight": a, prefix + "m.q.lora_embedding_B": b}, nil, format.KindKey, "no lora_embedding_A"},
		"magnitude":             {with(pair("m.q", 4, 2, 6), arrays{prefix + "m.q.lora_magnitude_vector": random(1, f32, 4)}), nil, format.KindKey, "does not say use_dora"},
		"no magnitude":          {pair("m.q", 4, 2, 6), settings{"use_dora": true}, format.KindKey, "no lora_magnitude_vector"},
		"short magnitude":       {with(pair("m.q", 4, 2, 6), arrays{prefix + "m.q.lora_magnitude_vector": random(1, f32, 6)}), settings{"use_dora": true}, format.KindShape, "for 4 outputs"},
		"bias of the adapter":   {with(pair("m.q", 4, 2, 6), arrays{prefix + "m.q.lora_B.bias": random(1, f32, 4)}), nil, format.KindUnsupported, "bias"},
		"unknown part":          {arrays{prefix + "m.q.lora_diag.weight": a}, nil, format.KindUnsupported, "lora_diag"},
		"cut short":             {arrays{prefix + "m.q.lora_A": a}, nil, format.KindKey, "no lora_B"},
		"cut short, with a dot": {arrays{prefix + "m.q.lora_A.": a}, nil, format.KindKey, "does not end"},
		"too long":              {arrays{prefix + "m.q.lora_A.x.y.weight": a}, nil, format.KindKey, "does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings{"r": 2}
			maps.Copy(s, c.s)
			at := c.adapter.open(t, "adapter_model.safetensors", nil)
			_, err := Apply(base.open(t, "model.safetensors", nil), at, s.raw())
			var e *format.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Kind != c.kind || !strings.Contains(err.Error(), c.says) || e.Path != at.Path() {
				t.Errorf("kind %q, want %q with %q: %v", e.Kind, c.kind, c.says, err)
			}
			if e.Tensor == "" && len(c.adapter) > 0 {
				t.Errorf("no tensor is named: %v", err)
			}
		})
	}
}

// Everything that is wrong is said at once, in the order of the adapter.
func TestAllFaults(t *testing.T) {
	base := arrays{"q.weight": random(1, bf16, 4, 6), "k.weight": random(1, bf16, 4, 6)}
	adapter := with(pair("gone", 4, 2, 6), pair("q", 5, 2, 6), pair("k", 4, 2, 6), arrays{"x": random(1, f32, 1)})
	_, err := Apply(base.open(t, "model.safetensors", nil), adapter.open(t, "adapter_model.safetensors", nil), settings{"r": 2}.raw())
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatal(err)
	}
	var tensors []string
	for _, one := range joined.Unwrap() {
		var e *format.Error
		if !errors.As(one, &e) || filepath.Base(e.Path) != "adapter_model.safetensors" {
			t.Fatal(one)
		}
		tensors = append(tensors, strings.TrimPrefix(e.Tensor, prefix))
	}
	if want := []string{"gone.lora_A.weight", "q.lora_A.weight", "x"}; !slices.Equal(tensors, want) {
		t.Errorf("faults of %q, want %q", tensors, want)
	}
}

// imagined has tensors whose sizes no file checked.
type imagined struct {
	format.Checkpoint
	tensors []format.Tensor
}

func (c imagined) Path() string             { return "imagined" }
func (c imagined) Beside() format.Folder    { return format.Folder{} }
func (c imagined) Tensors() []format.Tensor { return c.tensors }
func (c imagined) Find(name string) (int, bool) {
	i := slices.IndexFunc(c.tensors, func(t format.Tensor) bool { return t.Name == name })
	return i, i >= 0
}

// Sizes are checked before they are multiplied.
func TestHugeSizes(t *testing.T) {
	const huge = 1 << 60
	for _, c := range []struct{ rows, cols int64 }{{huge, 1}, {1, huge}, {0, huge}, {huge, 0}, {huge, huge}} {
		base := imagined{tensors: []format.Tensor{{Name: "q.weight", DType: bf16, Shape: []int64{c.rows, c.cols}}}}
		adapter := imagined{tensors: []format.Tensor{
			{Name: prefix + "q.lora_A.weight", DType: bf16, Shape: []int64{maxRank, c.cols}},
			{Name: prefix + "q.lora_B.weight", DType: bf16, Shape: []int64{c.rows, maxRank}},
		}}
		if _, err := Apply(base, adapter, settings{"r": maxRank}.raw()); format.KindOf(err) != format.KindOverflow {
			t.Errorf("%v: %v", c, err)
		}
	}
}
