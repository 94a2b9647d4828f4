package mmapio

import (
	"errors"
	"runtime"
	"runtime/debug"
	"testing"
)

// panicOf runs fn and returns what it panics with.
func panicOf(fn func()) (r any) {
	defer func() { r = recover() }()
	fn()
	return nil
}

func TestGuardReturnsTheError(t *testing.T) {
	want := errors.New("something else")
	for _, want := range []error{nil, want} {
		if err := Guard(nil, func() error { return want }); err != want {
			t.Errorf("Guard = %v, want %v", err, want)
		}
	}
}

func TestGuardLetsPanicsPass(t *testing.T) {
	f := openFile(t, noise(5000))
	v, err := f.View(0, 5000)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	views := []View{v}

	if r := panicOf(func() { Guard(views, func() error { panic("ouch") }) }); r != "ouch" {
		t.Errorf("a panic became %v", r)
	}
	var nowhere *struct{ near, far int }
	r := panicOf(func() { Guard(views, func() error { nowhere.far++; return nil }) })
	if _, ok := r.(runtime.Error); !ok {
		t.Errorf("a nil pointer became %v", r)
	}
	r = panicOf(func() { Guard(views, func() error { _ = v.Data[len(v.Data):][runtime.NumGoroutine()]; return nil }) })
	if _, ok := r.(runtime.Error); !ok {
		t.Errorf("an index out of range became %v", r)
	}
}

func TestGuardRestoresTheSetting(t *testing.T) {
	for _, before := range []bool{false, true} {
		original := debug.SetPanicOnFault(before)
		_ = Guard(nil, func() error { return nil })
		_ = panicOf(func() { Guard(nil, func() error { panic(1) }) })
		if after := debug.SetPanicOnFault(original); after != before {
			t.Errorf("SetPanicOnFault is %v after Guard, was %v", after, before)
		}
	}
}
