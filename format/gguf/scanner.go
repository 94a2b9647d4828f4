package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"

	"weld/format"
)

// scanner goes through a header from its beginning, and holds a window of it. What it has passed over goes into a digest.
type scanner struct {
	path   string
	from   io.ReaderAt
	size   int64
	digest hash.Hash
	key    string // whose value is read
	at     int64
	window []byte // the file from begin on
	begin  int64
	hashed int64 // up to which the file went into the digest
}

const (
	// windowBytes is how much is read at a time.
	windowBytes = 64 << 10
	// mostName is the most bytes of a key or a name; docs/gguf.md has 65,535 and 64.
	mostName = 1<<16 - 1
)

// cutShort is what to do about a file that ends too soon, or whose numbers say so.
const cutShort = "the file is cut short or damaged; download or copy it again"

// left are the bytes behind the place at hand.
func (s *scanner) left() int64 { return s.size - s.at }

// next are the next n bytes, n ≤ windowBytes, until more are read.
func (s *scanner) next(n int64) ([]byte, error) {
	if err := s.allow(n); err != nil {
		return nil, err
	}
	if s.at+n > s.begin+int64(len(s.window)) {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	b := s.window[s.at-s.begin:][:n]
	s.at += n
	return b, nil
}

// allow demands that the file has n bytes more, and a header may.
func (s *scanner) allow(n int64) error {
	switch {
	case n < 0 || n > s.left():
		if s.size == 0 {
			return s.fault(format.KindTruncated, "the file is empty: download or copy it again")
		}
		return s.fault(format.KindTruncated, "expected %d bytes at %d, found %d: "+cutShort, uint64(n), s.at, s.left())
	case n > MaxHeader-s.at:
		return s.fault(format.KindHeaderSize, "its header is longer than %d bytes", MaxHeader)
	}
	return nil
}

// load moves the window to the place at hand.
func (s *scanner) load() error {
	s.account()
	if s.window == nil {
		s.window = make([]byte, 0, windowBytes)
	}
	s.begin, s.window = s.at, s.window[:min(windowBytes, s.left())]
	if n, err := s.from.ReadAt(s.window, s.begin); n < len(s.window) {
		if errors.Is(err, io.EOF) {
			return s.fault(format.KindTruncated, "expected %d bytes, found %d: "+cutShort, s.size, s.begin+int64(n))
		}
		return fmt.Errorf("read the header of %s: %w", s.path, err)
	}
	return nil
}

// account takes what was passed over in the window into the digest.
func (s *scanner) account() {
	if s.hashed < s.at {
		s.digest.Write(s.window[s.hashed-s.begin : s.at-s.begin])
		s.hashed = s.at
	}
}

// skip passes over n bytes, and shows them part by part.
func (s *scanner) skip(n int64, show func(part []byte) error) error {
	if err := s.allow(n); err != nil {
		return err
	}
	for n > 0 {
		inside := s.begin + int64(len(s.window)) - s.at
		if inside <= 0 {
			inside = windowBytes
		}
		part, err := s.next(min(n, inside))
		if err == nil {
			err = show(part)
		}
		if err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}

func (s *scanner) u32() (uint32, error) {
	b, err := s.next(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (s *scanner) u64() (uint64, error) {
	b, err := s.next(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// name reads a key, or the name of a tensor.
func (s *scanner) name(what string) (string, error) {
	n, err := s.u64()
	switch {
	case err != nil:
		return "", err
	case n > uint64(s.left()):
		return "", s.fault(format.KindTruncated, "%s of %d bytes, and %d are left of the file: "+cutShort, what, n, s.left())
	case n > mostName:
		return "", s.fault(format.KindKey, "%s of %d bytes; GGUF has up to %d", what, n, mostName)
	case n == 0:
		return "", s.fault(format.KindKey, "%s without a character", what)
	}
	b, err := s.next(int64(n))
	switch {
	case err != nil:
		return "", err
	case !utf8.Valid(b):
		return "", s.fault(format.KindUTF8, "%s that is not UTF-8: %q", what, b[:min(len(b), 80)])
	}
	return string(b), nil
}

// fault is the error for what the header has in it.
func (s *scanner) fault(kind format.Kind, text string, args ...any) error {
	detail := fmt.Sprintf(text, args...)
	if s.key != "" {
		detail = fmt.Sprintf("key %q: %s", s.key[:min(len(s.key), 200)], detail)
	}
	return &format.Error{Path: s.path, Kind: kind, Detail: detail}
}

// blame is the error for a tensor that the header describes.
func (s *scanner) blame(tensor string, kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: s.path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// foreign says what a file is that cannot be one of the format, if that is known; else what is wrong.
func (s *scanner) foreign(cause error) error {
	head := make([]byte, min(s.size, format.ForeignHead))
	n, _ := s.from.ReadAt(head, 0)
	if what := format.Foreign(head[:n], s.size); what != "" && !bytes.HasPrefix(head[:n], []byte(Magic)) {
		return &format.Error{Path: s.path, Kind: format.KindForeign, Detail: what}
	}
	return cause
}
