package mmapio

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sparse makes a file of holes, with markers at the given offsets.
func sparse(t *testing.T, size int64, marks ...int64) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sparse")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Skip(err)
	}
	for _, off := range marks {
		if _, err := file.WriteAt(mark(off), off); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.sparse = false // its holes stand for data
	t.Cleanup(func() { f.Close() })
	return f
}

func mark(off int64) []byte { return fmt.Appendf(nil, "@%011d", off) }

// mapped tells which windows of f are mapped, and checks the books.
func (f *File) mappedWindows(t *testing.T) string {
	t.Helper()
	var s strings.Builder
	for i := int64(0); i*windowSize < f.Size(); i++ {
		if win := f.maps.mapped[i*windowSize]; win != nil {
			fmt.Fprintf(&s, "%d", i)
			if win.loans > 0 {
				s.WriteByte('*')
			}
			s.WriteByte(' ')
		}
	}
	for _, win := range windows.idle {
		if win.loans != 0 || win.file.maps.mapped[win.base] != win {
			t.Errorf("window %d is in the idle list with %d loans", win.base/windowSize, win.loans)
		}
	}
	return strings.TrimSpace(s.String())
}

func TestViewsAroundAWindowsEnd(t *testing.T) {
	const size = windowSize + 2*MaxView
	marks := []int64{0, windowSize - 30, windowSize - 5, windowSize + 100, windowSize + MaxView - 6, size - 12}
	f := sparse(t, size, marks...)
	for _, off := range marks {
		checkView(t, f, off, mark(off))
		checkView(t, f, off+3, mark(off)[3:])
	}
	// The widest view that the last byte of a window can begin.
	v, err := f.View(windowSize-1, MaxView)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	if got := v.Data[101:][:12]; !bytes.Equal(got, mark(windowSize+100)) {
		t.Errorf("the straddling view holds %q at the marker", got)
	}
	if _, err := f.View(size-5, 6); err == nil {
		t.Error("a view beyond the last window was lent")
	}
}

func TestOldWindowsAreUnmapped(t *testing.T) {
	f := sparse(t, (idleWindows+4)*windowSize)
	first, err := f.View(3, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(idleWindows + 3) {
		v, err := f.View((i+1)*windowSize+99, 1000)
		if err != nil {
			t.Fatal(err)
		}
		v.Release()
	}
	want := "0*" // it is lent; of the others the last ones stay
	for i := 4; i <= idleWindows+3; i++ {
		want += fmt.Sprintf(" %d", i)
	}
	if got := f.mappedWindows(t); got != want {
		t.Errorf("mapped are %q, want %q", got, want)
	}
	if len(first.Data) != 10 || first.Data[9] != 0 { // still there
		t.Error("a lent window is gone")
	}
	first.Release()
	if got, want := f.mappedWindows(t), "0 5"; !strings.HasPrefix(got, want) {
		t.Errorf("at the end mapped are %q, want %q and so on", got, want)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if len(f.maps.mapped) != 0 {
		t.Error("Close left windows")
	}
	if v, err := f.View(0, 1); err == nil {
		v.Release()
		t.Error("a closed file lends")
	}
}

func TestWindowsConcurrently(t *testing.T) {
	marks := make([]int64, idleWindows)
	for i := range marks {
		marks[i] = int64(i)*windowSize + 7
	}
	const size = idleWindows * windowSize
	files := []*File{sparse(t, size, marks...), sparse(t, size, marks...)}
	var g sync.WaitGroup
	for seed := range uint64(4) {
		g.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 200 {
				off := marks[r.IntN(len(marks))]
				checkView(t, files[r.IntN(2)], off, mark(off))
			}
		})
	}
	g.Wait()
	mapped := 0
	for _, f := range files {
		f.mappedWindows(t)
		mapped += len(f.maps.mapped)
	}
	if mapped != idleWindows {
		t.Errorf("%d windows stay mapped, want %d", mapped, idleWindows)
	}

	// Closing one file leaves the other's windows alone.
	if err := files[0].Close(); err != nil {
		t.Error(err)
	}
	for _, win := range windows.idle {
		if win.file == files[0] {
			t.Error("a window of a closed file is still idle")
		}
	}
	checkView(t, files[1], marks[3], mark(marks[3]))
}

// residentFile is how much of mapped files is resident, in bytes.
func residentFile(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, rest, found := strings.Cut(string(status), "RssFile:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); !found || err != nil {
		t.Skip("no RssFile in /proc/self/status")
	}
	return kib << 10
}

func TestReleasedPagesAreNotResident(t *testing.T) {
	withAndWithoutPopulate(t, func(t *testing.T) {
		const size, step, most = 512 << 20, 1 << 20, 8 << 20
		f := sparse(t, size)
		before, peak := residentFile(t), int64(0)
		for off := int64(0); off < size; off += step {
			v, err := f.View(off, step)
			if err != nil {
				t.Fatal(err)
			}
			v.Release()
			if off%(16*step) == 0 {
				peak = max(peak, residentFile(t)-before)
			}
		}
		peak = max(peak, residentFile(t)-before)
		if peak > most {
			t.Errorf("reading %d MiB in views of %d MiB keeps %d MiB resident, want at most %d", size>>20, step>>20, peak>>20, most>>20)
		}
	})
}

func TestLentPagesAreResident(t *testing.T) {
	withAndWithoutPopulate(t, func(t *testing.T) {
		f := sparse(t, 16<<20)
		before := residentFile(t)
		v, err := f.View(0, 16<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Release()
		if grown := residentFile(t) - before; grown < 12<<20 { // the rest is other pages that left meanwhile
			t.Errorf("a view of 16 MiB made %d MiB resident", grown>>20)
		}
	})
}
