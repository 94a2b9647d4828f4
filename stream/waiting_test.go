package stream

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// noLeak returns a check that no goroutine and no file was left behind.
func noLeak(t testing.TB) func() {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	return func() {
		t.Helper()
		for deadline := time.Now().Add(hangs); ; time.Sleep(time.Millisecond) {
			if runtime.NumGoroutine() <= goroutines && openFiles() <= files {
				return
			}
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<16)
				t.Errorf("%d goroutines and %d open files, %d and %d before\n%s", runtime.NumGoroutine(), openFiles(),
					goroutines, files, stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	}
}

// openFiles counts the process's files, where the system says.
func openFiles() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// hangs is how long anything is waited for that takes a moment: long enough for a machine with other work to do.
const hangs = 2 * time.Minute

// within runs f, which must not hang.
func within(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(hangs):
		stacks := make([]byte, 1<<20)
		t.Fatalf("it hangs\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}
