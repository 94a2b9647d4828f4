package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"weld/format"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/format/seekzstd"
	"weld/internal/torchsave"
)

// Commands that set a scene. Each ends the script if it cannot.

// ckpt FILE [key=value …] [name:dtype:shape:content …] writes a checkpoint of
// metadata and tensors: a *.safetensors or a *.safetensors.zst. A shape is 4x8, or
// nothing for a scalar; the content is the seed of normally distributed numbers, or
// =NUMBER for equal ones.
func ckpt(ts *testscript.TestScript, neg bool, args []string) {
	path, tensors, contents, metadata := announced(ts, neg, args)
	ts.Check(writeCheckpoint(path, tensors, metadata, 1<<62, func(i int) []byte { return content(ts, tensors[i], contents[i]) }))
}

// sparse FILE [name:dtype:shape …] writes a checkpoint of zeros that takes no space on
// the disk, however large.
func sparse(ts *testscript.TestScript, neg bool, args []string) {
	path, tensors, _, metadata := announced(ts, neg, args)
	layout, err := safetensors.NewLayout(tensors, metadata, 1<<62)
	ts.Check(err)
	ts.Check(os.WriteFile(path, layout.Header(0), 0o666))
	ts.Check(os.Truncate(path, layout.Shards[0].Size))
}

// shards DIR N cuts the model.safetensors of a directory into N shards with an index.
func shards(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "shards DIR N")
	dir := ts.MkAbs(args[0])
	ck, err := open.Checkpoint(filepath.Join(dir, safetensors.SingleName))
	ts.Check(err)
	defer ck.Close()
	var total, largest int64
	for _, t := range ck.Tensors() {
		total += t.Bytes()
		largest = max(largest, t.Bytes())
	}
	n := int64(number(ts, args[1]))
	size := max((total+n-1)/n, largest)
	ts.Check(writeCheckpoint(filepath.Join(dir, "model-sharded"), ck.Tensors(), format.Metadata(ck), size, func(i int) []byte {
		view, err := ck.View(i, 0, ck.Tensors()[i].Bytes())
		ts.Check(err)
		defer view.Release()
		return append([]byte(nil), view.Data...)
	}))
	ts.Check(os.Remove(filepath.Join(dir, safetensors.SingleName)))
	made, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	ts.Check(err)
	if len(made) != int(n) {
		ts.Fatalf("%d shards were made, not %d: choose other tensors", len(made), n)
	}
}

// torchSave FILE FROM [KEY …] writes the tensors of a checkpoint as torch.save would, as a state dict, which keys lead to.
func torchSave(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "torchsave FILE FROM [KEY …]")
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
	ts.Check(saveTorch(path, ts.MkAbs(args[1]), args[2:]...))
}

// saveTorch writes a checkpoint as torch.save would.
func saveTorch(path, from string, keys ...string) error {
	ck, err := open.Checkpoint(from)
	if err != nil {
		return err
	}
	defer ck.Close()
	var list []torchsave.Plain
	for i, t := range ck.Tensors() {
		class, ok := storageClasses[t.DType]
		if !ok {
			return fmt.Errorf("no storage of %v", t.DType)
		}
		view, err := ck.View(i, 0, t.Bytes())
		if err != nil {
			return err
		}
		list = append(list, torchsave.Plain{Name: t.Name, Class: class, Width: t.DType.Align(), Shape: t.Shape, Data: append([]byte(nil), view.Data...)})
		view.Release()
	}
	return os.WriteFile(path, torchsave.File(list, keys...), 0o666)
}

// storageClasses are torch's for a few types.
var storageClasses = map[format.DType]string{format.F64: "DoubleStorage", format.F32: "FloatStorage", format.F16: "HalfStorage", format.BF16: "BFloat16Storage", format.I64: "LongStorage", format.U8: "ByteStorage"}

// truncate FILE BYTES cuts a file to a length, or, if it is negative, that many bytes
// off its end.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "truncate FILE BYTES")
	path := ts.MkAbs(args[0])
	ts.Check(os.Truncate(path, fromEnd(ts, path, args[1])))
}

// patch FILE OFFSET HEX overwrites bytes of a file; a negative offset counts from its
// end.
func patch(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "patch FILE OFFSET HEX")
	path := ts.MkAbs(args[0])
	bytes, err := hex.DecodeString(args[2])
	ts.Check(err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	_, err = f.WriteAt(bytes, fromEnd(ts, path, args[1]))
	ts.Check(err)
}

// usage ends a script that calls a command wrongly.
func usage(ts *testscript.TestScript, neg, ok bool, synopsis string) {
	if neg {
		ts.Fatalf("! is not for %s", synopsis)
	}
	if !ok {
		ts.Fatalf("usage: %s", synopsis)
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// fromEnd is an offset in a file; a negative one counts from its end.
func fromEnd(ts *testscript.TestScript, path, text string) int64 {
	n := int64(number(ts, text))
	if n >= 0 {
		return n
	}
	info, err := os.Stat(path)
	ts.Check(err)
	return info.Size() + n
}

// announced reads the arguments of ckpt and sparse.
func announced(ts *testscript.TestScript, neg bool, args []string) (path string, tensors []format.Tensor, contents []string, metadata map[string]string) {
	usage(ts, neg, len(args) > 0, "ckpt FILE [key=value …] [name:dtype:shape:content …]")
	path = ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
	for _, arg := range args[1:] {
		fields := strings.Split(arg, ":")
		if key, value, ok := strings.Cut(fields[0], "="); ok {
			if metadata == nil {
				metadata = make(map[string]string)
			}
			metadata[key] = value
			continue
		}
		if len(fields) < 3 {
			ts.Fatalf("%q is no tensor", arg)
		}
		dtype, ok := format.ParseDType(fields[1])
		if !ok {
			ts.Fatalf("%q is no dtype", fields[1])
		}
		t := format.Tensor{Name: fields[0], DType: dtype, Shape: []int64{}}
		for _, dim := range strings.FieldsFunc(fields[2], func(r rune) bool { return r == 'x' }) {
			t.Shape = append(t.Shape, int64(number(ts, dim)))
		}
		tensors = append(tensors, t)
		contents = append(contents, strings.Join(fields[3:], ""))
	}
	return path, tensors, contents, metadata
}

// content makes the bytes of a tensor.
func content(ts *testscript.TestScript, t format.Tensor, given string) []byte {
	data := make([]byte, t.Bytes())
	equal, constant := strings.CutPrefix(given, "=")
	if !constant {
		equal = "0"
	}
	value, err := strconv.ParseFloat(equal, 64)
	ts.Check(err)
	seed := 0
	if !constant {
		seed = number(ts, given)
	}
	r := rand.New(rand.NewPCG(uint64(seed), uint64(len(data))))
	if !t.DType.Computable() {
		for i := range data {
			data[i] = byte(value)
			if !constant {
				data[i] = byte(r.IntN(2)) // valid in every dtype
			}
		}
		return data
	}
	values := make([]float64, t.Elements())
	for i := range values {
		values[i] = value
		if !constant {
			values[i] = r.NormFloat64()
		}
	}
	format.Encode(t.DType, data, values)
	return data
}

// writeCheckpoint writes tensors with the writers that weld has: at path, or, if there
// are several shards, into its directory.
func writeCheckpoint(path string, tensors []format.Tensor, metadata map[string]string, shardSize int64, content func(i int) []byte) error {
	layout, err := safetensors.NewLayout(tensors, metadata, shardSize)
	if err != nil {
		return err
	}
	var targets []safetensors.Target
	for _, s := range layout.Shards {
		name := path
		if len(layout.Shards) > 1 {
			name = filepath.Join(filepath.Dir(path), s.Name)
		}
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		defer f.Close()
		target := safetensors.Target(f)
		if strings.HasSuffix(name, ".zst") {
			if target, err = seekzstd.NewWriter(io.Writer(f), layout.Cuts(1<<20), 1); err != nil {
				return err
			}
		}
		targets = append(targets, target)
	}
	w, err := safetensors.NewWriter(layout, targets)
	if err != nil {
		return err
	}
	for _, i := range layout.Order() {
		if data := content(i); len(data) > 0 {
			if err := w.WriteAt(i, 0, data); err != nil {
				return fmt.Errorf("tensor %s: %w", tensors[i].Name, err)
			}
		}
	}
	for _, index := range layout.Indexes() {
		raw, err := io.ReadAll(index)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), index.Name), raw, 0o666); err != nil {
			return err
		}
	}
	return w.Close()
}
