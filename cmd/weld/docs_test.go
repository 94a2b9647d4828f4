package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// The pages are true: what they tell the reader to type does what they say. Of their fenced blocks,
//
//	sh       is typed: each command that runs weld must succeed. Others (git, go, python) are left alone.
//	console  is a session: a line that begins with "$ " is typed, and what weld says must be what follows it, up to the
//	         next such line. A … stands for any text, a line of it for any number of lines; seconds are not compared.
//	         The command fails if a line of that is a message of weld's, and no note.
//	yaml     with a merge_method is a recipe: it is written to recipe.yml, for the commands behind it, and merged.
//
// Every page begins with the files of [scene] in an empty directory.

const repository = "../.."

// pages lists what people read, by its path from the root.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil || len(found) < 5 {
		t.Fatalf("%d pages in docs: %v", len(found), err)
	}
	names := []string{"README.md", "CHANGELOG.md", "SECURITY.md"}
	for _, path := range found {
		names = append(names, "docs/"+filepath.Base(path))
	}
	return names
}

// block is one fenced block of a page.
type block struct {
	language string
	line     int // of its first line in the page
	text     string
}

var fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(page string) (list []block) {
	for _, m := range fenced.FindAllStringSubmatchIndex(page, -1) {
		list = append(list, block{page[m[2]:m[3]], 1 + strings.Count(page[:m[4]], "\n"), page[m[4]:m[5]]})
	}
	return list
}

func TestPagesDoWhatTheySay(t *testing.T) {
	if testing.Short() {
		t.Skip("types every command of the documents")
	}
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		t.Skip("no shell to type into")
	}
	typed := 0
	for _, name := range pages(t) {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(repository, name))
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(t, name)
			for _, b := range blocks(string(data)) {
				switch {
				case b.language == "sh":
					r.commands(b)
				case b.language == "console":
					r.session(b)
				case b.language == "yaml" && strings.Contains(b.text, "merge_method:"):
					r.recipe(b)
				}
			}
			typed += r.typed
		})
	}
	if typed < 60 {
		t.Errorf("only %d commands were typed: are the blocks still found?", typed)
	}
}

// reader is somebody who does what a page says.
type reader struct {
	*testing.T
	page, dir string
	env       []string
	typed     int
}

func newReader(t *testing.T, page string) *reader {
	t.Helper()
	dir := t.TempDir()
	scene(t, dir)
	path := filepath.Join(dir, ".bin") + string(os.PathListSeparator) + os.Getenv("PATH")
	if bin := foreignBinary(t); bin != "" {
		path = bin + string(os.PathListSeparator) + path
	}
	env := append(os.Environ(), "HF_HUB_CACHE="+filepath.Join(dir, ".hub"), "PATH="+path)
	return &reader{T: t, page: page, dir: dir, env: env}
}

// inTheWay is what weld says of an output that is there already: a page writes ./merged more than once, and a reader
// takes another name or moves the old one away.
var inTheWay = regexp.MustCompile(`(?m)^weld: output (\S+) already exists`)

// shell runs a command line; what it prints on both streams comes back. An output that is in the way is removed, unless
// it is to stay.
func (r *reader) shell(line string, stays bool) (string, error) {
	r.Helper()
	r.typed++
	for range 8 {
		command := exec.Command("sh", "-ec", line)
		command.Dir, command.Env = r.dir, r.env
		said, err := command.CombinedOutput()
		m := inTheWay.FindSubmatch(said)
		if m == nil || stays {
			return string(said), err
		}
		if err := os.RemoveAll(filepath.Join(r.dir, string(m[1]))); err != nil {
			r.Fatal(err)
		}
	}
	return "", fmt.Errorf("its outputs are always in the way")
}

// runsWeld matches a command line that weld begins, or that is piped into it.
var runsWeld = regexp.MustCompile(`^weld |\| *weld `)

// commands types what a block lists: a command a line, with \ at the end of a line that goes on.
func (r *reader) commands(b block) {
	for i, line := range joined(b.text) {
		if !runsWeld.MatchString(line) {
			continue
		}
		if said, err := r.shell(line, false); err != nil {
			r.Errorf("%s:%d: command %d: %s\n%v: %s", r.page, b.line, i+1, line, err, said)
		}
	}
}

// joined is the lines of a text; those that end with \ go on with the next.
func joined(text string) []string {
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\\\n", " "), "\n"), "\n")
}

// session types what stands behind $, and compares what is said with what the page has.
func (r *reader) session(b block) {
	for _, step := range strings.Split("\n"+strings.ReplaceAll(b.text, "\\\n", " "), "\n$ ")[1:] {
		line, want, _ := strings.Cut(step, "\n")
		said, err := r.shell(line, inTheWay.MatchString(want))
		want = strings.TrimRight(want, "\n")
		fails := complains.MatchString(want)
		if fails != (err != nil) {
			r.Errorf("%s:%d: %s\nends with %v, which the page does not say: %s", r.page, b.line, line, err, said)
		}
		if got := strings.TrimRight(said, "\n"); !shown(want).MatchString(compared(got)) {
			r.Errorf("%s:%d: %s\nsays\n%s\nthe page has\n%s", r.page, b.line, line, got, want)
		}
	}
}

// complains matches a message of weld's that is no note. (RE2 has no way to say "not followed by".)
var complains = regexp.MustCompile(`(?m)^weld: ([^n]|n[^o]|no[^t]|not[^e])`)

var (
	seconds = regexp.MustCompile(`\d+\.\d s\b`)
	padding = regexp.MustCompile(`(?m) +$`)
)

// compared is what is compared of an output: neither seconds nor spaces at the ends of lines.
func compared(text string) string {
	return padding.ReplaceAllString(seconds.ReplaceAllString(text, "0.0 s"), "")
}

// shown matches what a page shows of an output.
func shown(text string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(compared(text))
	pattern = regexp.MustCompile(`(?m)^…\n?`).ReplaceAllString(pattern, `(?s:.*)`)
	return regexp.MustCompile(`\A` + strings.ReplaceAll(pattern, "…", ".*") + `\z`)
}

// recipe writes a recipe down, and merges by it.
func (r *reader) recipe(b block) {
	const name = "recipe.yml"
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(b.text), 0o666); err != nil {
		r.Fatal(err)
	}
	if said, err := r.shell("weld merge "+name+" by-recipe", false); err != nil {
		r.Errorf("%s:%d: the recipe: %v: %s", r.page, b.line, err, said)
	}
}
