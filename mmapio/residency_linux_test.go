package mmapio

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What was written is in the page cache; what was forgotten is not, unless memory is all the file has.
func TestResident(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const size = 3<<20 + 5
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, size), 0o666); err != nil {
		t.Fatal(err)
	}
	if n, ok := Resident(path); !ok || n != size {
		t.Fatalf("%d bytes, %v, of a file of %d that was written", n, ok, size)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	Forget(path)
	n, ok := Resident(path)
	if !ok || n != 0 && n != size {
		t.Errorf("%d bytes, %v, of a file of %d that was forgotten", n, ok, size)
	}
	if n == size {
		t.Skip("files here cannot be dropped")
	}
	if _, err := f.ReadAt(make([]byte, 1), 2<<20); err != nil {
		t.Fatal(err)
	}
	if n, _ := Resident(path); n == 0 {
		t.Error("what was read is not there")
	}
	if _, ok := Resident(filepath.Join(t.TempDir(), "none")); ok {
		t.Error("known of no file")
	}
}
