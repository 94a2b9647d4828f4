// Package seekzstd reads and writes the seekable Zstandard format: independent
// frames followed by a table of their sizes in a skippable frame, so that any zstd
// decoder restores the whole and a reader that knows the table decodes only what
// it needs.
//
// Source: contrib/seekable_format/zstd_seekable_compression_format.md in the zstd
// repository, version 0.1.0, and RFC 8878 for the frames.
//
// The package knows frames and byte offsets of the uncompressed content. It never
// knows what the content is; where frames may be cut is the caller's to say.
package seekzstd

// Figures of the format. All integers are little-endian.
const (
	skippableMagic = 0x184D2A5E // of the frame that holds the table
	seekableMagic  = 0x8F92EAB1 // the last four bytes of the file
	skippableHead  = 8          // magic, frame size
	footerSize     = 9          // number of frames, descriptor, magic
	checksumFlag   = 0x80       // entries carry 4 bytes of XXH64
	reservedBits   = 0x7c       // of the descriptor; must be 0
)

// MaxFrame is the largest frame content that weld reads or writes. Larger frames
// would defeat both random access and bounded memory.
const MaxFrame = 32 << 20
