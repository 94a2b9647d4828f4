package mmapio

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/exp/mmap"
)

// headers reads what is small and read in many short pieces: headers, indexes, tables. A mapping of
// golang.org/x/exp/mmap serves that on every system, without a call for each piece; what it keeps resident
// is the few pages that were looked at. Where there is none, the file is read.
type headers struct {
	mapped *mmap.ReaderAt // nil where nothing is to be mapped, or the system refuses
}

// open maps a file that is open already. The name of its descriptor leads to the same file, whatever its
// path has come to mean since; systems without such names take the path.
func (h *headers) open(file *os.File, size int64) error {
	name := file.Name()
	if runtime.GOOS == "linux" {
		name = fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	}
	mapped, err := mmap.Open(name)
	if err != nil {
		return nil // reading does as well
	}
	if int64(mapped.Len()) != size {
		return errors.Join(&ChangedError{Path: file.Name(), What: "its size while it was opened"}, mapped.Close())
	}
	h.mapped = mapped
	return nil
}

func (h *headers) close() error {
	if h.mapped == nil {
		return nil
	}
	return h.mapped.Close()
}

// read fills p from off. A fault of the mapping is an error.
func (h *headers) read(p []byte, off int64) (n int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, ok := faultAddress(r); !ok {
				panic(r)
			}
			n, err = 0, errors.New("the mapping cannot be read")
		}
	}()
	return h.mapped.ReadAt(p, off)
}
