package mmapio

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// checkFault demands a fault of f that lies in [from, to).
func checkFault(t *testing.T, err error, f *File, from, to int64) {
	t.Helper()
	var fault *FaultError
	if !errors.As(err, &fault) {
		t.Errorf("error %v, want a *FaultError", err)
		return
	}
	if fault.Path != f.Path() || fault.Offset < from || fault.Offset >= to {
		t.Errorf("fault at byte %d of %s, want one in [%d, %d) of %s", fault.Offset, fault.Path, from, to, f.Path())
	}
	if strings.Count(err.Error(), f.Path()) != 1 || !strings.Contains(err.Error(), "shrank") {
		t.Errorf("the message %q should name the path once, and the cause", err)
	}
}

// withAndWithoutPopulate runs a test on both ways of making pages resident.
func withAndWithoutPopulate(t *testing.T, test func(t *testing.T)) {
	was := noPopulate.Load()
	defer noPopulate.Store(was)
	for name, old := range map[string]bool{"populate": false, "touch": true} {
		noPopulate.Store(old)
		t.Run(name, test)
	}
}

func truncate(t *testing.T, f *File, size int64) {
	t.Helper()
	if err := os.Truncate(f.Path(), size); err != nil {
		t.Fatal(err)
	}
}

func TestShrunkBeforeView(t *testing.T) {
	withAndWithoutPopulate(t, func(t *testing.T) {
		size := 8*pageSize + 100
		for _, left := range []int64{0, 1, pageSize, 3*pageSize + 5} {
			f := openFile(t, noise(int(size)))
			checkView(t, f, 0, noise(int(size))) // the window is mapped already
			truncate(t, f, left)
			_, err := f.View(17, size-17)
			checkFault(t, err, f, max(17, left), size)
			_, err = f.View(size-1, 1)
			checkFault(t, err, f, size-1, size)
			if win := f.maps.mapped[0]; win.loans != 0 {
				t.Errorf("%d loans are left after views that failed", win.loans)
			}
		}
	})
}

func TestShrunkBeforeFirstMapping(t *testing.T) {
	withAndWithoutPopulate(t, func(t *testing.T) {
		f := openFile(t, noise(int(4*pageSize)))
		truncate(t, f, 0)
		_, err := f.View(pageSize, pageSize)
		checkFault(t, err, f, pageSize, 2*pageSize)
	})
}

func TestShrunkWhileLent(t *testing.T) {
	size := 8 * pageSize
	for _, c := range []struct{ off, n, left, at int64 }{
		{0, size, 0, 0},
		{0, size, pageSize, pageSize},
		{0, size, pageSize + 1, 2 * pageSize}, // the rest of a page that is left reads as zero
		{10, size - 10, 0, 10},
		{3*pageSize + 9, pageSize, 2, 3*pageSize + 9},
	} {
		f := openFile(t, noise(int(size)))
		v, err := f.View(c.off, c.n)
		if err != nil {
			t.Fatal(err)
		}
		truncate(t, f, c.left)
		err = Guard([]View{{}, v}, func() error { return touch(v.Data) })
		checkFault(t, err, f, c.at, c.at+1)
		v.Release()
	}
}

// TestShrunkInsideAPage pins what the hardware cannot tell: only Unchanged does.
func TestShrunkInsideAPage(t *testing.T) {
	data := noise(int(pageSize))
	f := openFile(t, data)
	truncate(t, f, 100)
	clear(data[100:])
	v, err := f.View(0, pageSize)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	if !bytes.Equal(v.Data, data) {
		t.Error("the view shows more than is left of the file")
	}
	if err := f.Unchanged(); err == nil {
		t.Error("a shorter file passes for unchanged")
	}
}

func TestShrunkUnderManyGuards(t *testing.T) {
	const workers = 8
	f := openFile(t, noise(int(64*pageSize)))
	views := make([]View, workers)
	for i := range views {
		var err error
		if views[i], err = f.View(int64(i)*8*pageSize+5, 8*pageSize-5); err != nil {
			t.Fatal(err)
		}
	}
	truncate(t, f, 0)
	var g sync.WaitGroup
	start := make(chan struct{})
	for i, v := range views {
		g.Go(func() {
			<-start
			for range 50 {
				err := Guard([]View{v}, func() error { return touch(v.Data) })
				checkFault(t, err, f, int64(i)*8*pageSize+5, int64(i+1)*8*pageSize)
			}
		})
	}
	close(start)
	g.Wait()
	for i := range views {
		views[i].Release()
	}
}

func TestShrunkUnderReadAt(t *testing.T) {
	f := openFile(t, noise(int(4*pageSize)))
	truncate(t, f, 20)
	buf := make([]byte, 100)
	_, err := f.ReadAt(buf, 2*pageSize+3)
	checkFault(t, err, f, 2*pageSize+3, 2*pageSize+4)
	if n, err := f.ReadAt(buf[:20], 0); n != 20 || err != nil {
		t.Errorf("the part that is left: %d, %v", n, err)
	}
}

// TestShrunkUnderSystemCall hands the bytes to the kernel, which answers EFAULT
// instead of raising a signal.
func TestShrunkUnderSystemCall(t *testing.T) {
	f := openFile(t, noise(int(4*pageSize)))
	v, err := f.View(100, 4*pageSize-100)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	truncate(t, f, 2*pageSize)
	out, err := os.Create(f.Path() + ".out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	err = Guard([]View{{}, v}, func() error { _, err := out.WriteAt(v.Data, 0); return err })
	checkFault(t, err, f, 2*pageSize, 2*pageSize+1)

	// An EFAULT that is no view's stays what it is.
	if err := Guard([]View{{}}, func() error { return syscall.EFAULT }); err != syscall.EFAULT {
		t.Errorf("a foreign EFAULT became %v", err)
	}
}

// TestForeignFault touches a view that the guard was not told of.
func TestForeignFault(t *testing.T) {
	f, g := openFile(t, noise(100)), openFile(t, noise(100))
	v, err := f.View(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	w, err := g.View(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Release()
	truncate(t, g, 0)
	r := panicOf(func() { Guard([]View{v}, func() error { return touch(w.Data) }) })
	if _, ok := r.(runtime.Error); !ok {
		t.Errorf("a fault outside the views became %v", r)
	}
}

func TestFaultOfAFileThatDidNotShrink(t *testing.T) {
	f := openFile(t, noise(100))
	inner := f.fault(50, io.ErrNoProgress)
	if inner.Offset != 50 || !errors.Is(inner, io.ErrNoProgress) {
		t.Errorf("fault = %v", inner)
	}
	if outer := f.fault(10, inner); outer != inner {
		t.Errorf("a fault was explained twice: %v", outer)
	}
}
