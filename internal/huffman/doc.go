// Package huffman codes bytes as Zstandard stores its literals: a description of a Huffman code and four
// streams of its bits (RFC 8878, sections 4.2 and 3.1.1.3.1.6). No code is longer than 11 bits.
//
//   - [Counts] says how often each byte is there.
//   - [Code.Build] finds lengths for them.
//   - [Code.AppendStreams] writes the bits.
//   - [Table.Read] reads the description, [Read] and [ReadOne] the bits.
//
// Kernels come in plain Go, which says what they mean, and in assembly beside it; both give the same bits.
// Where there is none to read by ([Kernels]), github.com/klauspost/compress/huff0 is faster than the reference.
//
// The package knows bytes. It never knows what they are, or what stands around a code.
package huffman
