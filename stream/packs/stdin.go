package packs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"weld/format"
	"weld/format/safetensors"
)

// pipe takes a safetensors file from a pipe: the header at once, the tensors when their turn comes.
func pipe(in io.Reader) (*packFiles, error) {
	const path = "stdin"
	r := bufio.NewReaderSize(in, 1<<20)
	length, err := r.Peek(8)
	if err != nil {
		return nil, &format.Error{Path: path, Kind: format.KindTruncated, Detail: "no safetensors file comes from there", Err: err}
	}
	n := binary.LittleEndian.Uint64(length)
	if n > safetensors.MaxHeader {
		return nil, &format.Error{Path: path, Kind: format.KindHeaderSize, Detail: fmt.Sprintf("a header of %d bytes: what comes from there is no safetensors file", n)}
	}
	head, err := io.ReadAll(io.LimitReader(r, 8+int64(n)))
	if err == nil && len(head) < 8+int(n) {
		err = &format.Error{Path: path, Kind: format.KindTruncated, Detail: fmt.Sprintf("it ends inside the header of %d bytes", n)}
	}
	if err != nil {
		return nil, err
	}
	header, err := safetensors.ParseHeader(path, head[8:], safetensors.UnknownSize)
	if err != nil {
		return nil, err
	}
	f := packFile{name: safetensors.SingleName, size: header.DataStart + header.DataSize(), pipe: io.MultiReader(bytes.NewReader(head), r)}
	f.holds(header)
	return &packFiles{files: []packFile{f}}, nil
}
