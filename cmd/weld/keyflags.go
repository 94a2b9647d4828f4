package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

// This file makes the flags that say what a recipe can say. Keys of one name differ between methods, in their
// texts and defaults, and rescale even in whether it takes a value. So the flags of a command line
// are those of the method that it names.

// help describes a command that takes a method: what it does, and examples, of the method if one is named.
func (in invocation) help(command, does, examples string) string {
	m := in.method
	if m == nil {
		return does + "\n\nMethods have keys of their own, and one key may have other defaults in another method.\n" +
			"Flags below say which methods have them; those of a single method are left out.\n" +
			"weld " + command + " --method METHOD --help lists the flags of one; weld methods METHOD has its\n" +
			"formula and a recipe, too.\n\nExamples:\n\n" + examples + "\n\n" + exitHelp
	}
	out := exampleOut
	if command == "score" {
		out = ""
	}
	example := strings.ReplaceAll(exampleOf(m, takesImportance(m)).command(command, out), "\n", "\n   ")
	return fmt.Sprintf("%s: %s.\nweld methods %s has its formula and a recipe.\n\n%s\n\nExamples:\n\n   %s\n\n%s", m.Name, m.Summary, m.Name, does, example, exitHelp)
}

// flagName is the flag of a recipe key.
func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// methodFlags are the flags of what is merged.
func methodFlags(in invocation) []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "method", Usage: methodUsage(in.method), Category: categoryMethod},
		&cli.StringFlag{Name: "base", Usage: "base model `PATH`" + baseUsage(in.method), Category: categoryMethod},
		&cli.StringSliceFlag{Name: "model", Usage: "model `PATH`; once for each" + modelsUsage(in.method), Category: categoryMethod},
	}
	flags = append(flags, keyFlags(in)...)
	return append(flags,
		&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the output's floating tensors, such as bfloat16; without it as in the base", Category: categoryMethod},
		&cli.StringFlag{Name: "out-dtype", Usage: "`TYPE` of the output; wins over --dtype", Category: categoryMethod},
	)
}

func methodUsage(m *recipe.MethodSchema) string {
	if m == nil {
		return "merge `METHOD`: " + strings.Join(stream.Schema().Names(), ", ")
	}
	return "merge `METHOD`, here " + m.Name + "; weld methods lists all"
}

func baseUsage(m *recipe.MethodSchema) string {
	if m == nil {
		return ""
	}
	return ", " + needWords[m.Base] + ": " + baseRoles[m.BaseIs].help
}

func modelsUsage(m *recipe.MethodSchema) string {
	if m == nil {
		return ""
	}
	return ", " + modelCount(m)
}

// keyFlags are the flags of keys. Those of other methods are there too, hidden, so that an error can
// say who has them. Without a method, help shows the keys that several share.
func keyFlags(in invocation) (flags []cli.Flag) {
	if in.method != nil {
		for _, p := range in.method.Params {
			flags = append(flags, keyFlag(p, keyUsage(p), p.Defaults(), false))
		}
	}
	for _, k := range allKeys() {
		switch {
		case in.method == nil:
			flags = append(flags, keyFlag(k.Param, k.sharedUsage(), k.sharedDefault(), len(k.methods) == 1 && !in.complete))
		case !slices.Contains(k.methods, in.method.Name) && !in.complete:
			flags = append(flags, keyFlag(k.Param, "", "", true))
		}
	}
	return flags
}

// keyFlag is the flag of one key. A truth value never takes the next word.
func keyFlag(p recipe.Param, usage, def string, hidden bool) cli.Flag {
	name := flagName(p.Key)
	switch {
	case p.Kind == recipe.Bool:
		return &cli.BoolFlag{Name: name, Usage: usage, DefaultText: def, DisableDefaultText: def == "", Category: categoryMethod, Hidden: hidden}
	case p.PerModel:
		return &cli.StringSliceFlag{Name: name, Usage: usage, DefaultText: def, Category: categoryMethod, Hidden: hidden}
	}
	return &cli.StringFlag{Name: name, Usage: usage, DefaultText: def, Category: categoryMethod, Hidden: hidden}
}

// keyUsage is the help of a method's key: what it means, what it may be, and how often it is given.
func keyUsage(p recipe.Param) string {
	usage := p.Help
	low, high := p.Range()
	switch {
	case p.Kind == recipe.Choice:
		usage += ": " + strings.Join(p.Choices, ", ")
	case low != nil || high != nil:
		usage += "; " + p.Allowed()
	}
	if p.Kind == recipe.Bool && strings.Contains(p.Defaults(), "true") {
		usage += switchedOff(p)
	}
	if p.PerModel {
		usage += "; once for each model, or once for all"
	}
	if p.Required {
		usage += "; required"
	}
	return usage
}

// switchedOff says how a truth value is said to be false: it never takes the next word.
func switchedOff(p recipe.Param) string { return "; --" + flagName(p.Key) + "=false switches it off" }

// sharedKey is a key with the methods that have it. Its Param is the first one's.
type sharedKey struct {
	recipe.Param
	methods []string
	same    bool // in all methods that have it
	mixed   bool // a truth value in some of them only
	all     bool // methods have it
}

// allKeys lists the keys of all methods, each once. One that is a truth value in any method counts as one, so
// that it does not take the next word of a command line that names no method.
func allKeys() (keys []sharedKey) {
	schema := stream.Schema()
	for _, m := range schema {
		for _, p := range m.Params {
			i := slices.IndexFunc(keys, func(k sharedKey) bool { return k.Key == p.Key })
			if i < 0 {
				keys = append(keys, sharedKey{Param: p, methods: []string{m.Name}, same: true})
				continue
			}
			k := &keys[i]
			k.methods = append(k.methods, m.Name)
			k.same = k.same && k.Defaults() == p.Defaults() && keyUsage(k.Param) == keyUsage(p)
			k.mixed = k.mixed || p.Kind != k.Kind
			if p.Kind == recipe.Bool {
				k.Kind = recipe.Bool
			}
		}
	}
	for i := range keys {
		keys[i].all = len(keys[i].methods) == len(schema)
	}
	return keys
}

// sharedUsage is the help of a key where no method is named: who has it, and what it means if that is the same in all.
func (k sharedKey) sharedUsage() string {
	who := "of " + strings.Join(k.methods, ", ")
	if k.all {
		who = "of all methods"
	}
	if !k.same && k.Kind == recipe.Bool && !k.mixed {
		return who + switchedOff(k.Param)
	}
	if !k.same {
		return who
	}
	return fmt.Sprintf("%s (%s)", keyUsage(k.Param), who)
}

func (k sharedKey) sharedDefault() string {
	if !k.same {
		return ""
	}
	return k.Defaults()
}
