package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

// This file turns the arguments of merge, plan and score into a recipe: a file, or
// flags that say the same.

// flagName is the flag of a recipe key.
func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// methodFlags are the flags that say what a recipe can say, made from the schema.
func methodFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "method", Usage: "merge `METHOD`: " + strings.Join(stream.Schema().Names(), ", "), Category: categoryMethod},
		&cli.StringFlag{Name: "base", Usage: "base model `PATH`", Category: categoryMethod},
		&cli.StringSliceFlag{Name: "model", Usage: "model `PATH`; once for each", Category: categoryMethod},
	}
	for _, p := range methodParams() {
		flags = append(flags, paramFlag(p))
	}
	return append(flags,
		&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the output's floating tensors, such as bfloat16; without it as in the base", Category: categoryMethod},
		&cli.StringFlag{Name: "out-dtype", Usage: "`TYPE` of the output; wins over --dtype", Category: categoryMethod},
	)
}

// methodParams lists the keys of all methods, each once.
func methodParams() []recipe.Param {
	var params []recipe.Param
	for _, m := range stream.Schema() {
		for _, p := range m.Params {
			if !slices.ContainsFunc(params, func(q recipe.Param) bool { return q.Key == p.Key }) {
				params = append(params, p)
			}
		}
	}
	return params
}

func paramFlag(p recipe.Param) cli.Flag {
	usage := p.Help
	if p.Kind == recipe.Choice {
		usage += ": " + strings.Join(p.Choices, ", ")
	}
	switch {
	case p.Kind == recipe.Bool:
		return &cli.BoolFlag{Name: flagName(p.Key), Usage: usage, Category: categoryMethod}
	case p.PerModel:
		return &cli.StringSliceFlag{Name: flagName(p.Key), Usage: usage + "; once for each model, or once for all", Category: categoryMethod}
	}
	return &cli.StringFlag{Name: flagName(p.Key), Usage: usage, Category: categoryMethod}
}

// outputFlags are the flags of commands that plan or write an output.
func outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "shard-size", Usage: "bytes of tensors in a shard, such as 500MB", DefaultText: "5GB", Category: categoryOutput},
		&cli.BoolFlag{Name: "force", Usage: "replace an output that exists", Category: categoryOutput},
	}
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
		return func(overrides ...recipe.Setting) (*recipe.Recipe, error) {
			d := draft(c)
			d.Override(overrides)
			return stream.Recipes().Resolve(d)
		}, args, nil
	}
	if len(args) == 0 {
		return nil, nil, usagef("no recipe and no --method; see weld %s --help", c.Command.Name)
	}
	for _, flag := range methodFlags() {
		if name := flag.Names()[0]; c.IsSet(name) {
			return nil, nil, usagef("--%s: a recipe says everything about the merge; write it into %s", name, args[0])
		}
	}
	data, err := readRecipe(c.Context, args[0])
	return func(overrides ...recipe.Setting) (*recipe.Recipe, error) {
		return stream.Recipes().Parse(originOf(args[0]), data, overrides...)
	}, args[1:], err
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
	for _, p := range methodParams() {
		flag := flagName(p.Key)
		if !c.IsSet(flag) {
			continue
		}
		s := recipe.Setting{Key: p.Key, Where: recipe.Position{Flag: "--" + flag}}
		switch {
		case p.Kind == recipe.Bool:
			s.Text = fmt.Sprint(c.Bool(flag))
		case p.PerModel:
			perModel(d, s, c.StringSlice(flag))
			continue
		default:
			s.Text = c.String(flag)
		}
		d.Params = append(d.Params, s)
	}
	return d
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
