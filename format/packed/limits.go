package packed

import (
	"fmt"
	"strings"
)

// What a pack may claim. With all of it a reader takes less than 1 GiB: 60 bytes for a block, 100 and the name for a
// file, and the payload of one record at a time.
const (
	maxBlocks = 1 << 23   // 4 TiB in blocks of 512 KiB
	maxFiles  = 1 << 20   // and their names
	maxIndex  = 256 << 20 // bytes of the payload of the index
	maxTable  = 512 << 20 // bytes of the payload of a table
	maxDepth  = 64        // folders around a file
)

// payloadFault says why a record that is no block must not be read, or "".
func payloadFault(t tag, bytes int64) string {
	most := int64(maxTable)
	switch t {
	case tagFile:
		most = fileEntry + maxName
	case tagIndex:
		most = maxIndex
	case tagEnd:
		most = endPayload
	}
	if bytes > most {
		return fmt.Sprintf("a record %q of %d bytes is over the limit of %d", t[:], bytes, most)
	}
	return ""
}

// full says why there cannot be so many blocks, or so many files with names of so many bytes together, or "". The index
// lists them all.
func full(blocks, files, named int) string {
	switch {
	case blocks > maxBlocks:
		return fmt.Sprintf("more than %d blocks", maxBlocks)
	case files > maxFiles:
		return fmt.Sprintf("more than %d files", maxFiles)
	case blocks*blockEntry+files*fileEntry+named > maxIndex-16:
		return fmt.Sprintf("an index of more than %d bytes", maxIndex)
	}
	return ""
}

// full says why the index cannot take another entry, or "".
func (x *index) full() string { return full(len(x.blocks), len(x.files), x.named) }

// names are those of the files of a pack.
type names struct{ files, folders map[string]bool }

func newNames() names { return names{make(map[string]bool), make(map[string]bool)} }

// add notes a name. It says why there cannot be a file of that name besides the others, or "".
func (n names) add(name string) (fault string) {
	if n.files[name] {
		return "appears twice"
	}
	if n.folders[name] {
		return "is a folder, too"
	}
	for at := strings.LastIndexByte(name, '/'); at > 0; at = strings.LastIndexByte(name[:at], '/') {
		if n.files[name[:at]] {
			return fmt.Sprintf("lies inside the file %.100q", name[:at])
		}
		if n.folders[name[:at]] {
			break // and so are those around it
		}
		n.folders[name[:at]] = true
	}
	if len(n.folders) > maxFiles {
		return fmt.Sprintf("lies in one of more than %d folders", maxFiles)
	}
	n.files[name] = true
	return ""
}
