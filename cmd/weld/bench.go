package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/internal/vec"
	"weld/stream/bench"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:      "bench",
		Usage:     "measure merges on this machine against a plain copy",
		ArgsUsage: "[DIR]",
		Description: "Makes checkpoints in DIR (a temporary directory on a RAM disk, if there is one), then times\n" +
			"every case and, beside it, the floor: every input read once, the output written once, nothing\n" +
			"computed. Cases are methods with their defaults (density 0.5, where the default keeps all), " + bench.Compressed + "\n(into *.safetensors.zst), " + bench.Restored + ", " + bench.Packed + " (into *.weld), " + bench.Unpacked + ", and " + bench.MergePack + ".\n\n" +
			"--cold measures what a merge reads from a disk: before each run the inputs are dropped from the page cache. Cases are methods (" + strings.Join(coldCases, ", ") + "),\n" +
			"each in a process of its own, and DIR should be on a disk. --page-cache leaves no more of the page cache than a large model would find.\n\n" +
			"Examples:\n\n   weld bench\n   weld bench /mnt/nvme --size 20GB --case sta,linear --rounds 1\n   weld bench --tensors 1000,10000,100000\n   weld bench /mnt/nvme --cold --page-cache 1.3GB\n\n" + exitHelp,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "size", Value: "1GB", Usage: "bytes of each checkpoint"},
			&cli.IntFlag{Name: "models", Value: 2, Usage: "`N` fine-tuned models beside the base"},
			&cli.StringSliceFlag{Name: "case", Usage: "what is measured, in this order; commas separate", DefaultText: strings.Join(defaultCases, ",")},
			&cli.IntFlag{Name: "rounds", Value: 3, Usage: "how often; the best counts"},
			&cli.StringSliceFlag{Name: "tensors", Usage: "measure commands on checkpoints of `N` small tensors instead; commas separate"},
			&cli.BoolFlag{Name: "cold", Usage: "drop the inputs from the page cache before each run, and count the bytes that are read from devices"},
			&cli.StringFlag{Name: "page-cache", Usage: "with --cold, the page cache that there is beside --memory, in a memory cgroup of its own (Linux, needs the right to make one), such as 1.3GB", DefaultText: "all that the system has"},
			&cli.StringSliceFlag{Name: "beside", Usage: "`PROGRAM`, another build, that --tensors and --cold measure too"},
			&cli.BoolFlag{Name: "keep", Usage: "leave the checkpoints in DIR, for other programs to be measured on"},
		}, runFlags()...),
		Action: runBench,
	}
}

var defaultCases = []string{"linear", "task_arithmetic", "sta", "passthrough", bench.Compressed, bench.Restored, bench.Packed, bench.Unpacked, bench.MergePack}

// benchReport is what bench prints.
type benchReport struct {
	Machine   string      `json:"machine"` // system, processors, kernels
	Dir       string      `json:"dir"`
	Threads   int         `json:"threads"`
	Bytes     int64       `json:"checkpoint_bytes"`
	Elements  int64       `json:"checkpoint_elements"`
	Models    int         `json:"models"`
	Rounds    int         `json:"rounds"`
	Rows      []bench.Row `json:"rows"`
	PeakBytes int64       `json:"peak_resident_bytes,omitempty"` // of this process: VmHWM
}

func runBench(c *cli.Context) error {
	o, err := options(c)
	if err != nil {
		return err
	}
	bytes, err := size(c, "size", 4e6)
	if err != nil {
		return err
	}
	models, rounds := c.Int("models"), c.Int("rounds")
	if models < 1 || rounds < 1 {
		return usagef("--models and --rounds are at least 1")
	}
	if err := kindOfBench(c); err != nil {
		return err
	}
	if c.Bool("keep") && c.NArg() == 0 {
		return usagef("--keep needs a DIR to keep the checkpoints in")
	}
	dir, done, err := benchDir(c)
	if err != nil {
		return err
	}
	defer done()
	say := func(text string, args ...any) {
		if !c.Bool("quiet") {
			say(c.App.ErrWriter, "weld: "+text+"\n", args...)
		}
	}
	if c.IsSet("tensors") {
		return benchMany(c, dir, say)
	}
	set := bench.NewSet(dir, bytes, models)
	if c.Bool("cold") {
		return benchCold(c, set, o, say)
	}
	cases, err := set.Cases(caseNames(c, defaultCases))
	if err != nil {
		return usageError{err}
	}
	if err := set.Vacant(cases); err != nil {
		return err
	}
	say("making %d checkpoints of %s in %s", 1+2*models, decimal(bytes), dir)
	if !c.Bool("keep") {
		defer set.Remove()
	}
	if err := set.Make(c.Context); err != nil {
		return err
	}
	rows, err := set.Run(c.Context, cases, rounds, o, func(round int, r bench.Row) {
		say("round %d: %s %.2f s, floor %.2f s", round+1, r.Case, r.Seconds, r.Floor)
	})
	if err != nil {
		return err
	}
	r := benchReport{
		Machine: machine(),
		Dir:     dir, Threads: o.Threads, Bytes: set.Bytes, Elements: set.Elements, Models: models, Rounds: rounds, Rows: rows,
	}
	r.PeakBytes, _ = peakMemory()
	if c.Bool("json") {
		return printJSON(c, r)
	}
	printBench(c, r)
	return nil
}

// kindOfBench refuses flags that belong to another kind of measurement.
func kindOfBench(c *cli.Context) error {
	switch cold, many := c.Bool("cold"), c.IsSet("tensors"); {
	case cold && many:
		return usagef("--cold measures merges of large tensors, --tensors commands on small ones: one of the two")
	case c.IsSet("page-cache") && !cold:
		return usagef("--page-cache goes with --cold")
	case c.IsSet("beside") && !cold && !many:
		return usagef("--beside goes with --tensors or --cold")
	}
	return nil
}

// caseNames are the cases asked for.
func caseNames(c *cli.Context, byDefault []string) []string {
	if !c.IsSet("case") {
		return byDefault
	}
	var names []string
	for _, list := range c.StringSlice("case") {
		names = append(names, strings.Split(list, ",")...)
	}
	return names
}

// ramDisk is where files live in memory, on Linux.
const ramDisk = "/dev/shm"

// benchDir is where bench works, and what to do about it afterwards: on a RAM disk, unless reading from a disk is measured. A
// directory that is named need not be there yet.
func benchDir(c *cli.Context) (dir string, done func(), err error) {
	switch c.NArg() {
	case 0:
		parent := ""
		if info, err := os.Stat(ramDisk); err == nil && info.IsDir() && !c.Bool("cold") {
			parent = ramDisk
		}
		dir, err = os.MkdirTemp(parent, "weld-bench-")
		return dir, func() { os.RemoveAll(dir) }, err
	case 1:
		return c.Args().First(), func() {}, nil
	}
	return "", nil, usagef("at most one directory is expected, %d given: weld bench [DIR]", c.NArg())
}

// machine says on what was measured.
func machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s kernels", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), vec.Level())
}

func printBench(c *cli.Context, r benchReport) {
	say(c.App.Writer, "%s, %s; a base and %s of %s in %s; best of %d\n\n",
		r.Machine, some(r.Threads, "thread"), some(r.Models, "model"), decimal(r.Bytes), r.Dir, r.Rounds)
	var rows [][]string
	for _, x := range r.Rows {
		rows = append(rows, []string{
			x.Case, decimal(x.Read), decimal(x.Written), fmt.Sprint(x.Passes), fmt.Sprintf("%.2f", x.Seconds),
			fmt.Sprintf("%.2f", x.Rate/1e9), fmt.Sprintf("%.2f", x.Elements/1e9), fmt.Sprintf("%.2f", x.Floor), fmt.Sprintf("%.2f", x.OverFloor),
		})
	}
	table(c.App.Writer, "case|input|output|passes|seconds|GB/s|G elements/s|floor s|× floor", rows)
	if r.PeakBytes > 0 {
		say(c.App.Writer, "\npeak resident memory of the whole run: %s\n", binary(r.PeakBytes))
	}
}
