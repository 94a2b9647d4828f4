package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// completionFlag, as the last argument, asks for what could follow.
const completionFlag = "--generate-bash-completion"

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
	takesValue := make(map[string]bool)
	for _, flag := range command.Flags {
		_, isBool := flag.(*cli.BoolFlag)
		for _, name := range flag.Names() {
			takesValue[name] = !isBool
		}
	}
	flags, positional := []string{args[0], args[1]}, []string{}
	for rest := args[2:]; len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			positional = append(positional, rest...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			positional = append(positional, arg)
			continue
		}
		name := strings.TrimLeft(arg, "-")
		if name == "help" || name == "h" {
			return []string{args[0], args[1], "--help"}, nil
		}
		flags = append(flags, arg)
		if strings.Contains(name, "=") || !takesValue[name] {
			continue
		}
		if len(rest) == 0 {
			return nil, usagef("flag %s needs a value", arg)
		}
		flags = append(flags, rest[0])
		rest = rest[1:]
	}
	return append(append(flags, "--"), positional...), nil
}
