package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/internal/spelling"
)

const exitHelp = `Exit status: 0 done, 1 failed, 2 wrong usage or recipe, 3 damaged or unusable
input, 130 interrupted.`

// execute executes a command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &results{w: stdout}
	app := newApp(out, stderr, invoked(args))
	args, err := flagsFirst(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	if err == nil {
		err = out.err
	}
	return report(ctx, stderr, err)
}

func newApp(stdout, stderr io.Writer, in invocation) *cli.App {
	cli.VersionPrinter = func(c *cli.Context) { fmt.Fprintln(c.App.Writer, "weld "+c.App.Version) }
	app := &cli.App{
		Name:      "weld",
		Usage:     "merge, score, compare, convert and compress checkpoints far larger than memory",
		Version:   version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Description: `weld maps every input, walks it tensor by tensor in small tiles, and writes the
merged checkpoint in constant memory. Begin with

   weld demo

which merges small real networks that are part of the program, and prints the
commands that do the same to yours.

` + exitHelp,
		Commands: []*cli.Command{
			demoCommand(), mergeCommand(in), planCommand(in), scoreCommand(in), methodsCommand(), inspectCommand(), diffCommand(), convertCommand(), importanceCommand(), packCommand(), unpackCommand(), patchCommand(), applyCommand(), verifyCommand(), benchCommand(), completionCommand(), manCommand(),
		},
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		HideHelpCommand:           true,
		ExitErrHandler:            func(*cli.Context, error) {}, // report does it
		OnUsageError:              in.onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().First() == "help" {
				if name := c.Args().Get(1); c.App.Command(name) != nil {
					return cli.ShowCommandHelp(c, name)
				}
				return cli.ShowAppHelp(c)
			}
			if c.Args().Present() {
				return usagef("unknown command %q%s; weld --help lists them", c.Args().First(), spelling.Hint(c.Args().First(), shownCommands(c.App)))
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = in.onUsageError
		command.HideHelpCommand = true
		command.After = func(c *cli.Context) error { printNotes(c, nil); return nil } // what turned out late
	}
	return app
}

// shownCommands are the names of the commands that help lists.
func shownCommands(app *cli.App) (names []string) {
	for _, command := range app.VisibleCommands() {
		names = append(names, command.Name)
	}
	return names
}

// shownFlags are the flags of a command that its help lists, as they are written.
func shownFlags(c *cli.Context) (names []string) {
	if c.Command == nil {
		return nil
	}
	for _, flag := range c.Command.VisibleFlags() {
		names = append(names, "--"+flag.Names()[0])
	}
	return names
}

func (in invocation) onUsageError(c *cli.Context, err error, _ bool) error {
	name := "weld"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "weld" {
		name += " " + c.Command.Name
	}
	if in.method != nil {
		name += " --method " + in.method.Name
	}
	if flag, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		flag = strings.TrimLeft(flag, "-")
		err = fmt.Errorf("unknown flag --%s%s", flag, spelling.Hint("--"+flag, shownFlags(c)))
	}
	return usagef("%w; %s --help lists the flags", err, name)
}
