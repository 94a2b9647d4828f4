package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"weld/mmapio"
	"weld/stream"
)

// The floor reads every byte once and writes as many as it is asked for, more than there are to be read or less.
func TestOnce(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i, size := range []int64{pieceBytes + 3, 0, 5} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, bytes.Repeat([]byte{byte(i + 1)}, int(size)), 0o666); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	for _, size := range []int64{0, 1, 100, 3 * pieceBytes} {
		out := filepath.Join(dir, "out")
		if err := once(t.Context(), paths, out, size, 3); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil || int64(len(text)) != size {
			t.Fatalf("%d bytes, %v, want %d", len(text), err, size)
		}
		if i := bytes.IndexByte(text, 0); i >= 0 {
			t.Errorf("of %d bytes, nobody wrote that at %d", size, i)
		}
	}
}

// The fastest round of a program counts, and the best floor; what stayed in the page cache is of the worst round. A program that
// failed at times is measured by the rounds that it did not.
func TestColdRounds(t *testing.T) {
	var r ColdRow
	for _, by := range []ColdRow{
		{Failed: "out of luck", Floor: 3},
		{Seconds: 9, Written: 1, Floor: 2, Stayed: 7},
		{Seconds: 8, Written: 2, Floor: 4},
		{Failed: "again", Floor: 5, Stayed: 1},
	} {
		r.better(by)
	}
	if want := (ColdRow{Seconds: 8, Written: 2, Floor: 2, Stayed: 7}); r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	r.rate()
	if r.OverBy != 4 {
		t.Errorf("%v times the floor", r.OverBy)
	}
}

// Programs take turns within each round, and each finds the inputs as cold as the others did. Nothing is left of what
// they wrote, nor of what one left that failed.
func TestRunCold(t *testing.T) {
	s := NewSet(t.TempDir(), 4e6, 1)
	if err := s.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	cases, err := s.ColdCases([]string{"linear"})
	if err != nil {
		t.Fatal(err)
	}
	var order string
	var warm int64 // bytes of the model that a program found in the page cache at most
	program := func(name string, fails bool) Program {
		return Program{name, func(_ context.Context, recipe, out string) (int64, error) {
			order += name
			found, _ := mmapio.Resident(filepath.Join(s.Models[0], "model.safetensors"))
			warm = max(warm, found)
			if _, err := os.Stat(recipe); err != nil {
				return 0, err
			}
			err := os.WriteFile(out, make([]byte, 100), 0o666)
			if fails {
				err = errors.New("fails")
			}
			return 1 << 20, err
		}}
	}
	rows, err := s.RunCold(t.Context(), cases, []Program{program("a", false), program("b", true)}, 2, stream.Options{}, func(int, ColdRow) {})
	if err != nil {
		t.Fatal(err)
	}
	if order != "abab" {
		t.Errorf("ran %s", order)
	}
	a, b := rows[0], rows[1]
	if a.Failed != "" || a.Written != 100 || a.Input < 4e6 || a.Floor <= 0 || a.OverBy <= 0 || a.Peak != 1<<20 {
		t.Errorf("%+v", a)
	}
	if b.Failed != "fails" || b.OverBy != 0 {
		t.Errorf("%+v", b)
	}
	if a.Device != nil && *a.Device != 0 {
		t.Errorf("%d bytes read by a program that reads nothing", *a.Device)
	}
	if warm > a.Stayed {
		t.Errorf("%d bytes were in the page cache, and %d are said to be", warm, a.Stayed)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "cold-*")); left != nil {
		t.Errorf("%v is left", left)
	}
}
