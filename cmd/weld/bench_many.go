package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weld/stream/bench"
)

// manyRow is what one command took on checkpoints of many small tensors.
type manyRow struct {
	Tensors int     `json:"tensors"`
	Program string  `json:"program"`
	Command string  `json:"command"`
	Seconds float64 `json:"seconds"`
	Peak    int64   `json:"peak_resident_bytes,omitempty"` // VmHWM of the process
	Failed  string  `json:"failed,omitempty"`
}

// manyLimit is how long a command may take.
const manyLimit = 5 * time.Minute

// manyCommands are what is measured; BASE, A, B and DIR stand for the checkpoints and a directory for outputs. What one
// leaves there, a later one reads.
var manyCommands = []struct{ name, line string }{
	{"plan (linear)", "plan -q --method linear --model A --model B DIR/out"},
	{"inspect", "inspect A"},
	{"diff", "diff -q A B"},
	{"merge (linear)", "merge -q --method linear --model A --model B DIR/linear"},
	{"merge (ties)", "merge -q --method ties --base BASE --model A --model B --density 0.5 DIR/ties"},
	{"pack", "pack -q A DIR/a.weld"},
	{"verify", "verify -q DIR/a.weld"},
	{"patch", "patch -q A B DIR/ab.weldpatch"},
}

// benchMany measures commands on checkpoints of many small tensors, each in a process of its own.
func benchMany(c *cli.Context, dir string, say func(text string, args ...any)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	programs := append([]string{self}, c.StringSlice("beside")...)
	var rows []manyRow
	for _, list := range c.StringSlice("tensors") {
		for _, word := range strings.Split(list, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 {
				return usagef("--tensors %q: a number of tensors is expected", word)
			}
			more, err := measureMany(c.Context, filepath.Join(dir, word), n, programs, c.Bool("keep"), say)
			rows = append(rows, more...)
			if err != nil {
				return err
			}
		}
	}
	if c.Bool("json") {
		return printJSON(c, rows)
	}
	return printMany(c.App.Writer, rows)
}

// measureMany makes the checkpoints of n tensors and runs every command with every program.
func measureMany(ctx context.Context, dir string, n int, programs []string, keep bool, say func(text string, args ...any)) (rows []manyRow, err error) {
	say("making 3 checkpoints of %s in %s", some(n, "tensor"), dir)
	set := bench.NewMany(dir, n)
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o777); err != nil { // what is removed afterwards is nobody else's
		return nil, err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err := set.Make(ctx); err != nil {
		return nil, err
	}
	for _, program := range programs {
		out := filepath.Join(dir, "out")
		if err := os.Mkdir(out, 0o777); err != nil {
			return rows, err
		}
		paths := map[string]string{"BASE": set.Base, "A": set.Models[0], "B": set.Models[1]}
		for _, command := range manyCommands {
			var args []string
			for _, word := range strings.Fields(command.line) {
				if path, ok := paths[word]; ok {
					word = path
				}
				args = append(args, strings.Replace(word, "DIR/", out+string(filepath.Separator), 1))
			}
			row := manyRow{Tensors: n, Program: program, Command: command.name}
			row.run(ctx, args)
			if err := ctx.Err(); err != nil {
				return rows, err
			}
			say("%d tensors: %s %.2f s %s", n, row.Command, row.Seconds, row.Failed)
			rows = append(rows, row)
		}
		if err := os.RemoveAll(out); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// run runs the program and measures it.
func (r *manyRow) run(ctx context.Context, args []string) {
	ctx, cancel := context.WithTimeout(ctx, manyLimit)
	defer cancel()
	start := time.Now()
	peak, err := runProgram(ctx, r.Program, args)
	r.Seconds, r.Peak = time.Since(start).Seconds(), peak
	switch {
	case ctx.Err() != nil:
		r.Failed = "stopped"
	case err != nil:
		r.Failed = err.Error()
	}
}

// runProgram runs a build of weld. It says how much memory the process had at most, where that is known; what it printed
// about a failure is in the error.
func runProgram(ctx context.Context, program string, args []string) (peak int64, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Args[0] = "weld"
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			if now, ok := peakMemoryOf(cmd.Process.Pid); ok {
				peak = max(peak, now)
			}
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	<-watched
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return peak, err
}

func printMany(w io.Writer, rows []manyRow) error {
	var cells [][]string
	for _, r := range rows {
		peak := ""
		if r.Peak > 0 {
			peak = binary(r.Peak)
		}
		cells = append(cells, []string{fmt.Sprint(r.Tensors), r.Command, fmt.Sprintf("%.2f", r.Seconds), fmt.Sprintf("%.1f", r.Seconds*1e6/float64(r.Tensors)), peak, filepath.Base(r.Program), r.Failed})
	}
	table(w, "tensors|command|seconds|µs for each|peak|program|", cells)
	return nil
}
