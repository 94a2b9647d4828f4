package packs

import (
	"io"
	"slices"

	"weld/format"
	"weld/format/packed"
	"weld/format/safetensors"
)

// packFile is a file that goes into a pack.
type packFile struct {
	name     string
	size     int64
	header   int64 // bytes before the tensors
	tensors  []format.Tensor
	repeats  []int64            // for each tensor, where an earlier one with the same bytes begins in the content, or −1; nil for none
	metadata map[string]string  // of a shard
	foreign  bool               // holds tensors, but not of the checkpoint
	src      safetensors.Source // nil for a pipe
	pipe     io.Reader
}

// shardFile is an open shard.
func shardFile(name string, s safetensors.OpenShard) packFile {
	f := packFile{name: name, size: s.Size(), header: s.HeaderSize, metadata: s.Metadata, src: s.Source}
	if len(s.Tensors) > 0 { // one without is a file of bytes
		f.tensors = s.Tensors
	}
	return f
}

// holds notes what is in a shard.
func (f *packFile) holds(h *safetensors.Header) {
	f.header, f.metadata = h.DataStart, h.Metadata
	f.tensors = slices.Grow(f.tensors, len(h.Tensors))
	for _, e := range h.Tensors {
		f.tensors = append(f.tensors, e.Tensor)
	}
}

// announce announces the file to a pack.
func (f *packFile) announce(w blockWriter) (*packed.FileWriter, error) {
	if f.tensors == nil {
		return w.Bytes(f.name, f.size)
	}
	return w.Shard(f.name, f.header, f.tensors, nil)
}

// run is how many bytes of one type follow: k is 0 for the header, then the tensors.
func (f *packFile) run(k int) (bytes int64, ok bool) {
	switch {
	case k == 0:
		return f.header, true
	case k <= len(f.tensors):
		return f.tensors[k-1].Bytes(), true
	}
	return 0, false
}

// blockWriter is a pack or a patch being written.
type blockWriter interface {
	Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.FileWriter, error)
	Bytes(name string, size int64) (*packed.FileWriter, error)
	Abort(error)
}
