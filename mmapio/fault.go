package mmapio

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// FaultError reports bytes of a mapping that could not be read: the file shrank,
// or the device below it failed.
type FaultError struct {
	Path   string
	Offset int64 // of the first byte known to be unreadable
	Err    error
}

func (e *FaultError) Error() string {
	return fmt.Sprintf("%s: reading at byte %d: %v", e.Path, e.Offset, e.Err)
}

func (e *FaultError) Unwrap() error { return e.Err }

// Guard runs fn, which may read the given views, and returns its error. A memory
// fault inside one of the views becomes a [*FaultError]; any other panic passes
// through. So does a system call that was handed such bytes and failed with EFAULT.
// The guard covers the calling goroutine only.
func Guard(views []View, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		addr, ok := faultAddress(r)
		if !ok {
			panic(r)
		}
		for _, v := range views {
			if fault := v.faultAt(addr); fault != nil {
				err = fault
				return
			}
		}
		panic(r)
	}()
	err = fn()
	if errors.Is(err, syscall.EFAULT) {
		if fault := probe(views); fault != nil {
			return fault
		}
	}
	return err
}

// probe finds out which of the views cannot be read.
func probe(views []View) error {
	for _, v := range views {
		if _, ok := v.lender.(*mapping); !ok {
			continue
		}
		if err := Guard([]View{v}, func() error { return touch(v.Data) }); err != nil {
			return err
		}
	}
	return nil
}

var pageSize = int64(os.Getpagesize())

// touch reads the first byte of data, and of each further page that it has a part of.
func touch(data []byte) error {
	var sum byte
	addr := int64(uintptr(unsafe.Pointer(unsafe.SliceData(data))))
	for i := int64(0); i < int64(len(data)); i += pageSize - (addr+i)%pageSize {
		sum += data[i]
	}
	touched.Store(uint32(sum))
	return nil
}

var touched atomic.Uint32 // keeps touch from being optimised away

// faultAddress extracts the address from the panic value that the runtime raises
// for a memory fault under [debug.SetPanicOnFault].
func faultAddress(r any) (uintptr, bool) {
	fault, ok := r.(interface {
		error
		Addr() uintptr
	})
	if !ok {
		return 0, false
	}
	return fault.Addr(), true
}

// faultAt describes a fault at addr if addr lies in the view's mapped pages.
func (v View) faultAt(addr uintptr) error {
	w, ok := v.lender.(*mapping)
	if !ok || len(v.Data) == 0 {
		return nil
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(v.Data)))
	if addr < first || addr >= first+uintptr(len(v.Data)) {
		return nil
	}
	return w.file.fault(v.token+int64(addr-first), errors.New("the mapped bytes cannot be read (is the disk failing?)"))
}
