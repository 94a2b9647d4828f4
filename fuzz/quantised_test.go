package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/quant"
	"weld/mmapio"
)

// quantised is a checkpoint in memory, which is described by a text: a line for each tensor, "name type 2,3", and one for each entry of its
// metadata, "!key value". The tensors have the bytes of data in turn, again and again. So whatever a fuzzer makes of the text, types, shapes and
// values meet that no library writes together.
type quantised struct {
	tensors  []format.Tensor
	bytes    [][]byte
	byName   map[string]int
	metadata map[string]string
	beyond   error // a view that was asked for and is not there
}

// mostTensors and mostBytes bound what a text makes.
const (
	mostTensors = 64
	mostBytes   = 256 << 10
)

// describedBy reads a text, and makes changes to what it describes. What no container could hold is left out.
func describedBy(text, data, changes []byte) *quantised {
	c := &quantised{byName: make(map[string]int), metadata: make(map[string]string)}
	var list []format.Tensor
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if key, value, ok := strings.Cut(line, " "); ok && strings.HasPrefix(key, "!") {
			c.metadata[key[1:]] = value
		} else if t, ok := tensorOf(line); ok {
			list = append(list, t)
		}
	}
	for ; len(changes) >= 3 && len(list) > 0; changes = changes[3:] {
		list = changed(list, changes[0], int(changes[1])%len(list), changes[2])
	}
	left := int64(mostBytes)
	for _, t := range list {
		n, ok := format.Elements(t.Shape)
		if _, again := c.byName[t.Name]; !ok || again || len(c.tensors) == mostTensors || n >= mostBytes || n*int64(t.DType.Bits())%8 != 0 || t.Bytes() > left {
			continue
		}
		left -= t.Bytes()
		c.byName[t.Name] = len(c.tensors)
		c.tensors = append(c.tensors, t)
	}
	at := 0
	for _, t := range c.tensors {
		b := make([]byte, t.Bytes())
		for i := range b {
			if len(data) > 0 {
				b[i] = data[at%len(data)]
			}
			at++
		}
		c.bytes = append(c.bytes, b)
	}
	return c
}

// changed makes one change to a tensor.
func changed(list []format.Tensor, what byte, i int, by byte) []format.Tensor {
	t := &list[i]
	t.Shape = slices.Clone(t.Shape)
	var size *int64
	if n := len(t.Shape); n > 0 {
		size = &t.Shape[int(by)%n]
	}
	switch what % 8 {
	case 0:
		return slices.Delete(list, i, i+1)
	case 1:
		types := format.DTypes()
		t.DType = types[int(by)%len(types)]
	case 2:
		t.Shape = append(t.Shape, int64(by))
	case 3:
		t.Shape = t.Shape[:max(0, len(t.Shape)-1)]
	case 4:
		t.Name, list[int(by)%len(list)].Name = list[int(by)%len(list)].Name, t.Name
	case 5:
		if size != nil {
			*size++
		}
	case 6:
		if size != nil && *size > 0 {
			*size--
		}
	case 7:
		if size != nil {
			*size *= int64(by / 16)
		}
	}
	return list
}

// tensorOf reads a line.
func tensorOf(line string) (t format.Tensor, ok bool) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 {
		return t, false
	}
	d, ok := format.ParseDType(fields[1])
	if !ok {
		return t, false
	}
	t = format.Tensor{Name: fields[0], DType: d, Shape: []int64{}}
	for _, n := range strings.Split(fields[2], ",") {
		if fields[2] == "" {
			break
		}
		size, err := strconv.ParseInt(n, 10, 32)
		if err != nil || size < 0 || len(t.Shape) == 8 {
			return t, false
		}
		t.Shape = append(t.Shape, size)
	}
	return t, true
}

// text describes tensors of a checkpoint, and what its metadata says of a module.
func (c *quantised) text() (text, data []byte) {
	for _, key := range slices.Sorted(maps.Keys(c.metadata)) {
		text = fmt.Appendf(text, "!%s %s\n", key, c.metadata[key])
	}
	for i, t := range c.tensors {
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ","), "[]")
		text = fmt.Appendf(text, "%s %v %s\n", t.Name, t.DType, shape)
		data = append(data, c.bytes[i]...)
	}
	return text, data
}

func (c *quantised) Path() string                { return "q.safetensors" }
func (c *quantised) Tensors() []format.Tensor    { return c.tensors }
func (c *quantised) Files() []format.InputFile   { return nil }
func (c *quantised) Close() error                { return nil }
func (c *quantised) Metadata() map[string]string { return c.metadata }

func (c *quantised) Find(name string) (int, bool) {
	i, ok := c.byName[name]
	return i, ok
}

func (c *quantised) View(i int, off, n int64) (mmapio.View, error) {
	if b := c.bytes[i]; off < 0 || n < 0 || off > int64(len(b))-n {
		c.beyond = fmt.Errorf("bytes [%d, %d) of the %d of %q are asked for", off, off+n, len(b), c.tensors[i].Name)
		return mmapio.View{}, c.beyond
	}
	return mmapio.Lend(c.bytes[i][off:off+n:off+n], nobody{}, 0), nil
}

// nobody takes back what nobody misses.
type nobody struct{}

func (nobody) TakeBack([]byte, int64) {}

// quantisedSeeds adds the modules of the goldens that real libraries wrote, each as a checkpoint of its own.
func quantisedSeeds(f *testing.F) {
	paths, err := filepath.Glob("../format/quant/testdata/*.safetensors")
	if err != nil || len(paths) < 10 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, ".want.safetensors") {
			continue
		}
		c, err := open.Checkpoint(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, m := range modulesOf(f, c) {
			text, data := m.text()
			f.Add([]byte(format.Metadata(c)["config"]), text, data, []byte(nil))
		}
		c.Close()
	}
	for _, seed := range handmade {
		f.Add([]byte(seed.config), []byte(seed.text), []byte("\x38\x3f\x80\x00\x41\x21\x10\x3c"), []byte(nil))
	}
}

// handmade are layouts of which there is no golden.
var handmade = []struct{ config, text string }{
	{`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`, "a.weight F8_E4M3 130,129\na.weight_scale_inv F32 2,2\na.input_scale F32 \n"},
	{`{"quantization_config": {"quant_method": "fp8"}}`, "a.weight F8_E5M2 4,6,8\na.weight_scale BF16 4,1,8\n"},
	{`{}`, "a.weight F8_E4M3 8,32\na.scale F8_E8M0 8,2\n"},
	{`{"quantization": {"quant_algo": "NVFP4"}}`, "a.weight U8 4,16\na.weight_scale F8_E4M3 4,2\na.weight_scale_2 F32 \na.input_scale F32 \n"},
}

// modulesOf splits a checkpoint.
func modulesOf(f testing.TB, c format.Checkpoint) (list []*quantised) {
	at := make(map[string]*quantised)
	for i, t := range c.Tensors() {
		parts := strings.Split(t.Name, ".")
		name := strings.Join(parts[:min(3, len(parts)-1)], ".")
		m := at[name]
		if m == nil {
			m = &quantised{metadata: make(map[string]string)}
			at[name], list = m, append(list, m)
			for key, value := range format.Metadata(c) {
				if strings.HasPrefix(key, name+".") {
					m.metadata[key] = value
				}
			}
		}
		view, err := c.View(i, 0, t.Bytes())
		if err != nil {
			f.Fatal(err)
		}
		m.tensors, m.bytes = append(m.tensors, t), append(m.bytes, slices.Clone(view.Data))
		view.Release()
	}
	return list
}

// FuzzQuantised shows arbitrary checkpoints of codes and companions as what they stand for. They are refused, or decoded: to the same values
// whole and in parts, of a number that the stored bytes bound, in bounded memory. What can be stored again is, and stands for the same then.
func FuzzQuantised(f *testing.F) {
	quantisedSeeds(f)
	f.Fuzz(checkQuantised)
}

func checkQuantised(t *testing.T, config, text, data, changes []byte) {
	c := describedBy(text, data, changes)
	declared := quant.Declared{Config: config}
	quant.Recognize(declared, c.tensors)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	shown, err := quant.Show(c, declared)
	if err != nil {
		checkScheme(t, err)
		return
	}
	quant.Recognize(declared, shown.Tensors())
	v, ok := shown.(*quant.Decoded)
	if !ok {
		return
	}
	for i := range v.Tensors() {
		if v.Decodes(i) {
			checkDecoded(t, v, i, declared)
		}
	}
	if c.beyond != nil {
		t.Fatal(c.beyond)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Fatalf("%d MiB were allocated", n>>20)
	}
}

// checkScheme demands an error that says what is not understood.
func checkScheme(t *testing.T, err error) {
	t.Helper()
	var fault *format.Error
	if !errors.As(err, &fault) || fault.Kind != format.KindScheme && fault.Kind != format.KindShape {
		t.Fatalf("got %#v", err)
	}
}

// checkDecoded decodes a tensor whole and in two parts, and stores it again.
func checkDecoded(t *testing.T, v *quant.Decoded, i int, declared quant.Declared) {
	x := v.Tensors()[i]
	if _, _, stored := v.Scheme(i); x.Elements() > 8*stored {
		t.Fatalf("%q has %d values in %d bytes", x.Name, x.Elements(), stored)
	}
	values, err := decoded(v, i, 0, x.Bytes())
	if err != nil {
		return
	}
	cut := x.Bytes() / 3
	first, err1 := decoded(v, i, 0, cut)
	second, err2 := decoded(v, i, cut, x.Bytes()-cut)
	if err1 != nil || err2 != nil || !bytes.Equal(slices.Concat(first, second), values) {
		t.Fatalf("%q is decoded to other values in parts (%v, %v)", x.Name, err1, err2)
	}
	if e, ok := v.Encoding(i); ok && x.Elements() > 0 {
		checkEncoded(t, v, i, e, values, declared)
	}
}

// decoded is a copy of a view.
func decoded(c format.Checkpoint, i int, off, n int64) ([]byte, error) {
	view, err := c.View(i, off, n)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return slices.Clone(view.Data), nil
}

// checkEncoded stores values as they are stored: either one of them has no code, or they come back.
func checkEncoded(t *testing.T, v *quant.Decoded, i int, e *quant.Encoding, values []byte, declared quant.Declared) {
	stored := v.Checkpoint.(*quantised)
	again := *stored
	again.bytes = slices.Clone(stored.bytes)
	target := quant.EncodedTarget{Encoding: e}
	w := &rewriting{quantised: &again}
	for k, x := range append([]format.Tensor{e.Codes}, e.Companions...) {
		j, _ := stored.Find(x.Name)
		if k <= e.Made() { // what is not made of values is copied
			again.bytes[j] = make([]byte, len(stored.bytes[j]))
		}
		if k == 0 {
			target.Codes = j
		} else {
			target.Companions = append(target.Companions, j)
		}
	}
	q := quant.NewWriter(w, []quant.EncodedTarget{target})
	if q.Measures(target.Codes) {
		if err := q.Measure(target.Codes, 0, values); err != nil {
			t.Fatalf("%q: %v", v.Tensors()[i].Name, err)
		}
	}
	if err := q.WriteAt(target.Codes, 0, values); err != nil {
		return // there is no code for it
	}
	shown, err := quant.Show(&again, declared)
	if err != nil {
		t.Fatalf("%q is stored as what is refused: %v", v.Tensors()[i].Name, err)
	}
	got, err := decoded(shown, i, 0, int64(len(values)))
	if err != nil {
		t.Fatal(err)
	}
	a, b := make([]float32, len(values)/4), make([]float32, len(values)/4)
	format.Decode(format.F32, a, values)
	format.Decode(format.F32, b, got)
	for k := range a {
		if a[k] != b[k] && (a[k] == a[k] || b[k] == b[k]) && a[k]-a[k] == 0 {
			t.Fatalf("%q: element %d is %v, and %v once stored again", v.Tensors()[i].Name, k, a[k], b[k])
		}
	}
}

// rewriting puts bytes into a checkpoint.
type rewriting struct{ *quantised }

func (w *rewriting) WriteAt(i int, off int64, p []byte) error {
	copy(w.bytes[i][off:off+int64(len(p))], p)
	return nil
}

func (w *rewriting) CopyAt(int, int64, *mmapio.File, int64, int64) error {
	return errors.ErrUnsupported
}
func (w *rewriting) Abort(error) {}
