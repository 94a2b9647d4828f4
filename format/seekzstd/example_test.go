package seekzstd_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"weld/format/seekzstd"
)

func Example() {
	dir, err := os.MkdirTemp("", "seekzstd")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "greeting.zst")
	out, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer out.Close()

	// Two frames, of 7 and of 5 bytes.
	w, err := seekzstd.NewWriter(out, []int64{7, 12}, 1)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := w.WriteAt([]byte("hello, world"), 0); err != nil {
		log.Fatal(err)
	}
	if err := w.Complete(); err != nil {
		log.Fatal(err)
	}

	z, err := seekzstd.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer z.Close()
	view, err := z.View(7, 5) // decodes the second frame alone
	if err != nil {
		log.Fatal(err)
	}
	defer view.Release()
	fmt.Printf("%s, of %d bytes\n", view.Data, z.Size())
	// Output: world, of 12 bytes
}
