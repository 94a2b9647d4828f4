// Package digits holds the demo's networks and data, and evaluates checkpoints of
// their shape: six fine-tuned readers of handwritten digits that interfere, their
// base, their importance files, and held-out test images. examples/digits has the
// script that trained them.
//
// It knows this one architecture and how to run it forward. It never merges.
package digits

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/format/open"
)

//go:embed all:data
var data embed.FS

// Names of files in a directory that [Unpack] filled. Tasks are directories.
const (
	Base                   = "base"
	MeanAbsGrad            = "importance_mean_abs.safetensors"     // at the fine-tuned weights
	MeanSqGradBase         = "importance_mean_sq_base.safetensors" // at the base's
	testFile               = "test.safetensors"
	LicenceFile            = "LICENSE-digits.txt"
	classes                = 10
	pixels                 = 64
	levels                 = 17 // grey levels of a pixel
	whitest        float32 = 16
)

// Unpack writes the checkpoints into a directory, replacing what it wrote before.
func Unpack(dir string) error {
	return fs.WalkDir(data, "data", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(path, "data")))
		if d.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		content, err := data.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o666)
	})
}

// Tests are the held-out images under every task's transform.
type Tests struct {
	Tasks  []string
	labels []byte
	inputs [][]float32 // for each task: images of 64 pixels in [0, 1]
}

// LoadTests reads the test set of an unpacked directory.
func LoadTests(dir string) (*Tests, error) {
	ck, err := open.Checkpoint(filepath.Join(dir, testFile))
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	images, err := bytesOf(ck, "images")
	if err != nil {
		return nil, err
	}
	t := &Tests{Tasks: strings.Split(format.Metadata(ck)["tasks"], ",")}
	if t.labels, err = bytesOf(ck, "labels"); err != nil {
		return nil, err
	}
	for _, task := range t.Tasks {
		permutation, err := bytesOf(ck, task+".permutation")
		if err != nil {
			return nil, err
		}
		table, err := bytesOf(ck, task+".levels")
		if err != nil {
			return nil, err
		}
		if len(permutation) != pixels || len(table) != levels || len(images) != pixels*len(t.labels) {
			return nil, fmt.Errorf("%s: task %s has tensors of unexpected shapes", ck.Path(), task)
		}
		t.inputs = append(t.inputs, transform(images, permutation, table))
	}
	return t, nil
}

// transform shows images as a task sees them.
func transform(images, permutation, table []byte) []float32 {
	inputs := make([]float32, len(images))
	for at := 0; at < len(images); at += pixels {
		for j, from := range permutation {
			inputs[at+j] = float32(table[images[at+int(from)]]) / whitest
		}
	}
	return inputs
}

// Accuracy is the share of test images that a checkpoint reads correctly, for each
// task.
func (t *Tests) Accuracy(path string) ([]float64, error) {
	ck, err := open.Checkpoint(path)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	net, err := load(ck)
	if err != nil {
		return nil, err
	}
	shares := make([]float64, len(t.Tasks))
	for task, inputs := range t.inputs {
		right := 0
		for i, label := range t.labels {
			if net.read(inputs[i*pixels:(i+1)*pixels]) == int(label) {
				right++
			}
		}
		shares[task] = float64(right) / float64(len(t.labels))
	}
	return shares, nil
}

// network is a multilayer perceptron: affine layers with ReLU between them.
type network []affine

type affine struct {
	weight, bias []float32 // [out, in] and [out]
	out          []float32
}

var layerNames = []string{"layers.0", "layers.1", "head"}

func load(ck format.Checkpoint) (network, error) {
	var net network
	in := pixels
	for _, name := range layerNames {
		weight, err := floats(ck, name+".weight")
		if err != nil {
			return nil, err
		}
		bias, err := floats(ck, name+".bias")
		if err != nil {
			return nil, err
		}
		if len(weight) != in*len(bias) {
			return nil, fmt.Errorf("%s: layer %s has %d weights for %d inputs and %d outputs", ck.Path(), name, len(weight), in, len(bias))
		}
		net = append(net, affine{weight, bias, make([]float32, len(bias))})
		in = len(bias)
	}
	if in != classes {
		return nil, fmt.Errorf("%s: %d classes instead of %d", ck.Path(), in, classes)
	}
	return net, nil
}

// read runs the network forward and returns the class with the largest output.
func (net network) read(x []float32) int {
	for i, l := range net {
		for o := range l.out {
			row := l.weight[o*len(x) : (o+1)*len(x)]
			sum := l.bias[o]
			for j, w := range row {
				sum += float32(w * x[j])
			}
			if i < len(net)-1 {
				sum = max(sum, 0)
			}
			l.out[o] = sum
		}
		x = l.out
	}
	best := 0
	for class, y := range x {
		if y > x[best] {
			best = class
		}
	}
	return best
}

// bytesOf copies a tensor of bytes.
func bytesOf(ck format.Checkpoint, name string) ([]byte, error) {
	i, ok := ck.Find(name)
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %q", ck.Path(), name)
	}
	view, err := ck.View(i, 0, ck.Tensors()[i].Bytes())
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return append([]byte(nil), view.Data...), nil
}

// floats decodes a floating tensor.
func floats(ck format.Checkpoint, name string) ([]float32, error) {
	raw, err := bytesOf(ck, name)
	if err != nil {
		return nil, err
	}
	i, _ := ck.Find(name)
	t := ck.Tensors()[i]
	if !t.DType.Computable() {
		return nil, fmt.Errorf("%s: tensor %q is %v", ck.Path(), name, t.DType)
	}
	values := make([]float32, t.Elements())
	format.Decode(t.DType, values, raw)
	return values, nil
}
