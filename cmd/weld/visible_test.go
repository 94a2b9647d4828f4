package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weld/format"
)

// TestVisible escapes what a terminal obeys or does not show, and nothing else.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"model.layers.0.q_proj":       "model.layers.0.q_proj",
		"größe.重み.🧵 4×6 µ …":          "größe.重み.🧵 4×6 µ …",
		`back\slash "quoted"`:         `back\slash "quoted"`,
		"e\u0301":                     "e\u0301", // a letter with its accent
		"\x1b[31mred\x1b[0m":          `\x1b[31mred\x1b[0m`,
		"a\nweld: note: b":            `a\nweld: note: b`,
		"a\tb\rc\x00d\x7fe":           `a\tb\rc\x00d\x7fe`,
		"\u009b31m":                   `\u009b31m`,                   // the control sequence introducer in one character
		"\u202egnp.exe":               `\u202egnp.exe`,               // right-to-left override
		"\u2066a\u2069\u200e":         `\u2066a\u2069\u200e`,         // isolates, marks
		"a\u200bb\u200dc\ufeffd":      `a\u200bb\u200dc\ufeffd`,      // of no width
		"a\u00adb\u2028c\u2029":       `a\u00adb\u2028c\u2029`,       // soft hyphen, separators
		"a\u3164b\u115f\uffa0":        `a\u3164b\u115f\uffa0`,        // Hangul fillers: letters that show nothing
		"a\ufe0fb\u034f\u180b":        `a\ufe0fb\u034f\u180b`,        // variation selectors, grapheme joiner
		"a\U000e0041\U000e0101":       `a\U000e0041\U000e0101`,       // tags, further selectors
		"a\u00a0b\u2003c\u3000\u2800": `a\u00a0b\u2003c\u3000\u2800`, // spaces that are none, an empty Braille pattern
		"bad\xff\xc3(":                `bad\xff\xc3(`,
		"\ufffd":                      `\ufffd`,
		"\ue000\U0010ffff":            `\ue000\U0010ffff`, // private, not assigned
	} {
		if got := visible(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		if visible(want) != want {
			t.Errorf("%s is escaped again", want)
		}
	}
}

// stringer is a value whose text comes from a file.
type stringer string

func (s stringer) String() string { return string(s) }

func TestSay(t *testing.T) {
	const evil, seen = "\x1b]0;x\x07\n", `\x1b]0;x\a\n`
	var out strings.Builder
	say(&out, "%s|%s|%v|%d\n", evil, errors.New(evil), stringer(evil), 3)
	table(&out, "a|b", [][]string{{evil, "c"}})
	lines(&out, "weld: ", "one\n\x1btwo\r\nthree")
	want := seen + "|" + seen + "|" + seen + "|3\n" +
		"a             b\n" + seen + "  c\n" + "weld: one\nweld: \\x1btwo\nweld: three\n"
	if got := out.String(); got != want {
		t.Errorf("printed %q\nwant    %q", got, want)
	}
}

// TestEscapedJSON reads back what was written, and finds nothing in it that a terminal would obey.
func TestEscapedJSON(t *testing.T) {
	value := map[string]string{
		"plain \U0001f9f5 重": "a", "\x1b[31m": "\u009b\x7f", "\u202e": "\u2028 \U000e0041\u200b\x00", "\n": "<&>",
	}
	var out bytes.Buffer
	e := json.NewEncoder(escapedJSON{&out})
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || !reflect.DeepEqual(back, value) {
		t.Errorf("read back %q, %v", back, err)
	}
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSuffix(line, "\n"); visible(line) != line {
			t.Errorf("printed %q", line)
		}
	}
	if !strings.Contains(out.String(), "plain \U0001f9f5 重") || !strings.Contains(out.String(), `\udb40\udc41`) {
		t.Errorf("printed %s", out.String())
	}
}

// TestNamesFromFiles puts what terminals obey into every name and text that a checkpoint, a recipe and a path can
// hold, and finds none of it in what any command prints.
func TestNamesFromFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	const evil = "\x1b]0;owned\x07\u202e\u009b31m\u200b\nweld: note: forged\r\u3164"
	write := func(path string, tensors []format.Tensor, fill byte) {
		t.Helper()
		content := func(i int) []byte { return bytes.Repeat([]byte{fill}, int(tensors[i].Bytes())) }
		if err := writeCheckpoint(path, tensors, map[string]string{"k" + evil: "v" + evil}, 1<<62, content); err != nil {
			t.Fatal(err)
		}
	}
	tensor := func(name string, dtype format.DType, n int64) format.Tensor {
		return format.Tensor{Name: name, DType: dtype, Shape: []int64{n}}
	}
	name := "dir\x1b[31m\u202e"
	if err := os.Mkdir(name, 0o777); err != nil {
		t.Skip(err)
	}
	base, model, other := name+"/base.safetensors", name+"/model.safetensors", name+"/other.safetensors"
	write(base, []format.Tensor{tensor("w"+evil, format.F32, 8), tensor("ids"+evil, format.I64, 2)}, 1)
	write(model, []format.Tensor{tensor("w"+evil, format.F32, 8), tensor("ids"+evil, format.I64, 2)}, 2)
	write(other, []format.Tensor{tensor("w"+evil, format.F32, 9), tensor("x"+evil, format.F32, 2)}, 2)
	recipe := name + "/r.yml"
	text := "merge_method: linear\nmodels: [{model: a, parameters: {\"key\\e[31m\\u202e\": 1}}]\n\"top\\e\\u202e\": 1\n"
	if err := os.WriteFile(recipe, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	flags := func(command string, models ...string) []string {
		args := []string{command, "--method", "sta", "--score", "magnitude", "--base", base}
		for _, m := range models {
			args = append(args, "--model", m)
		}
		return args
	}
	for _, args := range [][]string{
		{"inspect", base}, {"inspect", "--json", base}, {"inspect", name}, {"inspect", evil},
		{"diff", base, model}, {"diff", "--json", base, other}, {"diff", base, other},
		append(flags("plan", model), name+"/out"), append(flags("plan", model), "--json", name+"/out"), append(flags("plan", other), name+"/out"),
		flags("score", model), append(flags("merge", model), name+"/out"), append(flags("merge", model), name+"/out"),
		append(flags("merge", other), name+"/other"), {"merge", recipe, "out"}, {"merge", evil, "out"}, {"merge", base, "out"},
		{"pack", model, name + "/p.weld"}, {"verify", name + "/p.weld"}, {"unpack", name + "/p.weld", name + "/unpacked"},
		{"patch", base, model, name + "/p.weldpatch"}, {"apply", base, name + "/p.weldpatch", name + "/applied"},
		{evil}, {"merge", "--" + evil}, {"merge", "--threads", evil, "x"},
	} {
		var stdout, stderr strings.Builder
		execute(t.Context(), append([]string{"weld"}, args...), &stdout, &stderr)
		printed := stdout.String() + stderr.String()
		if printed == "" {
			t.Errorf("%q prints nothing", args)
		}
		for line := range strings.Lines(printed) {
			if line = strings.TrimSuffix(line, "\n"); visible(line) != line {
				t.Errorf("%q prints %q", args, line)
			}
		}
		if strings.Contains(stdout.String(), "\nweld: note: forged") {
			t.Errorf("%q: a name makes a line of its own: %q", args, stdout.String())
		}
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestResultsThatDoNotArrive demands status 1 of every command line that prints to a stdout that takes nothing.
func TestResultsThatDoNotArrive(t *testing.T) {
	for _, args := range []string{"--help", "--version", "merge --help", "completion bash", "completion fish", ""} {
		var stderr strings.Builder
		code := execute(context.Background(), append([]string{"weld"}, strings.Fields(args)...), full{}, &stderr)
		if code != exitFailed || stderr.String() != "weld: no space left\n" {
			t.Errorf("weld %s: status %d, %q", args, code, stderr.String())
		}
	}
}

// TestUntilInterrupt leaves what does not end.
func TestUntilInterrupt(t *testing.T) {
	if n, err := untilInterrupt(t.Context(), func() (int, error) { return 3, io.EOF }); n != 3 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	never := make(chan struct{})
	defer close(never)
	begun := make(chan struct{})
	go func() { <-begun; cancel() }()
	_, err := untilInterrupt(ctx, func() (int, error) { close(begun); <-never; return 0, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestWithin waits for a command that cleans up, and not for one that cannot. The clock is made up.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var stderr strings.Builder
		if code := within(ctx, patience, &stderr, func() int { return 7 }); code != 7 {
			t.Errorf("status %d", code)
		}
		tidy := func() int { cancel(); time.Sleep(patience - time.Millisecond); return 8 }
		if code := within(ctx, patience, &stderr, tidy); code != 8 || stderr.String() != "" {
			t.Errorf("one that cleans up: status %d, %q", code, stderr.String())
		}
		never := make(chan struct{})
		defer close(never)
		begin := time.Now()
		code := within(ctx, patience, &stderr, func() int { <-never; return 0 })
		if code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") || time.Since(begin) != patience {
			t.Errorf("one that waits for ever: status %d after %v, %q", code, time.Since(begin), stderr.String())
		}
	})
}
