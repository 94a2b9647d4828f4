package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// mostProtocol is the newest one that is known.
const mostProtocol = 5

// Options are what a pickle is read with.
type Options struct {
	// Vocabulary says what the names mean that the pickle may use.
	Vocabulary Vocabulary
	// Persistent makes the value that an identifier stands for, which the pickle leaves to whoever reads it. nil: none are allowed.
	Persistent Call
	// Memory bounds what the values take, in bytes as far as they are known; 0 is [DefaultMemory].
	Memory int64
}

// DefaultMemory is enough for the description of a million tensors.
const DefaultMemory = 1 << 30

// ForbiddenError is a name that the vocabulary lacks. Python would import it, and most often call it.
type ForbiddenError struct{ Global Global }

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("it asks for %s, which is no part of a checkpoint", e.Global)
}

// errShort is a pickle that ends in the midst of an instruction.
var errShort = errors.New("it ends too early")

// Read reads a pickle, which takes all of data. Values share its bytes.
func Read(data []byte, o Options) (any, error) {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	m := &machine{data: data, options: o, left: o.Memory}
	if !(len(data) >= 2 && data[0] == opProto && data[1] >= 2) {
		return nil, errors.New("no pickle of protocol 2 or newer")
	}
	for !m.stopped {
		begin := m.at
		if err := m.step(); err != nil {
			return nil, fmt.Errorf("byte %d of the pickle: %w", begin, err)
		}
	}
	switch {
	case len(m.stack) != 1 || len(m.marks) > 0:
		return nil, fmt.Errorf("byte %d of the pickle: it stops with %d values, not one", m.at, len(m.stack))
	case m.at != len(data):
		return nil, fmt.Errorf("byte %d of the pickle: it stops, and %d more bytes come behind", m.at, len(data)-m.at)
	}
	return m.stack[0], nil
}

// machine is a pickle that is being read.
type machine struct {
	data    []byte
	at      int
	options Options
	left    int64 // of the memory

	stack   []any
	marks   []int          // lengths of the stack
	memo    []any          // values that are kept, by number, as Python counts them
	strays  map[uint64]any // values that are kept under other numbers
	stopped bool
}

// What values take, in bytes.
const (
	itemBytes  = 16  // a place for a value: on the stack, in a collection, among what is kept
	valueBytes = 24  // a number, or what leads to text and collections
	madeBytes  = 128 // what a vocabulary made
	strayBytes = 64
)

// take accounts for memory.
func (m *machine) take(n int64) error {
	if m.left -= n; m.left < 0 {
		return fmt.Errorf("its values take more than %d bytes of memory", m.options.Memory)
	}
	return nil
}

// push puts a value on the stack. A place on it is free again when the value is taken from there.
func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return m.take(itemBytes)
}

// drop takes all values from a height on off the stack. They stay where they are until the next push.
func (m *machine) drop(height int) []any {
	values := m.stack[height:]
	m.stack = m.stack[:height]
	m.left += itemBytes * int64(len(values))
	return values
}

// pop takes a value from the stack, but none from below the last mark.
func (m *machine) pop() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errors.New("the stack is empty")
	}
	return m.drop(len(m.stack) - 1)[0], nil
}

// top is the last value on the stack, which stays.
func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errors.New("the stack is empty")
	}
	return m.stack[len(m.stack)-1], nil
}

// floor is the height of the last mark.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// popMark takes all values above the last mark, and the mark. They are to be used before the next push.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("no mark is set")
	}
	values := m.drop(m.floor())
	m.marks = m.marks[:len(m.marks)-1]
	return values, nil
}

// bytes are the next n of the pickle.
func (m *machine) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(m.data)-m.at) {
		return nil, errShort
	}
	b := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

// number is the next unsigned integer of so many bytes.
func (m *machine) number(size int) (uint64, error) {
	b, err := m.bytes(uint64(size))
	if err != nil {
		return 0, err
	}
	var all [8]byte
	copy(all[:], b)
	return binary.LittleEndian.Uint64(all[:]), nil
}

// counted are bytes that their length goes before.
func (m *machine) counted(size int) ([]byte, error) {
	n, err := m.number(size)
	if err != nil {
		return nil, err
	}
	return m.bytes(n)
}

// text is counted bytes that are UTF-8.
func (m *machine) text(size int) (string, error) {
	b, err := m.counted(size)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) { // Python may write lone surrogates; no name of ours has any
		return "", errors.New("text that is not UTF-8")
	}
	return string(b), m.take(int64(len(b)))
}

// line is text up to the end of a line.
func (m *machine) line() (string, error) {
	for i := m.at; i < len(m.data); i++ {
		if m.data[i] == '\n' {
			b, _ := m.bytes(uint64(i - m.at))
			m.at++
			if !utf8.Valid(b) {
				return "", errors.New("a name that is not UTF-8")
			}
			return string(b), nil
		}
	}
	return "", errShort
}

// long is an integer of any size, two's complement, from the lowest byte; those of more than 64 bits are refused.
func (m *machine) long(size int) (int64, error) {
	b, err := m.counted(size)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	var v uint64
	sign := byte(int8(b[len(b)-1]) >> 7)
	if sign != 0 {
		v = math.MaxUint64
	}
	for i, x := range b {
		if i >= 8 {
			if x != sign {
				return 0, errors.New("an integer of more than 64 bits")
			}
			continue
		}
		v = v&^(0xff<<(8*i)) | uint64(x)<<(8*i)
	}
	if int64(v) < 0 != (sign != 0) {
		return 0, errors.New("an integer of more than 64 bits")
	}
	return int64(v), nil
}

// float is eight bytes, from the highest.
func (m *machine) float() (float64, error) {
	b, err := m.bytes(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}
