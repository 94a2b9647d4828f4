package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"weld/format"
	"weld/mmapio"
	"weld/stream"
	"weld/stream/recipe"
)

// Exit codes. Every command's help lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDamaged     = 3
	exitInterrupted = 130
)

const exitHelp = `Exit status: 0 done, 1 failed, 2 wrong usage or recipe, 3 damaged or unusable
input, 130 interrupted.`

// usageError is the error of a command line that cannot be understood.
type usageError struct{ error }

func usagef(text string, args ...any) error { return usageError{fmt.Errorf(text, args...)} }

// patience is how long a command that was interrupted may take to clean up.
const patience = 20 * time.Second

// within runs a command and returns its exit code. The first Ctrl-C ends it in any case: one that waits for what
// cannot be asked to stop, as a file system that does not answer, is left. What it had staged stays behind
// as after a kill, and is cleared away by the next run.
func within(ctx context.Context, patience time.Duration, stderr io.Writer, command func() int) int {
	done := make(chan int, 1)
	go func() { done <- command() }()
	select {
	case code := <-done:
		return code
	case <-ctx.Done():
	}
	select {
	case code := <-done:
		return code
	case <-time.After(patience):
		say(stderr, "weld: interrupted; what it was waiting for did not end within %s\n", patience)
		return exitInterrupted
	}
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &results{w: stdout}
	app := newApp(out, stderr)
	args, err := flagsFirst(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	if err == nil {
		err = out.err
	}
	return report(ctx, stderr, err)
}

// report prints an error and chooses the exit code: the only place that does.
func report(ctx context.Context, stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitInterrupted // whoever read the output has gone, and wants no message
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "weld: interrupted; nothing is left half done")
		return exitInterrupted
	}
	lines(stderr, "weld: ", err.Error())
	var (
		usage    usageError
		problems recipe.Problems
		damaged  *format.Error
		harm     damageError
		fault    *mmapio.FaultError
		changed  *mmapio.ChangedError
		odd      *mmapio.NotRegularError
	)
	switch {
	case errors.As(err, &usage), errors.As(err, &problems):
		return exitUsage
	case errors.As(err, &harm), errors.As(err, &damaged), errors.As(err, &fault), errors.As(err, &changed), errors.As(err, &odd):
		return exitDamaged
	}
	return exitFailed
}

func newApp(stdout, stderr io.Writer) *cli.App {
	cli.VersionPrinter = func(c *cli.Context) { fmt.Fprintln(c.App.Writer, "weld "+c.App.Version) }
	app := &cli.App{
		Name:      "weld",
		Usage:     "merge, score and inspect checkpoints far larger than memory",
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
			demoCommand(), mergeCommand(), planCommand(), scoreCommand(), inspectCommand(), diffCommand(), packCommand(), unpackCommand(), patchCommand(), applyCommand(), verifyCommand(), benchCommand(), completionCommand(),
		},
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		HideHelpCommand:           true,
		ExitErrHandler:            func(*cli.Context, error) {}, // report does it
		OnUsageError:              onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().First() == "help" {
				if name := c.Args().Get(1); c.App.Command(name) != nil {
					return cli.ShowCommandHelp(c, name)
				}
				return cli.ShowAppHelp(c)
			}
			if c.Args().Present() {
				return usagef("unknown command %q; weld --help lists them", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = onUsageError
		command.HideHelpCommand = true
		command.After = func(c *cli.Context) error { printNotes(c, nil); return nil } // what turned out late
	}
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name := "weld"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "weld" {
		name += " " + c.Command.Name
	}
	if flag, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		err = fmt.Errorf("unknown flag --%s", strings.TrimLeft(flag, "-"))
	}
	return usagef("%w; %s --help lists the flags", err, name)
}

// version is that of the module or the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(v, s.Value[:min(12, len(s.Value))]) {
			v += " " + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

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

// runFlags are the flags of every command that walks checkpoints.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "threads", Usage: "`N` workers at most; more than there are processors bring nothing and are not started", DefaultText: "one per processor", Category: categoryRun},
		&cli.StringFlag{Name: "memory", Usage: "byte budget, such as 512MiB", DefaultText: "192MiB", Category: categoryRun},
		&cli.StringFlag{Name: "read", Usage: "how inputs are read: mmap, or pread, which suits network file systems better", DefaultText: mmapio.Mapped.String(), Category: categoryRun},
		&cli.StringFlag{Name: "cache", Usage: "the page cache of what was read and written: auto (drop it if it would fill more than half of memory), keep, drop", DefaultText: stream.Caches[stream.CacheAuto], Category: categoryRun},
		&cli.BoolFlag{Name: "json", Usage: "results as JSON on stdout, progress as JSON lines on stderr", Category: categoryRun},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, no notes", Category: categoryRun},
	}
}

// Groups of flags in the help texts.
const (
	categoryRun    = "How it is run"
	categoryMethod = "What is merged"
	categoryOutput = "Output"
)

// spareProcessors are more than there are workers, for the Go scheduler: with none to
// spare it takes a worker's processor away during every system call that reads or
// writes a span, and a tenth of the time goes into getting it back.
const spareProcessors = 2

// minMemory is the least budget that can be asked for.
const minMemory = 32 << 20

// options reads runFlags, and the output's flags where the command has them.
func options(c *cli.Context) (stream.Options, error) {
	o := stream.Options{Threads: c.Int("threads"), Version: c.App.Version, Progress: new(stream.Progress)}
	if o.Threads < 0 {
		return o, usagef("--threads %d: at least 1, or 0 for one per CPU", o.Threads)
	}
	if processors := runtime.GOMAXPROCS(0); o.Threads == 0 || o.Threads > processors {
		o.Threads = processors
	}
	runtime.GOMAXPROCS(o.Threads + spareProcessors)
	var err error
	if o.Memory, err = size(c, "memory", minMemory); err != nil {
		return o, err
	}
	if o.ShardSize, err = size(c, "shard-size", 1); err != nil {
		return o, err
	}
	if err := errors.Join(oneOf(c, "read", mmapio.Readings, &o.Read), oneOf(c, "cache", stream.Caches, &o.Cache)); err != nil {
		return o, err
	}
	o.Force = c.Bool("force")
	limit := o.Memory
	if limit == 0 {
		limit = stream.DefaultMemory
	}
	debug.SetMemoryLimit(limit)
	o.Beyond = func(bytes int64) {
		debug.SetMemoryLimit(limit + bytes)
		if bytes > 0 { // as much again as a large plan takes would be waiting for the collector
			debug.SetGCPercent(planGarbage)
		}
	}
	return o, nil
}

// planGarbage is how much garbage may be beside a plan that does not fit into its half of the memory, in percent.
const planGarbage = 30

// oneOf reads a flag that chooses among names; without it the choice stays.
func oneOf[T ~uint8](c *cli.Context, flag string, names []string, choice *T) error {
	if !c.IsSet(flag) {
		return nil
	}
	i := slices.Index(names, c.String(flag))
	if i < 0 {
		return usagef("--%s %q: one of %s", flag, c.String(flag), strings.Join(names, ", "))
	}
	*choice = T(i)
	return nil
}
