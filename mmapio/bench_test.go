package mmapio

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkRead compares views with reads into a buffer that stays in the cache, on a
// file in the page cache whose every byte is then looked at.
func BenchmarkRead(b *testing.B) {
	const size, chunk = 256 << 20, 1 << 20
	path := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(path, bytes.Repeat([]byte("weld"), size/4), 0o666); err != nil {
		b.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	buffer := make([]byte, chunk)
	for name, read := range map[string]func(off int64){
		"view": func(off int64) {
			v, err := f.View(off, chunk)
			if err != nil {
				b.Fatal(err)
			}
			bytes.IndexByte(v.Data, 0)
			v.Release()
		},
		"pread": func(off int64) {
			if _, err := file.ReadAt(buffer, off); err != nil {
				b.Fatal(err)
			}
			bytes.IndexByte(buffer, 0)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				for off := int64(0); off < size; off += chunk {
					read(off)
				}
			}
		})
	}
}
