package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

// completionFlag, as the last argument, asks for what could follow.
const completionFlag = "--generate-bash-completion"

// invocation is what has to be known of a command line before its flags can be understood.
type invocation struct {
	method   *recipe.MethodSchema // that it names, or nil
	complete bool                 // asks what could follow
}

// invoked looks for the method of a command line that merges, plans or scores, or asks for help with that.
func invoked(args []string) (in invocation) {
	if last := len(args) - 1; last > 0 && args[last] == completionFlag {
		in.complete = true
		args = args[:last]
	}
	if len(args) > 2 && args[1] == "help" {
		args = args[1:]
	}
	if len(args) < 2 || !slices.Contains([]string{"merge", "plan", "score"}, args[1]) {
		return in
	}
	words, _ := split(args[2:], arities(mergeCommand(in).Flags)) // what cannot be understood, flagsFirst reports
	in.method, _ = stream.Schema().Find(words.method)
	return in
}

// words are the arguments of a command, taken apart.
type words struct {
	flags      []string // each with its value
	positional []string
	method     string // the last --method
	help       bool   // asked for, which wins over everything
}

// flagsFirst moves the flags of a command before its positional arguments: the flag
// parser stops at the first positional one, people do not.
func flagsFirst(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 || args[len(args)-1] == completionFlag {
		return args, nil
	}
	command := app.Command(args[1])
	if command == nil {
		return args, nil
	}
	w, err := split(args[2:], arities(command.Flags))
	switch {
	case w.help:
		return []string{args[0], args[1], "--help"}, nil
	case err != nil:
		return nil, err
	}
	return slices.Concat(args[:2], w.flags, []string{"--"}, w.positional), nil
}

// arities says of flags whether they take a value.
func arities(flags []cli.Flag) map[string]bool {
	takesValue := make(map[string]bool)
	for _, flag := range flags {
		_, isBool := flag.(*cli.BoolFlag)
		for _, name := range flag.Names() {
			takesValue[name] = !isBool
		}
	}
	return takesValue
}

// split tells flags and their values from positional arguments.
func split(args []string, takesValue map[string]bool) (w words, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			w.positional = append(w.positional, args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			w.positional = append(w.positional, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !given && (name == "help" || name == "h") {
			w.help = true
			continue
		}
		w.flags = append(w.flags, arg)
		if !given && takesValue[name] {
			if len(args) == 0 {
				return w, usagef("flag %s needs a value", arg)
			}
			value, args = args[0], args[1:]
			w.flags = append(w.flags, value)
		}
		if takes, known := takesValue[name]; known && !takes && !given && len(args) > 0 && (args[0] == "true" || args[0] == "false") {
			return w, usagef("flag %s takes no word behind it: write %s=%s", arg, arg, args[0])
		}
		if name == "method" {
			w.method = value
		}
	}
	return w, nil
}
