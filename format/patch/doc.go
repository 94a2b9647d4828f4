// Package patch reads and writes patches: what turns one checkpoint, the base, into another,
// the result. docs/format-patch.md describes the format.
//
// A patch is a pack (package [weld/format/packed]) of the result, whose blocks may be coded by what
// differs from the base. Two tables say which tensors it is coded against, and what they and the
// result's are, by digests that depend neither on shards nor on containers.
//
//   - A [Writer] makes one while the result is written.
//   - [Open] opens one. [Patch.On] puts it on a base, after which the result can be read like
//     any checkpoint, which may be the base of the next patch.
//
// The package knows tensors and their digests. It never knows how a block is coded, or how
// the result came about.
package patch
