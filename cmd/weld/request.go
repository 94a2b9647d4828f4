package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

// This file turns the arguments of merge, plan and score into a recipe: a file, or
// flags that say the same.

// outputFlags are the flags of commands that plan or write an output.
func outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "shard-size", Usage: "bytes of tensors in a shard, such as 500MB", DefaultText: "5GB", Category: categoryOutput},
		&cli.BoolFlag{Name: "force", Usage: "replace an output that exists", Category: categoryOutput},
	}
}

// passesFlag is the flag of commands that plan or run a merge.
func passesFlag() cli.Flag {
	return &cli.StringFlag{Name: "passes", Usage: "how sta and ota find thresholds over whole models: one, in the walk that fuses, which reads the inputs once; two, before it; auto, one where the page cache will not hold the inputs", DefaultText: stream.PassesChoices[stream.PassesAuto], Category: categoryRun}
}

// request reads the recipe, from a file or from flags, and the positional arguments
// after it.
func request(c *cli.Context) (*recipe.Recipe, []string, error) {
	resolve, rest, err := asked(c)
	if err != nil {
		return nil, nil, err
	}
	r, err := resolve()
	return r, rest, err
}

// asked finds what says what is to be merged, and reads it. resolve makes recipes of it, in which overrides
// replace what it says.
func asked(c *cli.Context) (resolve func(overrides ...recipe.Setting) (*recipe.Recipe, error), rest []string, err error) {
	args := c.Args().Slice()
	if c.IsSet("method") || c.IsSet("model") {
		if len(args) > 0 && isRecipe(args[0]) {
			return nil, nil, besideRecipe(c, args[0])
		}
		return func(overrides ...recipe.Setting) (*recipe.Recipe, error) {
			d := draft(c)
			d.Override(overrides)
			return stream.Recipes().Resolve(d)
		}, args, nil
	}
	if len(args) == 0 {
		return nil, nil, usagef("no recipe and no --method; see weld %s --help", c.Command.Name)
	}
	for _, flag := range methodFlags(invocation{}) {
		if name := flag.Names()[0]; c.IsSet(name) {
			return nil, nil, usagef("--%s: a recipe says everything about the merge; write it into %s", name, args[0])
		}
	}
	data, err := readRecipe(c.Context, args[0])
	return func(overrides ...recipe.Setting) (*recipe.Recipe, error) {
		return stream.Recipes().Parse(originOf(args[0]), data, overrides...)
	}, args[1:], err
}

// isRecipe reports whether a positional argument is a recipe, and not the name of an output.
func isRecipe(name string) bool {
	ending := strings.ToLower(filepath.Ext(name))
	return ending == ".yml" || ending == ".yaml"
}

// besideRecipe is the error of a recipe that stands beside flags which say what is merged.
func besideRecipe(c *cli.Context, name string) error {
	flag := "--method"
	if !c.IsSet("method") {
		flag = "--model"
	}
	return usagef("%s and %s exclude each other: a recipe says everything about the merge", name, flag)
}

// draft writes flags down as a recipe.
func draft(c *cli.Context) *recipe.Draft {
	text := func(flag string) recipe.Setting {
		return recipe.Setting{Key: strings.ReplaceAll(flag, "-", "_"), Text: c.String(flag), Where: recipe.Position{Flag: "--" + flag}}
	}
	d := &recipe.Draft{Method: text("method"), Base: text("base"), DType: text("dtype")}
	if c.IsSet("out-dtype") {
		d.DType = text("out-dtype")
	}
	for _, path := range c.StringSlice("model") {
		s := text("model")
		s.Text = path
		d.Models = append(d.Models, recipe.DraftModel{Path: s})
	}
	m, ok := stream.Schema().Find(d.Method.Text)
	if !ok { // which Resolve says; what keys mean is not known then
		return d
	}
	for _, p := range m.Params {
		addKey(d, c, p)
	}
	for _, k := range allKeys() {
		if flag := flagName(k.Key); c.IsSet(flag) && !slices.Contains(k.methods, m.Name) {
			d.Params = append(d.Params, recipe.Setting{Key: k.Key, Where: recipe.Position{Flag: "--" + flag}}) // which Resolve refuses
		}
	}
	return d
}

// addKey adds what the flag of a key says, if it is given.
func addKey(d *recipe.Draft, c *cli.Context, p recipe.Param) {
	flag := flagName(p.Key)
	if !c.IsSet(flag) {
		return
	}
	s := recipe.Setting{Key: p.Key, Where: recipe.Position{Flag: "--" + flag}}
	switch {
	case p.Kind == recipe.Bool:
		s.Text = fmt.Sprint(c.Bool(flag))
	case p.PerModel:
		perModel(d, s, c.StringSlice(flag))
		return
	default:
		s.Text = c.String(flag)
	}
	d.Params = append(d.Params, s)
}

// perModel gives the i-th value to the i-th model, or the only one to all.
func perModel(d *recipe.Draft, s recipe.Setting, values []string) {
	if len(values) == 1 {
		s.Text = values[0]
		d.Params = append(d.Params, s)
		return
	}
	if len(values) != len(d.Models) {
		d.Mismatch(s, len(values))
		return
	}
	for i, v := range values {
		s.Text = v
		d.Models[i].Params = append(d.Models[i].Params, s)
	}
}
