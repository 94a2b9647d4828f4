package mmapio

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/exp/mmap"
)

// headers reads what is small and at the beginning of a file. A mapping of golang.org/x/exp/mmap serves
// that on every system, without a call for each piece. Its pages count as resident for as long as the file is
// open, so what lies behind mappedHead, such as the header of a million tensors, is read instead.
type headers struct {
	mapped *mmap.ReaderAt // nil where nothing is to be mapped, or the system refuses
}

// mappedHead is how much of a file is looked at in its mapping, in bytes.
const mappedHead = 256 << 10

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

// covers reports whether n bytes from off are served.
func (h *headers) covers(off, n int64) bool { return h.mapped != nil && off+n <= mappedHead }

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
