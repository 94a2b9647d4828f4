package format

import (
	"errors"
	"io"
)

// Range reads n bytes of a file of the folder from off, of a large one as well. A file that ends before
// has become shorter than it was.
func (f Folder) Range(name string, off, n int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, n)
	if at, ok := file.(io.ReaderAt); ok {
		_, err = at.ReadAt(data, off)
	} else if _, err = io.CopyN(io.Discard, file, off); err == nil {
		_, err = io.ReadFull(file, data)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &Error{Path: f.Join(name), Kind: KindChanged, Detail: "it is shorter than before", Err: err}
	}
	return data, f.named(err)
}
