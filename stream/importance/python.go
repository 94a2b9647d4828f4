package importance

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weld/stream"
	"weld/stream/run"
)

// Script is the program that measures, in Python.
//
//go:embed measure.py
var Script string

// check is a program that says whether a Python has what Script needs.
//
//go:embed check.py
var check string

// MissingError says that there is no Python that has what is needed.
type MissingError struct {
	Python string // "" if there is none
	What   string // that it lacks
	said   bool   // what to do
}

// UnusableError says what of a model or of texts cannot be measured.
type UnusableError struct{ What string }

func (e *UnusableError) Error() string { return e.What }

const packages = `torch "transformers>=5" safetensors numpy`

func (e *MissingError) Error() string {
	const other = "name another with --python; --python 'uv run' is one that uv fetches"
	if e.said {
		return e.What
	}
	if e.Python == "" {
		return e.What + ": " + other
	}
	return fmt.Sprintf("%s has no %s, which measuring needs; this installs it:\n   %s -m pip install %s\nor %s", e.Python, e.What, quoted(e.Python), packages, other)
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " '\"$") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// python is a command that runs Python; arguments of it follow.
type python []string

// byUV reports whether a command is one of uv.
func byUV(words []string) bool {
	return len(words) > 0 && strings.TrimSuffix(filepath.Base(words[0]), ".exe") == "uv"
}

// find looks for a Python that has what measuring needs, and says which versions of it.
func find(ctx context.Context, name string, note func(string)) (p python, versions string, err error) {
	if p, err = named(name); err != nil {
		return nil, "", err
	}
	if _, absent := exec.LookPath(p[0]); byUV(p) && absent == nil {
		note("uv fetches torch and transformers now, if it has not yet: some gigabytes, of which it says nothing before they are there")
	}
	var done Measured
	err = p.run(ctx, []string{"-c", check}, stream.Options{Progress: new(run.Progress)}, func(string) {}, &done)
	if missing := (*MissingError)(nil); err != nil && ctx.Err() == nil && !errors.As(err, &missing) {
		err = &MissingError{What: fmt.Sprintf("%s does not work as Python (%v)", strings.Join(p, " "), err)}
	}
	return p, done.versions, err
}

// named is the command of --python.
func named(name string) (python, error) {
	words := strings.Fields(name)
	switch {
	case name == "":
		for _, name := range []string{"python3", "python"} {
			if path, err := exec.LookPath(name); err == nil {
				return python{path}, nil
			}
		}
		return nil, &MissingError{What: "there is no python3 in $PATH"}
	case byUV(words):
		if len(words) == 1 {
			words = append(words, "run")
		}
		return append(words, "--no-project", "--with", "torch", "--with", "transformers>=5", "--with", "safetensors", "--with", "numpy", "python"), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, &MissingError{What: fmt.Sprintf("--python %s: %v", name, errors.Unwrap(err))}
	}
	return python{path}, nil
}

// patience is how long the program may take to end after it was asked to.
const patience = 10 * time.Second

// event is one line of what the program says.
type event struct {
	Event  string  `json:"event"`
	Step   string  `json:"step"`
	Index  int     `json:"index"`
	Count  int     `json:"count"`
	Bytes  int64   `json:"bytes"`
	Text   string  `json:"text"`
	Python string  `json:"python"`
	What   string  `json:"what"`
	Sample int     `json:"samples"`
	Tokens int64   `json:"tokens"`
	Loss   float64 `json:"loss"`
	DType  string  `json:"dtype"`
}

// run runs a program and follows what it says. The program is no input of Python's: a pipe that breaks would end weld as well.
func (p python) run(ctx context.Context, args []string, o stream.Options, note func(string), done *Measured) error {
	cmd := exec.CommandContext(ctx, p[0], append(p[1:len(p):len(p)], args...)...)
	cmd.Env = environment(os.Environ(), o.Threads)
	var said tail
	cmd.Stderr = &said
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = patience
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := cmd.StdinPipe(); err != nil { // ends when weld does, however that is, and the program with it
		return err
	}
	switch err := cmd.Start(); {
	case errors.Is(err, exec.ErrNotFound): // of uv: others were looked for
		return &MissingError{What: fmt.Sprintf("there is no %s in $PATH: install it, or name a Python with --python", p[0]), said: true}
	case err != nil:
		return &MissingError{What: fmt.Sprintf("%s cannot be run: %v", p[0], err)}
	}
	finished, told := follow(bufio.NewReader(out), o.Progress, note, done)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case told != nil:
		return told
	case err == nil && finished:
		return nil
	case err == nil:
		err = errors.New("it ended before it was done")
	}
	return fmt.Errorf("measuring with %s failed: %w%s", strings.Join(p, " "), err, said.text())
}

// keepMemory has glibc's malloc keep what was freed. It would give back the memory of each layer's activations and gradients, and the system would have to
// clear it again for the next layer: of a pass through small layers that is a third of the time. Memory that is kept counts at its peak as it did before.
var keepMemory = []string{"MALLOC_MMAP_THRESHOLD_=4294967296", "MALLOC_TRIM_THRESHOLD_=8589934592"}

// environment is what the program is run in. What the user has said of malloc stands.
func environment(user []string, threads int) []string {
	env := append(slices.Clone(user), "HF_HUB_OFFLINE=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1", "TOKENIZERS_PARALLELISM=false")
	if threads > 0 {
		env = append(env, fmt.Sprintf("OMP_NUM_THREADS=%d", threads))
	}
	said := func(v string) bool {
		return strings.HasPrefix(v, "MALLOC_") || strings.HasPrefix(v, "GLIBC_TUNABLES=") && strings.Contains(v, "glibc.malloc.")
	}
	if !slices.ContainsFunc(user, said) {
		env = append(env, keepMemory...)
	}
	return env
}

// longestLine is of how long a line more than its beginning counts.
const longestLine = 1 << 20

// follow reads events until there are no more. It returns whether the last said that all is done, or the error that one told.
func follow(r *bufio.Reader, progress *run.Progress, note func(string), done *Measured) (finished bool, told error) {
	for {
		line, err := r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			line = bytes.Clone(line)
		}
		for err == bufio.ErrBufferFull { // all is read: a program whose output nobody takes would wait forever
			var more []byte
			if more, err = r.ReadSlice('\n'); len(line) < longestLine {
				line = append(line, more...)
			}
		}
		if err != nil && len(line) == 0 {
			return finished, told
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue // what a library prints
		}
		switch e.Event {
		case "begin":
			progress.Begin(run.Phase{Name: e.Step, Index: e.Index, Count: e.Count, Bytes: e.Bytes})
		case "advance":
			progress.Advance(e.Bytes)
		case "note":
			note(e.Text)
		case "missing":
			told = &MissingError{Python: e.Python, What: e.What}
		case "error":
			told = errors.New(e.Text)
		case "unusable":
			told = &UnusableError{e.Text}
		case "done":
			finished = true
			done.Samples, done.Tokens, done.Loss, done.DType, done.versions = e.Sample, e.Tokens, e.Loss, e.DType, e.What
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

// tailBytes is what a message shows of it at most.
const tailBytes = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// text is what was kept, in lines of its own.
func (t *tail) text() string {
	kept := bytes.TrimSpace(t.kept)
	if len(kept) == 0 {
		return ""
	}
	return ":\n" + strings.ToValidUTF8(string(kept), "?")
}
