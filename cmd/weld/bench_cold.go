package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"weld/mmapio"
	"weld/stream"
	"weld/stream/bench"
	"weld/stream/run"
)

// coldCases are what bench --cold measures where nothing else is asked for.
var coldCases = []string{"sta", "linear", "ties", "sce"}

// coldReport is what bench --cold prints.
type coldReport struct {
	Machine  string          `json:"machine"`
	Dir      string          `json:"dir"`
	Threads  int             `json:"threads"`
	Bytes    int64           `json:"checkpoint_bytes"`
	Models   int             `json:"models"`
	Rounds   int             `json:"rounds"`
	Cgroup   int             `json:"cgroup_version,omitempty"` // 0 for none
	Limit    int64           `json:"cgroup_bytes,omitempty"`   // of memory and page cache
	NoCgroup string          `json:"no_cgroup,omitempty"`      // why none could be made
	Rows     []bench.ColdRow `json:"rows"`
}

// minPageCache is the least page cache that can be asked for.
const minPageCache = 16 << 20

// benchCold measures merges whose inputs are not in the page cache.
func benchCold(c *cli.Context, set *bench.Set, o stream.Options, say func(text string, args ...any)) (err error) {
	pageCache, err := size(c, "page-cache", minPageCache)
	if err != nil {
		return err
	}
	cases, err := set.ColdCases(caseNames(c, coldCases))
	if err != nil {
		return usageError{err}
	}
	programs, err := coldPrograms(c)
	if err != nil {
		return err
	}
	say("making %d checkpoints of %s in %s", 1+2*len(set.Models), decimal(set.Bytes), set.Dir)
	if !c.Bool("keep") {
		defer set.Remove()
	}
	if err := set.Make(c.Context); err != nil {
		return err
	}
	r := coldReport{Machine: machine(), Dir: set.Dir, Threads: o.Threads, Bytes: set.Bytes, Models: len(set.Models), Rounds: c.Int("rounds")}
	if pageCache > 0 {
		group, failed := mmapio.EnterGroup(pageCache + memoryOf(o))
		if failed != nil {
			r.NoCgroup = failed.Error()
			say("no memory cgroup can be made (%v): the page cache is as large as the system lets it", failed)
		} else {
			defer func() { err = errors.Join(err, group.Leave()) }()
			r.Cgroup, r.Limit = group.Version, group.Limit
		}
	}
	r.Rows, err = set.RunCold(c.Context, cases, programs, r.Rounds, o, func(round int, row bench.ColdRow) {
		took := fmt.Sprintf("%.2f s", row.Seconds)
		if row.Device != nil {
			took += fmt.Sprintf(", %s read of %s", decimal(*row.Device), decimal(row.Input))
		}
		if row.Failed != "" {
			took = "failed: " + row.Failed
		}
		say("round %d: %s by %s, floor %.2f s: %s", round+1, row.Case, filepath.Base(row.Program), row.Floor, took)
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, r)
	}
	printCold(c, r)
	return nil
}

// memoryOf is the budget of a merge.
func memoryOf(o stream.Options) int64 {
	if o.Memory == 0 {
		return run.DefaultMemory
	}
	return o.Memory
}

// coldPrograms are this build and those beside it, with the flags that say how a merge is run.
func coldPrograms(c *cli.Context) (programs []bench.Program, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	flags := []string{"merge", "--quiet"}
	for _, name := range []string{"threads", "memory", "read", "cache"} {
		if c.IsSet(name) {
			flags = append(flags, fmt.Sprintf("--%s=%v", name, c.Value(name)))
		}
	}
	for _, program := range append([]string{self}, c.StringSlice("beside")...) {
		programs = append(programs, bench.Program{Name: program, Merge: func(ctx context.Context, recipe, out string) (int64, error) {
			return runProgram(ctx, program, append(flags[:len(flags):len(flags)], recipe, out))
		}})
	}
	return programs, nil
}

func printCold(c *cli.Context, r coldReport) {
	say(c.App.Writer, "%s, %s; a base and %s of %s in %s; best of %d, cold; %s\n\n",
		r.Machine, some(r.Threads, "thread"), some(r.Models, "model"), decimal(r.Bytes), r.Dir, r.Rounds, r.memory())
	var rows [][]string
	var stayed int64
	for _, x := range r.Rows {
		rows = append(rows, coldCells(x))
		stayed = max(stayed, x.Stayed)
	}
	table(c.App.Writer, "case|input|read|× input|output|seconds|floor s|× floor|peak|program|", rows)
	if stayed > 0 {
		say(c.App.Writer, "\nup to %s of the inputs stayed in the page cache: it was not cold, which on a RAM disk it cannot be\n", decimal(stayed))
	}
}

// coldCells are the cells of a row; those that nothing is known of are empty.
func coldCells(x bench.ColdRow) []string {
	var read, over, written, seconds, overFloor, peak string
	if x.Failed == "" {
		written, seconds, overFloor = decimal(x.Written), fmt.Sprintf("%.2f", x.Seconds), fmt.Sprintf("%.2f", x.OverBy)
	}
	if x.Device != nil {
		read, over = decimal(*x.Device), fmt.Sprintf("%.2f", x.Over)
	}
	if x.Peak > 0 {
		peak = binary(x.Peak)
	}
	return []string{x.Case, decimal(x.Input), read, over, written, seconds, fmt.Sprintf("%.2f", x.Floor), overFloor, peak, filepath.Base(x.Program), x.Failed}
}

// memory says how large the page cache is.
func (r coldReport) memory() string {
	switch {
	case r.Cgroup > 0:
		return fmt.Sprintf("in a memory cgroup (version %d) of %s", r.Cgroup, decimal(r.Limit))
	case r.NoCgroup != "":
		return "in no memory cgroup: " + r.NoCgroup
	}
	return "with the page cache that was found"
}
