//go:build !noasm

package methods

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// The root of the module, and what is no part of its source.
const root = "../../.."

var notCopied = map[string]bool{".git": true, ".venv": true, "findings": true}

// block is one fenced block of the guide: a file, whose path is in its first line, or commands.
var block = regexp.MustCompile("(?ms)^```(go|sh)\n(?:// ([\\w./]+)\n)?(.*?)^```$")

// Who adds a method by docs/contributing.md alone has one: its section on methods is followed to the letter, in a copy
// of the tree. What its commands build has assembly, so that the tests without it leave this to those with it.
func TestGuide(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("builds a copy of the tree, with the commands of a shell")
	}
	guide, err := os.ReadFile(filepath.Join(root, "docs", "contributing.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(guide), "\n## A method\n")
	section, _, closed := strings.Cut(section, "\n## ")
	if !ok || !closed {
		t.Fatal("the guide has no section on methods")
	}
	tree := t.TempDir()
	copyTree(t, tree)
	files, commands := 0, 0
	for _, b := range block.FindAllStringSubmatch(section, -1) {
		language, path, text := b[1], b[2], b[3]
		switch {
		case language == "go" && path != "":
			files++
			name := filepath.Join(tree, filepath.FromSlash(path))
			if _, err := os.Stat(name); err == nil {
				t.Errorf("the guide makes %s, which is there", path)
			}
			if err := os.WriteFile(name, []byte("// "+path+"\n"+text), 0o644); err != nil {
				t.Fatal(err)
			}
		case language == "sh":
			commands++
			shell := exec.CommandContext(t.Context(), "sh", "-exc", text)
			shell.Dir = tree
			shell.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath")) // what is built is found again in the cache
			said, err := shell.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			for _, want := range []string{"clipped: add task vectors whose elements are clamped", "limit: a number from 0 to 1e+06; default 0.01"} {
				if !strings.Contains(string(said), want) {
					t.Errorf("the commands do not say %q:\n%s", want, said)
				}
			}
		}
	}
	if files != 2 || commands != 1 {
		t.Errorf("the guide has %d files and %d blocks of commands, want a method, its test, and what makes the rest", files, commands)
	}
	if page, err := os.ReadFile(filepath.Join(tree, "docs", "methods.md")); err != nil || !strings.Contains(string(page), "\n| `clipped` | `weight` |") {
		t.Errorf("docs/methods.md does not have the method (%v)", err)
	}
}

// copyTree copies the module.
func copyTree(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if notCopied[e.Name()] {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
