// Package house_test holds the tree to the layers of docs/architecture.md: which package may
// know which. Imports only point downwards,
//
//	cmd/weld → stream → {stream/plan, stream/run} → {stream/fuse, stream/recipe} → {scoring, format} → {internal/vec, mmapio}
//
// and what a package never knows, it never imports. The test reads the import clauses of every
// file of the module for every system, so that no build tag hides one. Files of tests may import
// what they like.
package house_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// layer is the height of a package. An import leads to a lower layer. −1 is a package without
// one, which nothing may import.
func layer(pkg string) int {
	switch {
	case pkg == "internal/vec", pkg == "internal/spelling", pkg == "internal/torchsave", pkg == "mmapio":
		return 0
	case pkg == "format", pkg == "internal/huffman":
		return 1
	case pkg == "scoring", pkg == "format/frames", pkg == "format/gather", pkg == "format/pickle", pkg == "format/names", pkg == "format/planes", pkg == "format/safetensors", pkg == "format/torch":
		return 2
	case pkg == "format/patch", pkg == "format/quant", pkg == "format/lora", pkg == "format/llamacpp":
		return 4
	case pkg == "format/open":
		return 5
	case pkg == "format/model", pkg == "format/moments":
		return 6
	case strings.HasPrefix(pkg, "format/"):
		return 3
	case pkg == "stream/chat":
		return 5
	case pkg == "stream/fuse/methods":
		return 9
	case strings.HasPrefix(pkg, "stream/fuse/"): // tools of several methods
		return 8
	case pkg == "stream/plan", pkg == "stream/run":
		return 10
	case pkg == "stream":
		return 11
	case pkg == "stream/bench", pkg == "stream/importance", pkg == "stream/packs", strings.HasPrefix(pkg, "cmd/weld/"):
		return 12
	case strings.HasPrefix(pkg, "stream/"):
		return 7
	case strings.HasPrefix(pkg, "cmd/"):
		return 13
	}
	return -1
}

// neighbours are the imports within one layer that are meant, by the directory at the top.
var neighbours = map[string][]string{
	"format": {"safetensors", "gather", "pickle", "dcp", "deepspeed"},
}

// rules are what packages must not import beside what is above them: a package, or
// all below a path that ends with a slash.
var rules = []struct {
	who func(pkg string) bool
	not []string
}{
	{is("internal/vec"), []string{"weld/", "golang.org/x/exp/", "golang.org/x/sys/unix", "github.com/"}}, // x/sys/cpu says what the machine has
	{is("mmapio", "internal/spelling", "internal/torchsave"), []string{"weld/"}},
	{is("scoring", "stream/fuse", "stream/fuse/sphere", "stream/fuse/sparsify", "stream/fuse/selective", "stream/fuse/methods"), []string{"os", "io/fs", "path/filepath", "weld/mmapio", "weld/format/"}},
	{is("stream/recipe"), []string{"os", "weld/mmapio", "weld/format/", "weld/scoring", "weld/stream/fuse"}},
	{is("stream/fuse", "stream/fuse/sphere", "stream/fuse/sparsify", "stream/fuse/selective"), []string{"weld/stream/recipe"}},
	{is("stream/run"), []string{"weld/stream/recipe", "weld/format/", "os"}},
	{is("stream/plan"), []string{"golang.org/x/sync/", "sync", "context"}},
	{is("stream/chat"), []string{"weld/", "os"}},
	{below("format", "mmapio", "internal", "scoring", "stream"), []string{"flag", "log", "log/slog"}},
}

func is(pkgs ...string) func(string) bool {
	return func(pkg string) bool { return slices.Contains(pkgs, pkg) }
}

func below(dirs ...string) func(string) bool {
	return func(pkg string) bool {
		top, _, _ := strings.Cut(pkg, "/")
		return slices.Contains(dirs, top)
	}
}

// file is one source file: the package that it is in and what it imports.
type file struct {
	path, pkg string
	imports   []string
}

// files lists the module's files that are no tests.
func files(t *testing.T) (list []file) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() && rel != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := file{path: rel, pkg: path.Dir(rel)}
		for _, s := range parsed.Imports {
			imported, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		list = append(list, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 50 {
		t.Fatalf("only %d files: is this the module?", len(list))
	}
	return list
}

func TestImportsPointDownwards(t *testing.T) {
	for _, f := range files(t) {
		own := layer(f.pkg)
		for _, imported := range f.imports {
			pkg, ours := strings.CutPrefix(imported, "weld/")
			if !ours {
				continue
			}
			to := layer(pkg)
			switch {
			case to < 0:
				t.Errorf("%s imports %s, which is in no layer", f.path, imported)
			case own < 0: // examples, fuzz
			case to == own && slices.Contains(neighbours[top(f.pkg)], path.Base(pkg)):
			case to >= own:
				t.Errorf("%s imports %s: imports only point downwards", f.path, imported)
			}
		}
	}
}

func top(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

func TestWhatPackagesNeverKnow(t *testing.T) {
	applied := make([]int, len(rules))
	for _, f := range files(t) {
		for i, r := range rules {
			if !r.who(f.pkg) {
				continue
			}
			applied[i]++
			for _, imported := range f.imports {
				for _, no := range r.not {
					if imported == no || strings.HasSuffix(no, "/") && strings.HasPrefix(imported, no) {
						t.Errorf("%s imports %s", f.path, imported)
					}
				}
			}
		}
	}
	for i, n := range applied {
		if n == 0 {
			t.Errorf("rule %d, against %v, is about no package", i, rules[i].not)
		}
	}
}

// The terminal belongs to the command.
func TestOnlyTheCommandTalks(t *testing.T) {
	for _, f := range files(t) {
		if top(f.pkg) == "cmd" {
			continue
		}
		for _, imported := range f.imports {
			for _, terminal := range []string{"github.com/urfave/cli", "github.com/schollz/progressbar", "golang.org/x/term"} {
				if imported == terminal || strings.HasPrefix(imported, terminal+"/") {
					t.Errorf("%s imports %s", f.path, imported)
				}
			}
		}
	}
}

func TestTopLevelDirectories(t *testing.T) {
	for _, name := range unknownDirectories(t, root) {
		t.Errorf("%s is a new directory: say here and in docs/architecture.md what it is", name)
	}
}

// The README's commands leave directories behind, which .gitignore lists. They are nobody's business here.
func TestTopLevelDirectoriesAreIgnored(t *testing.T) {
	dir := t.TempDir()
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), ignored, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stream", ".git", "weld-demo", "dist", "__pycache__", "rooms", "dist2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := unknownDirectories(t, dir), []string{"dist2", "rooms"}; !slices.Equal(got, want) {
		t.Errorf("%q are new directories, want %q", got, want)
	}
}

// unknownDirectories lists those of a tree that nobody has said anything about, but for what .gitignore lists.
func unknownDirectories(t *testing.T, tree string) (unknown []string) {
	t.Helper()
	known := []string{"stream", "mmapio", "scoring", "format", "cmd", "fuzz", "internal", "docs", "examples", "findings"}
	entries, err := os.ReadDir(tree)
	if err != nil {
		t.Fatal(err)
	}
	ignored := ignoredPatterns(t, tree)
	for _, e := range entries {
		matches := func(pattern string) bool {
			ok, err := path.Match(pattern, e.Name())
			return ok && err == nil
		}
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(known, e.Name()) && !slices.ContainsFunc(ignored, matches) {
			unknown = append(unknown, e.Name())
		}
	}
	return unknown
}

// ignoredPatterns are the lines of .gitignore, as patterns of names at the top of the tree.
func ignoredPatterns(t *testing.T, tree string) (patterns []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.Trim(strings.TrimSpace(line), "/"); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	return patterns
}
