package run

import (
	"errors"
	"syscall"
	"testing"

	"weld/mmapio"
)

// memory is a scratch file in memory.
type memory struct {
	mmapio.OutputFile
	data []byte
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.data = append(m.data[:off], p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return copy(p, m.data[off:]), nil }

// As much may be left as was said, and is read back; a length beyond the end is damage. A full disk is one that what was left fills only if
// something was.
func TestLeft(t *testing.T) {
	var file memory
	l := &left{limit: 16, scratch: func() (mmapio.OutputFile, error) { return &file, nil }}
	if l.crowds(syscall.ENOSPC) {
		t.Error("nothing crowds")
	}
	for _, elements := range []int64{2, 3} {
		if err := l.write([]byte{4, 0, 0, 0, 'a', 'b', 'c', 'd'}, elements); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.write([]byte{0}, 1); !errors.Is(err, errLeft) || l.elements != 5 || !l.crowds(syscall.EDQUOT) {
		t.Errorf("%v, %d elements", err, l.elements)
	}
	if p, err := l.read(nil); err != nil || string(p) != "abcd" {
		t.Errorf("%q, %v", p, err)
	}
	file.data[8] = 5
	if _, err := l.read(make([]byte, 9)); err == nil {
		t.Error("read beyond the end")
	}
}
