package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"weld/format/quant"
	"weld/stream"
)

// What pages mention, name and link to is there.

var (
	setApart = regexp.MustCompile(`(?m)^ {4,}(weld .*)$`)
	inText   = regexp.MustCompile("`(weld [^`\n]+)`")
)

// What pages mention in passing is not typed, but its commands and flags are there.
func TestCommandsThatPagesMention(t *testing.T) {
	mentioned := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "\\\n", " ")
		for _, m := range append(setApart.FindAllStringSubmatch(text, -1), inText.FindAllStringSubmatch(text, -1)...) {
			mentioned++
			if err := understood(m[1]); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
	}
	if mentioned < 30 {
		t.Errorf("only %d commands are mentioned: are they still found?", mentioned)
	}
}

// understood parses a command line and runs nothing. Words in capitals stand for values, which are not looked at.
func understood(line string) error {
	line, _, _ = strings.Cut(line, " #")
	args := strings.Fields(line)
	if end := slices.IndexFunc(args, func(arg string) bool { return strings.ContainsAny(arg, "|;>") }); end > 0 {
		args = args[:end]
	}
	app := newApp(io.Discard, io.Discard, invoked(args))
	for _, command := range app.Commands {
		command.Action, command.After = func(*cli.Context) error { return nil }, nil
	}
	args, err := flagsFirst(app, args)
	if err == nil {
		err = app.Run(args)
	}
	if err != nil && !strings.Contains(err.Error(), "invalid value") {
		return err
	}
	return nil
}

var kinds = regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "([a-z0-9-]+)"`)

// Every kind of fault has a heading that names it, and every exit status a row.
func TestTroubleshootingIsComplete(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(repository, "format", "error.go"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	declared := kinds.FindAllSubmatch(source, -1)
	if len(declared) < 20 {
		t.Fatalf("only %d kinds in format/error.go", len(declared))
	}
	for _, m := range declared {
		if !bytes.Contains(page, fmt.Appendf(nil, "`%s`", m[1])) {
			t.Errorf("docs/troubleshooting.md does not say what kind %s is", m[1])
		}
	}
	for _, status := range []int{exitDone, exitFailed, exitUsage, exitDamaged, exitInterrupted} {
		if !bytes.Contains(page, fmt.Appendf(nil, "\n| %d | ", status)) {
			t.Errorf("docs/troubleshooting.md does not say what exit status %d is", status)
		}
	}
}

// Every scheme that an output can be stored in has a row, with the number of columns of a group.
func TestNamedSchemesAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository, "docs", "quantised.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range quant.AllNamed() {
		row := regexp.MustCompile("(?m)^\\| `" + n.Name + "` \\|.*$").Find(page)
		if row == nil || n.Group() > 0 && !bytes.Contains(row, fmt.Appendf(nil, " %d columns", n.Group())) {
			t.Errorf("docs/quantised.md says of %s (%s): %s", n.Name, n.Help, row)
		}
	}
}

var (
	namedPreset   = regexp.MustCompile("`preset: ([^`]*)`|--preset (\\S+)")
	defaultPreset = regexp.MustCompile("`sta` without a preset is `preset: ([a-z]+)`")
)

// Presets that pages name are there, and one page says which of them is the default.
func TestPresetsOfPages(t *testing.T) {
	schema := stream.Schema()
	sta, _ := schema.Find("sta")
	var byDefault []string
	named := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedPreset.FindAllStringSubmatch(string(data), -1) {
			named++
			if known := m[1] + m[2]; !slices.Contains(sta.PresetNames(), known) {
				t.Errorf("%s names preset %q, which sta has not", name, known)
			}
		}
		for _, m := range defaultPreset.FindAllStringSubmatch(string(data), -1) {
			byDefault = append(byDefault, m[1])
		}
	}
	if named < 10 {
		t.Errorf("only %d presets are named: are they still found?", named)
	}
	var is []string
	for _, name := range sta.PresetNames() {
		if sta.IsDefault(name) {
			is = append(is, name)
		}
	}
	if !slices.Equal(byDefault, is) {
		t.Errorf("pages say that sta is %q without a preset, once; it is %q", byDefault, is)
	}
}

var (
	path       = regexp.MustCompile(`^(?:\.ci|cmd|docs|examples|format|fuzz|internal|mmapio|scoring|stream)(?:/[\w.-]+)*$`)
	identifier = regexp.MustCompile(`^(?:([a-z]+)\.)?(?:([A-Z]\w*)\.)?([A-Z]\w*)$`)
	code       = regexp.MustCompile("`([^`\n]+)`")
)

// Files and identifiers of the code that pages name are there: pkg.Name, Type.Method, and paths from the root.
func TestPagesNameWhatIsThere(t *testing.T) {
	sources := packageSources(t)
	named := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllSubmatch(data, -1) {
			text := string(m[1])
			if path.MatchString(text) {
				named++
				if _, err := os.Stat(filepath.Join(repository, text)); err != nil {
					t.Errorf("%s names %s, which is not there", name, text)
				}
				continue
			}
			id := identifier.FindStringSubmatch(text)
			source, ours := sources[""], id != nil && id[2] != ""
			if id != nil && id[1] != "" {
				source, ours = sources[id[1]]
			}
			if !ours {
				continue
			}
			named++
			declared := `(?m)^(?:func|type|var|const) ` + id[3] + `\b|^\t` + id[3] + `\b`
			if id[2] != "" {
				declared = `(?m)^func \(\w* ?\*?` + id[2] + `\) ` + id[3] + `\(|^\t` + id[3] + `\(`
			}
			if !regexp.MustCompile(declared).MatchString(source) {
				t.Errorf("%s names %s, which is not declared", name, text)
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d files and identifiers are named: are they still found?", named)
	}
}

// packageSources is the code of each package by its name, and of all by "".
func packageSources(t *testing.T) map[string]string {
	t.Helper()
	sources := make(map[string]string)
	err := filepath.WalkDir(repository, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		data, err := os.ReadFile(name)
		sources[filepath.Base(filepath.Dir(name))] += string(data)
		sources[""] += string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

var (
	linked = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()\s]*\))?)\)`)
	titled = regexp.MustCompile(`(?m)^#+ (.+)$`)
	quoted = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
)

// Every relative link leads to a file of the tree, and where it names a heading, to that.
func TestLinksOfPages(t *testing.T) {
	links := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range linked.FindAllStringSubmatch(quoted.ReplaceAllString(string(data), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(repository, filepath.Dir(name), path)
			if path == "" {
				target = filepath.Join(repository, name)
			}
			text, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr != nil || err != nil && !info.IsDir() {
				t.Errorf("%s: a link to %s: there is no such file", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s: a link to %s: there is no such heading", name, m[1])
			}
		}
	}
	if links < 30 {
		t.Errorf("only %d links: are they still found?", links)
	}
}

// anchors are the names under which a page's headings are reached.
func anchors(page []byte) (list []string) {
	for _, m := range titled.FindAllSubmatch(page, -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(string(m[1])))
		list = append(list, kept)
	}
	return list
}
