package mmapio

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// mischief is what others do to a staging directory while it is written.
var mischief = map[string]func(stage string) error{
	"removed": os.RemoveAll,
	"renamed": func(stage string) error { return os.Rename(stage, stage+"-elsewhere") },
	"made anew": func(stage string) error {
		return errors.Join(os.RemoveAll(stage), os.Mkdir(stage, 0o777), os.WriteFile(filepath.Join(stage, "index"), []byte("i"), 0o666))
	},
	"linked": func(stage string) error {
		return errors.Join(os.Rename(stage, stage+"-elsewhere"), os.Symlink(stage+"-elsewhere", stage))
	},
	"a file removed": func(stage string) error { return eachFile(stage, os.Remove) },
	"a file replaced": func(stage string) error {
		return eachFile(stage, func(path string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".x", data, 0o666), os.Rename(path+".x", path))
		})
	},
	"a file cut short": func(stage string) error {
		return eachFile(stage, func(path string) error { return os.Truncate(path, 0) })
	},
}

// eachFile does something to all files in a staging directory; there must be one.
func eachFile(stage string, do func(path string) error) error {
	found := os.ErrNotExist
	err := filepath.WalkDir(stage, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			found, err = nil, do(path)
		}
		return err
	})
	return errors.Join(err, found)
}

// publishing reports whether an operation moves the old output or puts the new one into its place: what
// happens from there on happens to outputs.
func publishing(op, path, final string) bool {
	return op == "exchange" || op == "rename" && (strings.HasPrefix(path, final+" ") || strings.HasSuffix(path, " to "+final))
}

// beforeEachOperation publishes again and again, and has something done before each operation up to the
// one that publishes.
func beforeEachOperation(t *testing.T, p publication, plain bool, do func(final string) error, check func(where, dir, final string, err error)) {
	for n := 4; ; n++ { // when the name is locked and the staging directory is made
		dir := filepath.Join(quickDir(t), "parent")
		final := filepath.Join(dir, "out")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		p.old.write(t, final)
		ops, where, over := 0, "", false
		disk := &errorFS{FS: OS, plain: plain}
		disk.before = func(op, path string) {
			over = over || publishing(op, path, final)
			if ops++; ops < n || over || where != "" {
				return
			}
			if err := do(final); err == nil {
				where = op + " " + strings.ReplaceAll(path, dir, "")
			}
		}
		err := p.publish(disk, final)
		if where == "" {
			if n < 8 {
				t.Errorf("%d operations: the rehearsal is no good", n)
			}
			return
		}
		check(where, dir, final, err)
	}
}

// TestMischief has something happen to the staging directory before each operation of a run: it fails, and
// what was there before stays. Only what happens to a file before it is made is no matter.
func TestMischief(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files and directories stay where they are")
	}
	for what, do := range mischief {
		eachPublication(t, func(t *testing.T, p publication, plain bool) {
			beforeEachOperation(t, p, plain, func(final string) error { return do(StagingPath(final)) }, func(where, _, final string, err error) {
				if (what == "a file cut short" || what == "linked") && err == nil && readTree(t, final).equal(p.want) {
					return // it was written afterwards, or the link led to it
				}
				if err == nil {
					t.Errorf("%s before %s: nothing was said", what, where)
				}
				if got := readTree(t, final); !got.equal(p.old) {
					t.Errorf("%s before %s: there is %v; %v", what, where, got, err)
				}
			})
		})
	}
}

// TestParentMoves takes the directory around the output away, or gives its name to another.
func TestParentMoves(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with open files cannot be renamed")
	}
	for _, again := range []bool{false, true} {
		eachPublication(t, func(t *testing.T, p publication, plain bool) {
			move := func(final string) error {
				parent := filepath.Dir(final)
				if err := os.Rename(parent, parent+"-moved"); err != nil || !again {
					return err
				}
				p.old.write(t, final)
				return os.MkdirAll(parent, 0o777)
			}
			beforeEachOperation(t, p, plain, move, func(where, dir, final string, err error) {
				if err == nil {
					t.Errorf("before %s: the parent was moved, and nothing was said", where)
				}
				if got := readTree(t, filepath.Join(dir+"-moved", "out")); !got.equal(p.old) {
					t.Errorf("before %s: the old output is %v", where, got)
				}
				if got := readTree(t, final); again && !got.equal(p.old) {
					t.Errorf("before %s: in the new directory is %v", where, got)
				}
			})
		})
	}
}

// TestFilesAreNotMadeElsewhere has the staging directory go before the small files are made: they must not
// bring it back.
func TestFilesAreNotMadeElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with open files cannot be removed")
	}
	for _, do := range []func(string) error{os.RemoveAll, mischief["renamed"], mischief["made anew"]} {
		dir, final := outputDir(t, tree{"model": "old"})
		s, err := NewStaging(OS, final, Directory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create("weights", 100); err != nil {
			t.Fatal(err)
		}
		if err := do(StagingPath(final)); err != nil {
			t.Fatal(err)
		}
		_, err = s.Create("sub/config.json", 0)
		if err == nil {
			err = s.Commit(true, nil)
		}
		if err == nil || !strings.Contains(err.Error(), "was removed or renamed while weld was writing") {
			t.Errorf("a stage that is gone: %v", err)
		}
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
		if got := readTree(t, final); !got.equal(tree{"model": "old"}) {
			t.Errorf("there is %v", got)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*", "weights")); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}

// TestTakenAtTheLastMoment has a file or directory appear under the final name when the commit has looked
// there already.
func TestTakenAtTheLastMoment(t *testing.T) {
	for name, p := range publications {
		for _, there := range []tree{{"": "mine"}, {"mine": "x"}} {
			if p.replace {
				continue
			}
			dir, final := outputDir(t, p.old)
			appeared := false
			disk := &errorFS{FS: OS, before: func(op, path string) {
				if op == "rename" && strings.HasSuffix(path, " to "+final) {
					if p.old != nil && there[""] != "" {
						return // a directory is there
					}
					there.write(t, final)
					appeared = true
				}
			}}
			err := p.publish(disk, final)
			if !appeared {
				continue
			}
			if !errors.Is(err, ErrExists) {
				t.Errorf("%s over %v: %v, want ErrExists", name, there, err)
			}
			if got := readTree(t, final); !got.equal(there) {
				t.Errorf("%s over %v: there is %v", name, there, got)
			}
			checkAlone(t, dir, "out")
		}
	}
}

// TestWhatIsNoStage puts links, files and links to nowhere where the staging directory, its lock and its record go.
func TestWhatIsNoStage(t *testing.T) {
	for _, at := range []string{"", ".lock", ".json"} {
		for _, what := range []string{"link to a directory", "link to a file", "dangling link", "file", "directory"} {
			if at == "" && what == "directory" || at == ".lock" && what == "file" {
				continue // as a process leaves it that is killed
			}
			t.Run(fmt.Sprintf("%s as stage%s", what, at), func(t *testing.T) {
				dir, final := outputDir(t, tree{"model": "old"})
				mine := filepath.Join(dir, "mine")
				tree{"diary": "dear", "deep/er": "x"}.write(t, mine)
				path := StagingPath(final) + at
				var err error
				switch what {
				case "link to a directory":
					err = os.Symlink(mine, path)
				case "link to a file":
					err = os.Symlink(filepath.Join(mine, "diary"), path)
				case "dangling link":
					err = os.Symlink(filepath.Join(mine, "new"), path)
				case "file":
					writeFile(t, path, "not weld's")
				case "directory":
					tree{"a": "b"}.write(t, path)
				}
				if err != nil {
					t.Skip(err)
				}
				look := func() string {
					link, _ := os.Readlink(path)
					kept, _ := os.ReadFile(path)
					return fmt.Sprint(link, string(kept), readTree(t, mine), readTree(t, final))
				}
				before := look()
				if err := publications["replaced directory"].publish(OS, final); err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want one about %s", err, path)
				}
				if got := look(); got != before {
					t.Errorf("there is %v, was %v", got, before)
				}
			})
		}
	}
}
