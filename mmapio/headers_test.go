package mmapio

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is read is the file's, before the end of the mapped head, across it and behind it, and no more than there is.
func TestHeaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	data := noise(mappedHead + 5000)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, how := range []Reading{Mapped, Copied} {
		f, err := Open(path, how)
		if err != nil {
			t.Fatal(err)
		}
		if mapped := f.small.covers(0, mappedHead); mapped != (how == Mapped) || f.small.covers(1, mappedHead) {
			t.Errorf("%v: the head is mapped: %v", how, mapped)
		}
		for _, off := range []int64{0, 1, mappedHead - 100, mappedHead - 99, mappedHead, f.Size() - 100, f.Size() - 50, f.Size()} {
			buf := make([]byte, 100)
			want := data[off:min(off+100, f.Size())]
			n, err := f.ReadAt(buf, off)
			if n != len(want) || !bytes.Equal(buf[:n], want) || (err == io.EOF) != (n < 100) {
				t.Errorf("%v: %d bytes at %d, %v", how, n, off, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file that shrank under its mapped head is an error, not the end of the process.
func TestHeadersOfAShrunkFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, noise(100_000), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 10), 90_000); err == nil {
		t.Error("bytes that are gone were read")
	}
}
