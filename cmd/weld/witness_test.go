package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Commands that look at what weld did. Each ends the script if it is not what it
// should be.

// fails STATUS COMMAND … runs a command that must exit with this status and leave
// every file as it was: no output, no stage, no change.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "fails STATUS COMMAND …")
	want := number(ts, args[0])
	before := survey(ts, false)
	if got := status(ts, ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
	compare(ts, before, survey(ts, false))
}

// untouched COMMAND … runs a command that must succeed and touch nothing, not even for
// a moment.
func untouched(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "untouched COMMAND …")
	before := survey(ts, true)
	ts.Check(ts.Exec(args[0], args[1:]...))
	compare(ts, before, survey(ts, true))
}

// interrupt [-SIGNAL] FILE COMMAND … starts a command, waits until it is at work on a file that it reads or makes,
// sends SIGINT or the signal that is named (PIPE: closes the pipe that its progress goes to), and demands that
// it exits with status 130, before much more is computed, and leaves every file as it was. Linux only.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	how := "INT"
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		how, args = args[0][1:], args[1:]
	}
	usage(ts, neg, len(args) > 1 && (signals[how] != 0 || how == "PIPE"), "interrupt [-SIGNAL] FILE COMMAND …")
	before := survey(ts, false)
	program, err := lookPath(ts, args[1])
	ts.Check(err)
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HF_HUB_CACHE="+ts.Getenv("HF_HUB_CACHE"))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var reader *os.File
	if how == "PIPE" {
		var writer *os.File
		reader, writer, err = os.Pipe()
		ts.Check(err)
		defer writer.Close()
		defer reader.Close()
		cmd.Stderr = writer
	}
	// What tests run under may ignore signals, as nohup does, and weld respects that. What is caught here is not ignored there.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, os.Interrupt)
	ts.Check(cmd.Start())
	signal.Stop(caught)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()

	await(ts, cmd.Process.Pid, ts.MkAbs(args[0]), ended, &stderr)
	computed, ok := processorTime(cmd.Process.Pid)
	if !ok {
		ts.Fatalf("it ended before it was interrupted")
	}
	if reader != nil {
		ts.Check(reader.Close()) // the next line of progress meets it
	} else {
		ts.Check(cmd.Process.Signal(signals[how]))
	}
	if how == "HUP" {
		_ = cmd.Process.Signal(signals[how]) // a shell and its terminal send one each
	}
	select {
	case err := <-ended:
		if got := status(ts, err); got != 130 {
			ts.Fatalf("exit status %d, not 130: %s", got, stderr.String())
		}
	case <-time.After(hangs):
		ts.Fatalf("it did not end after SIG%s", how)
	}
	// By its own clock: on a loaded machine, a moment is long.
	if more := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() - computed; how != "PIPE" && more > 2*time.Second {
		ts.Fatalf("it computed for %v more after SIG%s", more, how)
	}
	if strings.Contains(stderr.String(), "did not end within") {
		ts.Fatalf("it was left before it had cleaned up: %s", stderr.String())
	}
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	compare(ts, before, survey(ts, false))
}

// hangs is how long a command is waited for that does in a moment what it is waited for.
const hangs = 2 * time.Minute

// signals that interrupt a command.
var signals = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}

// await waits until a command is at work on a file: it has it, or something in it, open or mapped, and computed for a
// moment. By then it listens for signals, which it does before it opens anything.
func await(ts *testscript.TestScript, pid int, path string, ended <-chan error, stderr *bytes.Buffer) {
	for deadline := time.Now().Add(hangs); ; time.Sleep(time.Millisecond) {
		if computed, ok := processorTime(pid); ok && computed >= 100*time.Millisecond && holds(pid, path) {
			return
		}
		select {
		case err := <-ended:
			ts.Fatalf("it ended before it was at work on %s: %v\n%s", path, err, stderr.String())
		default:
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it was never at work on %s", path)
		}
	}
}

// holds reports whether a process has a file, or something below it, open or mapped.
func holds(pid int, path string) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, name := range files {
		if target, err := os.Readlink(name); err == nil && (target == path || strings.HasPrefix(target, path+"/")) {
			return true
		}
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	return err == nil && bytes.Contains(maps, []byte(" "+path+"\n"))
}

// processorTime is how long a process has computed; false if it has ended.
func processorTime(pid int) (time.Duration, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// Behind the name, which is in parentheses, stand the state and eleven figures, then the ticks of user and system.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 || fields[0] == "Z" {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(user+system) * tick, err1 == nil && err2 == nil
}

// lookPath finds a program in the script's PATH.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); exec.Command(path).Err == nil {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not in PATH", name)
}

// status is the exit status that an error of a command holds.
func status(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// survey describes every file below the script's directory. The times of directories
// show files that came and went.
func survey(ts *testscript.TestScript, times bool) map[string]string {
	const small = 1 << 20
	found := make(map[string]string)
	work := ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if !d.IsDir() || times {
			what += fmt.Sprintf(" %d bytes of %v", info.Size(), info.ModTime())
		}
		if info.Mode().IsRegular() && info.Size() <= small {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		name, err := filepath.Rel(work, path)
		found[name] = what
		return err
	}))
	return found
}

// compare demands that two surveys are equal.
func compare(ts *testscript.TestScript, before, after map[string]string) {
	for name, was := range before {
		if is, ok := after[name]; !ok {
			ts.Fatalf("%s is gone", name)
		} else if is != was {
			ts.Fatalf("%s was %s and is %s", name, was, is)
		}
		delete(after, name)
	}
	if len(after) > 0 {
		ts.Fatalf("left behind: %s", strings.Join(slices.Sorted(maps.Keys(after)), ", "))
	}
}

// json FILE [PATH=VALUE …] demands that a file, or stdout, is one JSON value; a path
// such as models.0.density leads to a value in it, which is compared as JSON.
func validJSON(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "json FILE [PATH=VALUE …]")
	var value any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &value); err != nil {
		ts.Fatalf("%s is no JSON value: %v", args[0], err)
	}
	for _, arg := range args[1:] {
		path, want, _ := strings.Cut(arg, "=")
		got, err := json.Marshal(lookup(value, path))
		ts.Check(err)
		if string(got) != want {
			ts.Fatalf("%s is %s, not %s", path, got, want)
		}
	}
}

// lookup follows keys and indexes into a JSON value; nil where there is nothing.
func lookup(value any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// jsonlines FILE KEY … demands that every line of a file, or of stderr, is a JSON
// object with these keys, and that there are lines.
func validJSONLines(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "jsonlines FILE KEY …")
	n := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%q is no JSON object: %v", line, err)
		}
		for _, key := range args[1:] {
			if _, ok := object[key]; !ok {
				ts.Fatalf("%q has no key %s", line, key)
			}
		}
		n++
	}
	if n == 0 {
		ts.Fatalf("%s has no lines", args[0])
	}
}

// samebytes FILE FILE demands that files are equal, and does not print what differs.
func sameBytes(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] samebytes FILE FILE")
	}
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if bytes.Equal(a, b) == neg {
		ts.Fatalf("%s (%d bytes) and %s (%d bytes) are equal: %v", args[0], len(a), args[1], len(b), !neg)
	}
}
