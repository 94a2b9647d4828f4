package mmapio

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// writerOf makes a second process of this test binary hold the staging directory for a name.
const writerOf = "WELD_TEST_WRITER_OF"

func TestMain(m *testing.M) {
	if final := os.Getenv(writerOf); final != "" {
		os.Exit(holdStage(final))
	}
	os.Exit(m.Run())
}

// holdStage begins an output, says so, and waits for its end.
func holdStage(final string) int {
	s, err := NewStaging(OS, final, Directory)
	if err != nil {
		return 1
	}
	if _, err := s.Create("half", 100); err != nil {
		return 1
	}
	os.Stdout.WriteString("!")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
	return 1
}

func TestLockOfAnotherProcess(t *testing.T) {
	dir, final := outputDir(t, nil)
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	writer := exec.Command(self)
	writer.Env = append(os.Environ(), writerOf+"="+final)
	stdin, err := writer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	p := publications["directory"]
	if err := p.publish(OS, final); !errors.Is(err, ErrLocked) {
		t.Errorf("beside a living writer: %v, want ErrLocked", err)
	}
	half := filepath.Join(StagingPath(final), "half")
	if _, err := os.Stat(half); err != nil {
		t.Errorf("the living writer lost its file: %v", err)
	}

	if err := writer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Wait() // "killed"
	if _, err := os.Stat(half); err != nil {
		t.Errorf("nothing stale to clear: %v", err)
	}
	if err := p.publish(OS, final); err != nil {
		t.Errorf("after a dead writer: %v", err)
	}
	if got := readTree(t, final); !got.equal(p.want) {
		t.Errorf("published %v, want %v", got, p.want)
	}
	checkAlone(t, dir, "out")
}

func TestLockOfTheSameProcess(t *testing.T) {
	dir, final := outputDir(t, nil)
	for range 3 {
		s, err := NewStaging(OS, final, Directory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewStaging(OS, final, Directory); !errors.Is(err, ErrLocked) {
			t.Errorf("a second stage: %v, want ErrLocked", err)
		}
		if _, err := s.Create("still works", 0); err != nil {
			t.Error(err)
		}
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
	}
	checkAlone(t, dir)
}

// TestLockedThroughout tries to begin another staging directory before every single operation
// of a publication, also while directories change their names.
func TestLockedThroughout(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		dir, final := outputDir(t, p.old)
		disk := &errorFS{FS: OS, plain: plain}
		disk.before = func(op, path string) {
			if op == "lock" {
				return
			}
			s, err := NewStaging(OS, final, p.kind)
			if !errors.Is(err, ErrLocked) {
				t.Errorf("before %s %s: %v, want ErrLocked", op, path, err)
			}
			if err == nil {
				s.Discard()
			}
		}
		if err := p.publish(disk, final); err != nil {
			t.Fatal(err)
		}
		if got := readTree(t, final); !got.equal(p.want) {
			t.Errorf("published %v, want %v", got, p.want)
		}
		checkAlone(t, dir, "out")
	})
}

// TestLockRace lets goroutines fight for one name: one at a time gets it, and none
// meets the files of another.
func TestLockRace(t *testing.T) {
	dir, final := outputDir(t, nil)
	results := make(chan error)
	for range 8 {
		go func() {
			var err error
			for won := 0; won < 10 && err == nil; {
				var s *Staging
				if s, err = NewStaging(OS, final, Directory); errors.Is(err, ErrLocked) {
					err = nil
					continue
				}
				if err != nil {
					break
				}
				won++
				_, err = s.Create("mine", 0) // fails if it is there
				err = errors.Join(err, s.Discard())
			}
			results <- err
		}()
	}
	for range 8 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	checkAlone(t, dir)
}
