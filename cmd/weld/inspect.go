package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/format"
	"weld/format/model"
	"weld/format/open"
	"weld/format/quant"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "what is in a checkpoint",
		ArgsUsage: "PATH",
		Description: "PATH is " + open.Readable + ".\nOnly headers are read. Values that are stored in a scheme, as codes and scales, are listed as the\ntensors that they stand for, with the type of the codes and the scheme; --raw lists what is stored.\n\nExamples:\n\n" +
			"   weld inspect ./model\n   weld inspect meta-llama/Llama-3.1-8B\n   weld inspect --json model.safetensors.zst\n\n" + exitHelp,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}, rawFlag("codes and scales are listed as they are stored")},
		Action: inspect,
	}
}

// contents is what inspect prints as JSON.
type contents struct {
	Path     string            `json:"path"`
	Files    []fileContents    `json:"files"`
	Count    int               `json:"tensor_count"`
	Elements int64             `json:"elements"`
	Bytes    int64             `json:"bytes"` // of the tensors
	Metadata map[string]string `json:"metadata"`
	Tensors  []tensorContents  `json:"tensors"` // printed one by one, since there may be a million
}

type fileContents struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

type tensorContents struct {
	Name   string  `json:"name"`
	DType  string  `json:"dtype"`
	Scheme string  `json:"scheme,omitempty"` // that the values are stored in; dtype is that of the codes
	Shape  []int64 `json:"shape"`
	Bytes  int64   `json:"bytes"`
	Shard  string  `json:"shard"`
}

func inspect(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("one checkpoint is expected, %d given: weld inspect PATH", c.NArg())
	}
	ck, err := untilInterrupt(c.Context, func() (format.Checkpoint, error) { return model.Named(c.Args().First()) })
	if err != nil {
		return err
	}
	defer func() { ck.Close() }()
	if !c.Bool("raw") {
		if ck, err = logical(c, ck); err != nil {
			return err
		}
	}
	printNotes(c, format.Notes(ck))
	found := look(ck)
	tensor := func(i int) tensorContents { return tensorAt(ck, found, i) }
	if c.Bool("json") {
		return printLongJSON(c.App.Writer, found, "tensors", found.Count, func(i int) any { return tensor(i) })
	}
	w := c.App.Writer
	err = columns(w, "tensor|dtype|shape|size|file", found.Count, func(i int) []string {
		t := tensor(i)
		dtype := t.DType
		if t.Scheme != "" {
			dtype += " (" + t.Scheme + ")"
		}
		return []string{t.Name, dtype, shape(t.Shape), decimal(t.Bytes), t.Shard}
	})
	if err != nil {
		return err
	}
	say(w, "\n%s: %s parameters, %s in %s and %s\n", found.Path, count(found.Elements), decimal(found.Bytes), some(found.Count, "tensor"), some(len(found.Files), "file"))
	for _, key := range slices.Sorted(maps.Keys(found.Metadata)) {
		first, more, _ := strings.Cut(strings.TrimSpace(found.Metadata[key]), "\n")
		say(w, "%s: %s\n", key, first)
		lines(w, "    ", more)
	}
	return nil
}

// rawFlag has a command look at codes and scales instead of what they stand for.
func rawFlag(usage string) cli.Flag { return &cli.BoolFlag{Name: "raw", Usage: usage} }

// logical shows a checkpoint as what its values stand for. One that cannot be shown so is listed as it is stored, with
// a note.
func logical(c *cli.Context, ck format.Checkpoint) (format.Checkpoint, error) {
	declared, err := quant.Beside(ck)
	if err != nil {
		return ck, fmt.Errorf("read how %s stores its values: %w", ck.Path(), err)
	}
	shown, err := quant.Show(ck, declared)
	if format.KindOf(err) == format.KindScheme {
		printNotes(c, []string{fmt.Sprintf("listed as it is stored: %v", err)})
		return ck, nil
	}
	return shown, err
}

func look(ck format.Checkpoint) contents {
	found := contents{Path: ck.Path(), Count: len(ck.Tensors()), Metadata: format.Metadata(ck), Tensors: []tensorContents{}}
	for _, f := range ck.Files() {
		found.Files = append(found.Files, fileContents{filepath.Base(f.Path), f.Info.Size()})
	}
	for i, t := range ck.Tensors() {
		_, _, bytes := quant.SchemeIn(ck, i)
		found.Elements += t.Elements()
		found.Bytes += bytes
	}
	return found
}

// tensorAt is what is printed of one tensor.
func tensorAt(ck format.Checkpoint, found contents, i int) tensorContents {
	t := ck.Tensors()[i]
	dims := t.Shape
	if dims == nil {
		dims = []int64{}
	}
	name, dtype, bytes := quant.SchemeIn(ck, i)
	return tensorContents{t.Name, dtype.String(), name, dims, bytes, found.Files[format.FileOf(ck, i)].Name}
}

// shape prints dimensions as 4096×11008.
func shape(dims []int64) string {
	if len(dims) == 0 {
		return "scalar"
	}
	words := make([]string, len(dims))
	for i, d := range dims {
		words[i] = fmt.Sprint(d)
	}
	return strings.Join(words, "×")
}
