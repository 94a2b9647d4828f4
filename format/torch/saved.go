package torch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
)

// Names of entries, below the one folder of an archive.
const (
	pickleName    = "data.pkl"
	dataFolder    = "data/"
	byteOrderName = "byteorder"
	constantsName = "constants.pkl"
	codeFolder    = "code/"
)

// MaxPickle is the largest description, in bytes, that weld reads: of more than a million tensors.
const MaxPickle = 256 << 20

// Saved is what one call of torch.save wrote.
type Saved struct {
	// Value is what was saved: values of package pickle, [*Tensor], [*Storage] and [*Array].
	Value any
	// Digest is of all but the bytes of storages.
	Digest  [sha256.Size]byte
	archive *archive
}

// Read reads what torch.save wrote to bytes [begin, begin+size) of a file; path is for messages. Names beyond those of [Vocabulary]
// are those of more, which may be nil. Faults are [*format.Error].
func Read(path string, r io.ReaderAt, begin, size int64, more pickle.Vocabulary) (*Saved, error) {
	if err := recognise(path, r, begin, size); err != nil {
		return nil, err
	}
	a, err := readArchive(path, r, begin, size)
	if err != nil {
		return nil, err
	}
	data, ok, err := a.read(pickleName, MaxPickle)
	switch {
	case err != nil:
		return nil, err
	case a.has(codeFolder):
		return nil, a.program()
	case !ok:
		return nil, a.fault(format.KindUnsupported, "a zip file that torch.save did not write: there is no %s in it", pickleName)
	}
	if err := a.littleEndian(); err != nil {
		return nil, err
	}
	s := &Saved{archive: a}
	a.digest.Write(data)
	s.Digest = [sha256.Size]byte(a.digest.Sum(nil))
	s.Value, err = pickle.Read(data, pickle.Options{Vocabulary: vocabularyWith(more), Persistent: storages()})
	return s, Explain(a.path, pickleName, err)
}

// program is the error for what torch.jit.save wrote.
func (a *archive) program() error {
	return a.fault(format.KindUnsupported, "a TorchScript program (torch.jit.save), which is code with its weights; save the state_dict of the module that it was made from")
}

// vocabularyWith is torch's, and more.
func vocabularyWith(more pickle.Vocabulary) pickle.Vocabulary {
	v := Vocabulary()
	for g, call := range more {
		v[g] = call
	}
	return v
}

// littleEndian refuses what a machine of the other kind wrote. Files of before torch 2.1 do not say.
func (a *archive) littleEndian() error {
	order, ok, err := a.read(byteOrderName, 16)
	switch {
	case err != nil:
		return err
	case ok && string(order) == "big":
		return a.fault(format.KindUnsupported, "its numbers are in the order of a big-endian machine; load it with torch.load on any other, and save it again")
	case ok && string(order) != "little":
		return a.fault(format.KindKey, "its numbers are in the order %q, which is neither little nor big", excerpt(string(order)))
	}
	return nil
}

// Explain makes an error of a pickle one of the file that it is in, or is.
func Explain(path, what string, err error) error {
	if err == nil {
		return nil
	}
	var forbidden *pickle.ForbiddenError
	if errors.As(err, &forbidden) {
		return &format.Error{Path: path, Kind: format.KindForbidden, Detail: fmt.Sprintf(
			"%s asks for %s, which is no name that tensors are made of: Python would import it, and run it%s; nothing of the file is read. If you trust it, load it with torch.load(…, weights_only=False) and save its state_dict alone",
			what, forbidden.Global, hint(forbidden.Global))}
	}
	return &format.Error{Path: path, Kind: format.KindPickle, Detail: what, Err: err}
}

// Plain reports, as an error of a tensor under a name, why it is none that can be read: no plain dense tensor, or one that reaches
// beyond its storage, whose entry is not there or has another size.
func (s *Saved) Plain(name string, t *Tensor) error {
	fault := func(kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: s.archive.path, Tensor: name, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	if t.odd != nil {
		return fault(t.odd.kind, "%s, where a plain dense tensor is needed", t.odd.what)
	}
	e, ok := s.archive.find(dataFolder + t.Storage.Key)
	bytes, _ := t.Storage.bytes()
	if !ok {
		return fault(format.KindMissing, "its values are in the entry %s%s, which is not there", dataFolder, excerpt(t.Storage.Key))
	}
	if e.size != bytes {
		return fault(format.KindSize, "its storage has %d elements in %d bytes, and the entry %s%s has %d", t.Storage.Elements, bytes, dataFolder, excerpt(t.Storage.Key), e.size)
	}
	if _, ok := t.format(name); !ok {
		return fault(format.KindOverflow, "the sizes %v multiply beyond 63 bits", t.Shape)
	}
	extent, ok := gather.Extent(t.Shape, t.Strides)
	if !ok {
		return fault(format.KindOverflow, "the sizes %v and the strides %v multiply beyond 63 bits", t.Shape, t.Strides)
	}
	if elements := bytes / t.width(); extent > elements || extent > 0 && t.Offset > elements-extent {
		return fault(format.KindSize, "%d elements from number %d on of a storage that has %d", extent, t.Offset, elements)
	}
	return nil
}

// Begin is the byte of the file at which the first element of a tensor lies, which [Saved.Plain] accepts; those without elements
// lie nowhere.
func (s *Saved) Begin(t *Tensor) int64 {
	e, _ := s.archive.find(dataFolder + t.Storage.Key)
	if extent, _ := gather.Extent(t.Shape, t.Strides); extent == 0 {
		return s.archive.begin + e.data
	}
	return s.archive.begin + e.data + t.Offset*t.width()
}

// Piece is where the elements of a tensor lie, as one piece of a layout, in a file of some number; [Saved.Plain] accepts the tensor.
func (s *Saved) Piece(t *Tensor, source int, offset []int64) gather.Piece {
	return gather.Piece{Source: source, Begin: s.Begin(t), Offset: offset, Shape: t.Shape, Strides: t.Strides}
}
