package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/quant"
	"weld/stream/plan"
	"weld/stream/recipe"
)

// converts runs a conversion that must succeed, and reads what it wrote.
func converts(t *testing.T, c Conversion, out string, o Options) (checkpoint, *Converted, []string) {
	t.Helper()
	p, err := PrepareConversion(c, out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	done, err := p.Convert(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return loadAll(t, out), done, p.Notes
}

// loadAll reads the tensors of all files of an output, with the tests' own reader.
func loadAll(t *testing.T, path string) (c checkpoint) {
	t.Helper()
	for name, data := range tree(t, path) {
		if name == "." || strings.HasSuffix(name, ".safetensors") {
			some, _ := load(t, []byte(data))
			c = append(c, some...)
		}
	}
	return c
}

// mixedModel has tensors of all the types that values are converted from, and some that are copied.
func mixedModel() checkpoint {
	r := rand.New(rand.NewPCG(7, 7))
	var c checkpoint
	for i, d := range []format.DType{format.F32, format.BF16, format.F16, format.F64} {
		values := make([]float64, 20_000+i) // several tiles
		for k := range values {
			values[k] = r.NormFloat64() * math.Pow(2, float64(r.IntN(20)-14))
		}
		c = append(c, floats("model.w"+d.String(), d, values, int64(len(values))))
	}
	return append(c, raw("model.ids", format.I64, bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 100), 100), floats("model.one", format.F32, []float64{3}))
}

// roundedToBF16 rounds by integer arithmetic: to nearest, ties to even.
func roundedToBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func TestConvertRoundsOnce(t *testing.T) {
	dir := t.TempDir()
	in := mixedModel()
	path := in.save(t, filepath.Join(dir, "in.safetensors"))
	for _, name := range []string{"out.safetensors", "out.safetensors.zst", "out"} {
		out, done, _ := converts(t, Conversion{In: path, DType: "bfloat16"}, filepath.Join(dir, name), Options{ShardSize: 50_000})
		if done.Converted != 4 || done.Copied != 2 {
			t.Errorf("%s: %+v", name, done)
		}
		for _, x := range in {
			got := out.find(x.Name)
			if x.DType == format.I64 || x.DType == format.BF16 {
				if got.DType != x.DType || !bytes.Equal(got.data, x.data) {
					t.Errorf("%s: %s is no copy", name, x.Name)
				}
				continue
			}
			if got.DType != format.BF16 {
				t.Fatalf("%s: %s is %v", name, x.Name, got.DType)
			}
			for i, v := range x.values() {
				if x.DType == format.F64 && float64(float32(v)) != v {
					continue // rounded once from float64: held by the encoder's own test
				}
				if bits := uint16(got.data[2*i]) | uint16(got.data[2*i+1])<<8; bits != roundedToBF16(float32(v)) {
					t.Fatalf("%s: %s, element %d: %#x of %v, want %#x", name, x.Name, i, bits, v, roundedToBF16(float32(v)))
				}
			}
		}
	}
}

// Where no type changes, nothing is decoded: every tensor is copied from where it is stored.
func TestConvertCopies(t *testing.T) {
	dir := t.TempDir()
	in := mixedModel()
	path := in.save(t, filepath.Join(dir, "in.safetensors"))
	for _, c := range []Conversion{
		{In: path},
		{In: path, Rename: []string{`s/^model\.//`}},
		{In: path, Drop: []string{"ids"}, Only: []string{"w", "ids"}},
		{In: saveCoded(t, filepath.Join(dir, "coded"), 1)},
		{In: filepath.Join(dir, "coded"), Rename: []string{`s/^model\.//`}, Drop: []string{"norm"}},
	} {
		p, err := PrepareConversion(c, filepath.Join(dir, "out"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if p.Fused() > 0 || p.Copied() != len(p.Tensors) || len(p.Tensors) == 0 {
			t.Errorf("%+v: %d of %d tensors are copied", c, p.Copied(), len(p.Tensors))
		}
		for _, x := range p.Tensors {
			file, begin := format.Stored(x.From.Checkpoint, int(x.Index))
			if file == nil {
				t.Errorf("%+v: %s is copied from no place in a file", c, x.Name)
				continue
			}
			view, err := file.View(begin, x.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			whole, err := x.From.View(int(x.Index), 0, x.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(view.Data, whole.Data) {
				t.Errorf("%+v: %s lies elsewhere", c, x.Name)
			}
			view.Release()
			whole.Release()
		}
	}
}

// Whatever is left out and renamed, codes stand for the same values as before. Where the scheme goes by names, other ones are refused.
func TestConvertFollowsCodes(t *testing.T) {
	for scheme, byName := range map[string]bool{
		"awq": false, "bitsandbytes": false, "compressed-sparse24": false, "gptq": false, "hqq": false, "mxfp4": false, "quanto": false,
		"compressed-bf16": true, "compressed-mixed": true, "torchao": true,
	} {
		t.Run(scheme, func(t *testing.T) {
			file := read(t, filepath.Join("..", "format", "quant", "testdata", scheme+".safetensors")) // which a library wrote
			_, metadata := load(t, file)
			dir := filepath.Join(t.TempDir(), "in")
			write(t, filepath.Join(dir, "model.safetensors"), file)
			write(t, filepath.Join(dir, "config.json"), []byte(cmp.Or(metadata["config"], "{}")))
			holdFollowed(t, dir, "")
			if !byName {
				holdFollowed(t, dir, "renamed.")
				return
			}
			_, err := PrepareConversion(Conversion{In: dir, Rename: []string{"s/^/renamed./"}}, filepath.Join(t.TempDir(), "out"), Options{})
			var refused recipe.Problems
			if !errors.As(err, &refused) || refused[0].Flag != "--rename" || !strings.Contains(err.Error(), "--quantize none") {
				t.Errorf("got %v", err)
			}
			holdDecoded(t, dir)
		})
	}
}

// holdFollowed converts all weights but one as they are stored, with a prefix to their names, and holds what they stand for to what they stood for.
func holdFollowed(t *testing.T, dir, prefix string) {
	t.Helper()
	was := shownIn(t, dir)
	drop := slices.MinFunc(was.Tensors(), func(a, b format.Tensor) int { return cmp.Compare(a.Name, b.Name) }).Name
	out := filepath.Join(t.TempDir(), "out")
	_, done, _ := converts(t, Conversion{In: dir, Drop: []string{"^" + regexp.QuoteMeta(drop) + "$"}, Rename: []string{"s/^/" + prefix + "/"}}, out, Options{})
	if done.Converted > 0 || done.LeftOut != 1 {
		t.Errorf("%+v", done)
	}
	is := shownIn(t, out)
	if len(is.Tensors()) != len(was.Tensors())-1 {
		t.Errorf("%d tensors of %d", len(is.Tensors()), len(was.Tensors()))
	}
	for i, x := range was.Tensors() {
		if j, ok := is.Find(prefix + x.Name); ok {
			holdSame(t, was, i, is, j)
		} else if x.Name != drop {
			t.Errorf("%s is not there", x.Name)
		}
	}
}

// holdDecoded converts a checkpoint to plain values of float32 under other names, and holds them to what is shown of it.
func holdDecoded(t *testing.T, dir string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	converts(t, Conversion{In: dir, Quantize: "none", DType: "float32", Rename: []string{"s/^/renamed./"}}, out, Options{})
	was, is := shownIn(t, dir), shownIn(t, out)
	for i, x := range was.Tensors() {
		if j, ok := is.Find("renamed." + x.Name); !ok {
			t.Errorf("%s is not there", x.Name)
		} else if x.DType == format.F32 {
			holdSame(t, was, i, is, j)
		}
	}
}

// shownIn is what the values of a folder stand for.
func shownIn(t *testing.T, dir string) format.Checkpoint {
	t.Helper()
	c, err := open.Checkpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	declared, err := quant.Beside(c)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := quant.Show(c, declared)
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

// holdSame demands that two tensors are the same bytes.
func holdSame(t *testing.T, a format.Checkpoint, i int, b format.Checkpoint, j int) {
	t.Helper()
	x, err := a.View(i, 0, a.Tensors()[i].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	y, err := b.View(j, 0, b.Tensors()[j].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer y.Release()
	if !bytes.Equal(x.Data, y.Data) {
		t.Errorf("%s has other values", a.Tensors()[i].Name)
	}
}

// What a file says of itself stays, and what was done to it is added.
func TestConvertKeepsMetadata(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in.safetensors")
	write(t, path, mixedModel().file(map[string]string{"format": "mlx", "weld.statistic": "mean_sq_grad", "weld.recipe": "merge_method: ties\n", "note": "x"}))
	out := filepath.Join(dir, "out.safetensors")
	converts(t, Conversion{In: path, DType: "float16", Policy: "propagate", Drop: []string{"ids"}, Rename: []string{"s/model/m/"}}, out, Options{Version: "v"})
	c, err := open.Checkpoint(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := format.Metadata(c)
	for key, want := range map[string]string{"format": "mlx", "weld.statistic": "mean_sq_grad", "weld.recipe": "merge_method: ties\n", "note": "x", "weld.version": "v"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	var said struct {
		Input        struct{ Role, Path, Fingerprint string }
		DType        string
		Drop, Rename []string
	}
	if err := json.Unmarshal([]byte(got["weld.conversion"]), &said); err != nil {
		t.Fatal(err)
	}
	if said.Input.Path != path || len(said.Input.Fingerprint) != 64 || said.DType != "float16" || !slices.Equal(said.Drop, []string{"ids"}) || !slices.Equal(said.Rename, []string{"s/model/m/"}) {
		t.Errorf("%+v", said)
	}
}

// All that is wrong with the words is said at once, and is wrong usage.
func TestConvertRefusesWords(t *testing.T) {
	_, err := PrepareConversion(Conversion{In: "x", DType: "int8", Quantize: "int1", Policy: "no", Only: []string{"("}, Drop: []string{"a", "["}, Rename: []string{"x", "s/a/b/"}}, "out", Options{})
	problems, ok := err.(recipe.Problems)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var flags []string
	for _, p := range problems {
		flags = append(flags, p.Flag)
	}
	slices.Sort(flags)
	if want := []string{"--drop", "--dtype", "--nonfinite", "--only", "--quantize", "--rename"}; !slices.Equal(flags, want) {
		t.Errorf("got %v, want %v", flags, want)
	}
}

// A tensor that would have another's name is refused with both, however many there are.
func TestConvertRefusesNames(t *testing.T) {
	dir := t.TempDir()
	path := mixedModel().save(t, filepath.Join(dir, "in.safetensors"))
	_, err := PrepareConversion(Conversion{In: path, Rename: []string{"s/.*/same/"}}, filepath.Join(dir, "out"), Options{})
	var input *plan.InputError
	var problems recipe.Problems
	if !errors.As(err, &input) || !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("got %v", err)
	}
	nothingAt(t, filepath.Join(dir, "out"))
}
