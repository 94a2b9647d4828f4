//go:build unix

package mmapio

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// killed is what a rehearsed process dies of.
type killed struct{ where string }

// dyingFS is a file system under a process that is killed before its n-th operation: from there on
// nothing is done, undone or removed, and what was locked is free.
type dyingFS struct {
	errorFS
	dieAt int
	ops   int
	lock  fileLock
}

// quick is the operating system's file system, but does not wait for the disk.
var quick = &errorFS{FS: OS}

func dying(n int, plain bool) *dyingFS {
	d := &dyingFS{dieAt: n}
	d.errorFS = errorFS{FS: OS, plain: plain, before: func(op, path string) {
		if d.ops++; d.ops == n {
			panic(killed{op + " " + path})
		}
	}}
	return d
}

func (d *dyingFS) Lock(path string) (io.Closer, error) {
	c, err := d.errorFS.Lock(path)
	if err == nil {
		d.lock = c.(errorLock).Closer.(fileLock)
	}
	return c, err
}

// publish runs a publication until it ends or dies.
func (d *dyingFS) publish(p publication, final string) (where string, err error) {
	defer func() {
		if r := recover(); r != nil {
			where = r.(killed).where
			if d.lock.file != nil {
				d.lock.file.Close() // as the system does; its name stays
			}
		}
	}()
	return "", p.publish(d, final)
}

// next are what can come after a process that died.
var next = map[string]func(final string) error{
	"resume": func(final string) error { return Resume(quick, final) },
	"a run that is given up": func(final string) error {
		s, err := NewStaging(quick, final, Directory)
		if err != nil {
			return err
		}
		return s.Discard()
	},
	"another command": func(final string) error {
		s, err := NewStaging(quick, final, SingleFile)
		if err != nil {
			return err
		}
		if _, err := s.Create("model", 10); err != nil {
			return err
		}
		if err := s.Commit(true, nil); err == nil {
			return fmt.Errorf("a file has replaced a directory")
		}
		return nil
	},
	"one that dies as well, then resume": func(final string) error {
		for n := 1; n < 20; n++ {
			if _, err := dying(n, false).publish(publications["replaced directory"], final); err != nil {
				return err
			}
		}
		return Resume(quick, final)
	},
}

// TestKilledAtEveryOperation kills the replacement of a directory before its first operation, its
// second, and so on. Whatever comes next, the files that are the user's own are in the output
// afterwards, beside a model that is wholly the old one or wholly the new.
func TestKilledAtEveryOperation(t *testing.T) {
	p := publications["replaced directory"]
	for _, plain := range []bool{false, true} {
		for name, then := range next {
			t.Run(fmt.Sprintf("%s, in steps: %v", name, plain), func(t *testing.T) {
				old, fresh := 0, 0
				for n := 1; ; n++ {
					dir, final := outputDir(t, p.old)
					where, err := dying(n, plain).publish(p, final)
					if where == "" {
						if err != nil || n < 30 {
							t.Errorf("%d operations, then %v", n, err)
						}
						break
					}
					if err := then(final); err != nil {
						t.Errorf("killed before %s: %v", where, err)
						continue
					}
					switch got := readTree(t, final); {
					case got.equal(p.old):
						old++
					case got.equal(p.want):
						fresh++
					default:
						t.Errorf("killed before %s: there is %v", where, got)
					}
					if err := p.publish(quick, final); err != nil {
						t.Errorf("killed before %s: the next run: %v", where, err)
					} else if got := readTree(t, final); !got.equal(p.want) {
						t.Errorf("killed before %s: the next run published %v", where, got)
					}
					checkAlone(t, dir, "out")
				}
				if old < 10 || fresh < 5 {
					t.Errorf("the old output was there %d times, the new one %d times", old, fresh)
				}
			})
		}
	}
}

// TestLinkedOutputIsResumed has the output be a link, which leads nowhere between two renames.
func TestLinkedOutputIsResumed(t *testing.T) {
	p := publications["replaced directory"]
	_, final := outputDir(t, p.old)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(final, link); err != nil {
		t.Skip(err)
	}
	between := 0
	for n := 1; ; n++ {
		where, err := dying(n, true).publish(p, link)
		if where == "" {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if exists(final) {
			continue
		}
		between++
		if err := Resume(OS, link); err != nil || !readTree(t, final).equal(p.want) {
			t.Errorf("killed before %s: %v, there is %v", where, err, readTree(t, final))
		}
		break
	}
	if between == 0 {
		t.Error("there always was an output")
	}
}

// TestResumeRefuses has things moved by hand after a process died.
func TestResumeRefuses(t *testing.T) {
	p := publications["replaced directory"]
	for n := 1; ; n++ {
		_, final := outputDir(t, p.old)
		if where, _ := dying(n, false).publish(p, final); where == "" {
			t.Fatal("never died with a record")
		}
		if exists(outputNamesOf(quick, final).recordPath()) && !exists(filepath.Join(StagingPath(final), ".weld-exchange")) && readFile(t, filepath.Join(final, "index")) == "i" {
			if err := os.RemoveAll(final); err != nil {
				t.Fatal(err)
			}
			tree{"mine": "other"}.write(t, final)
			stage := readTree(t, StagingPath(final))
			if err := Resume(quick, final); err == nil {
				t.Error("an output that nobody knows was taken for one that was left")
			}
			if !readTree(t, StagingPath(final)).equal(stage) || !readTree(t, final).equal(tree{"mine": "other"}) {
				t.Error("something was moved")
			}
			return
		}
	}
}

// TestSameNameAppears has the user write a file anew that waits to be carried over, and one with the name that it gets then.
func TestSameNameAppears(t *testing.T) {
	p := publications["replaced directory"]
	for n := 1; ; n++ {
		_, final := outputDir(t, p.old)
		if where, _ := dying(n, false).publish(p, final); where == "" {
			t.Fatal("never died after the exchange")
		}
		if exists(filepath.Join(final, "notes")) {
			continue
		}
		writeFile(t, filepath.Join(final, "notes"), "newer")
		writeFile(t, filepath.Join(final, "notes.old"), "old")
		if err := Resume(quick, final); err != nil {
			t.Fatal(err)
		}
		want := tree{"notes": "newer", "notes.old": "old", "notes.old2": "mine"}
		for name, data := range p.want {
			if name != "notes" {
				want[name] = data
			}
		}
		if got := readTree(t, final); !got.equal(want) {
			t.Errorf("there is %v", got)
		}
		return
	}
}

// TestStrangersInTheWay puts what is no output of weld's, a directory or a link to one, into every place of an
// exchange that a process died in: nothing is moved out of it, and nothing in it is removed.
func TestStrangersInTheWay(t *testing.T) {
	p := publications["replaced directory"]
	mine := tree{"config": "mine", "index": "mine", "notes": "mine"}
	for _, plain := range []bool{false, true} {
		for n := 1; ; n++ {
			where := ""
			for _, linked := range []bool{false, true} {
				for i := range 3 {
					_, final := outputDir(t, p.old)
					if where, _ = dying(n, plain).publish(p, final); where == "" || !exists(outputNamesOf(quick, final).recordPath()) {
						continue
					}
					s := outputNamesOf(quick, final)
					place := []string{s.dir, s.aside(), s.final}[i]
					var r exchangeRecord
					if raw := readFile(t, s.recordPath()); json.Unmarshal([]byte(raw), &r) != nil {
						t.Fatal(raw)
					}
					if err := os.RemoveAll(place); err != nil {
						t.Fatal(err)
					}
					stranger := filepath.Join(filepath.Dir(final), "stranger")
					mine.write(t, stranger)
					if linked {
						if err := os.Symlink(stranger, place); err != nil {
							t.Fatal(err)
						}
						if id, _ := identify(place); i == 0 { // even one that the record was made for
							r.Old = id
							raw, _ := json.Marshal(r)
							writeFile(t, s.recordPath(), string(raw))
						}
					} else if err := os.Rename(stranger, place); err != nil {
						t.Fatal(err)
					}
					Resume(quick, final)
					at := place
					if linked {
						at = stranger
					} else if !exists(place) {
						at = final // given its name back
					}
					if got := readTree(t, at); !got.equal(mine) {
						t.Errorf("killed before %s, in steps: %v; a stranger (linked: %v) as %s has %v", where, plain, linked, place, got)
					}
				}
			}
			if where == "" {
				break
			}
		}
	}
}

// TestDirectoryWhereAFileComes has directories in the old output whose names the new one uses for files, or
// supersedes: what is in them is the user's.
func TestDirectoryWhereAFileComes(t *testing.T) {
	_, final := outputDir(t, tree{"config/mine": "1", "shard-9/mine": "2", "index": "old"})
	s, err := NewStaging(quick, final, Directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config", "index"} {
		f, err := s.Create(name, 0)
		if err == nil {
			_, err = f.Write([]byte("new"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(true, superseded); err != nil {
		t.Fatal(err)
	}
	if got := readTree(t, final); !got.equal(tree{"config": "new", "index": "new", "config.old/mine": "1", "shard-9/mine": "2"}) {
		t.Errorf("there is %v", got)
	}
}

// TestFileAside has a file and a link where an old output could wait without a record: they stay there.
func TestFileAside(t *testing.T) {
	_, final := outputDir(t, nil)
	aside := outputNamesOf(quick, final).aside()
	for what, make := range map[string]func() error{
		"file": func() error { return os.WriteFile(aside, nil, 0o666) },
		"link": func() error { return os.Symlink("nowhere", aside) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if err := Resume(quick, final); err == nil || !exists(aside) || exists(final) {
			t.Errorf("a %s aside: %v", what, err)
		}
		if err := os.Remove(aside); err != nil {
			t.Fatal(err)
		}
	}
}
