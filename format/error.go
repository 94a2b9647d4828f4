package format

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what is wrong with an input, in one word. Tests and the seed corpora
// in fuzz name the kind that they expect.
type Kind string

// The kinds of fault.
const (
	KindTruncated   Kind = "truncated"   // the file ends before what it declares
	KindHeaderSize  Kind = "header-size" // the declared header length is impossible
	KindUTF8        Kind = "utf8"        // the header is not UTF-8
	KindJSON        Kind = "json"        // not one well-formed JSON object
	KindDuplicate   Kind = "duplicate"   // a name or a key appears twice
	KindKey         Kind = "key"         // a key is missing or unknown
	KindType        Kind = "type"        // a JSON value of another type than demanded
	KindDType       Kind = "dtype"       // an element type that the format does not have
	KindShape       Kind = "shape"       // a dimension that is no size
	KindOverflow    Kind = "overflow"    // the sizes multiply beyond 64 bits
	KindOffsets     Kind = "offsets"     // begin after end, or not two of them
	KindSize        Kind = "size"        // shape × dtype differs from the data's length
	KindGap         Kind = "gap"         // a hole between tensors, before the first, or after the last
	KindOverlap     Kind = "overlap"     // two tensors share bytes
	KindMetadata    Kind = "metadata"    // __metadata__ is not string to string
	KindShardName   Kind = "shard-name"  // a shard's name leaves the directory
	KindIndex       Kind = "index"       // index and shards contradict each other
	KindMissing     Kind = "missing"     // a file that is needed is not there
	KindUnsupported Kind = "unsupported" // no container that weld reads
	KindForeign     Kind = "foreign"     // another kind of file than its name says: a pointer, a web page, an archive
	KindCompression Kind = "compression" // a damaged or foreign compressed stream
	KindRecord      Kind = "record"      // a pack's records contradict each other
	KindChecksum    Kind = "checksum"    // bytes are not those that were written
	KindBase        Kind = "base"        // another base than the one a patch was made against
	KindChanged     Kind = "changed"     // the file changed while it was read
	KindScheme      Kind = "scheme"      // values stored as codes and scales, where plain ones are needed
	KindNames       Kind = "names"       // names that are not those of another input, by any rule
	KindPickle      Kind = "pickle"      // a damaged pickle, or one that makes no values of a checkpoint
	KindForbidden   Kind = "forbidden"   // a pickle that has Python run what is no part of a checkpoint
	KindNonfinite   Kind = "nonfinite"   // a value that is infinite or NaN where it matters
)

// Error reports an input that is damaged or cannot be used. All readers of this
// tree return it, wrapped or bare, for every fault of the data itself.
type Error struct {
	Path   string // the file
	Tensor string // the tensor, or "" where the fault is not one tensor's
	Kind   Kind
	Detail string // what was found and what was expected
	Err    error  // the cause, or nil
}

func (e *Error) Error() string {
	s := e.Path
	if e.Tensor != "" {
		s += fmt.Sprintf(": tensor %q", clip(e.Tensor))
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Path == "" {
		return strings.TrimPrefix(s, ": ")
	}
	return s
}

// clip shortens a name that a hostile file made long.
func clip(name string) string {
	const most = 200
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first [Error] in err's chain, or "".
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
