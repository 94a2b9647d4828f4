package mmapio_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"weld/mmapio"
)

func ExampleFile_View() {
	dir, err := os.MkdirTemp("", "view")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "large")
	if err := os.WriteFile(path, []byte("a long way to the needle, and on"), 0o666); err != nil {
		log.Fatal(err)
	}

	f, err := mmapio.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	view, err := f.View(7, 20)
	if err != nil {
		log.Fatal(err)
	}
	defer view.Release()

	// Whatever reads the bytes runs inside a guard.
	var at int
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		at = bytes.Index(view.Data, []byte("needle"))
		return nil
	})
	if fault := (*mmapio.FaultError)(nil); errors.As(err, &fault) {
		log.Fatalf("the file cannot be read at byte %d", fault.Offset)
	}
	fmt.Printf("%q has the needle at %d\n", view.Data, at)
	// Output: "way to the needle, a" has the needle at 11
}

func ExampleStaging() {
	dir, err := os.MkdirTemp("", "stage")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	final := filepath.Join(dir, "merged")

	stage, err := mmapio.NewStaging(mmapio.OS, final, mmapio.Directory)
	if err != nil {
		log.Fatal(err)
	}
	defer stage.Discard() // does nothing after a commit

	file, err := stage.Create("weights", 8)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("last"), 4); err != nil {
		log.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("1st "), 0); err != nil {
		log.Fatal(err)
	}
	_, err = os.Stat(final)
	fmt.Println("visible before the commit:", err == nil)

	if err := stage.Commit(false, nil); err != nil {
		log.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(final, "weights"))
	fmt.Printf("after it: %q, %v\n", data, err)

	stage, err = mmapio.NewStaging(mmapio.OS, final, mmapio.Directory)
	if err != nil {
		log.Fatal(err)
	}
	err = stage.Commit(false, nil)
	fmt.Println("again, without replace: refused:", errors.Is(err, mmapio.ErrExists))
	// Output:
	// visible before the commit: false
	// after it: "1st last", <nil>
	// again, without replace: refused: true
}
