// Package packed reads and writes packs: one file that holds a whole checkpoint, byte for byte, in
// less space. docs/format-pack.md describes the format.
//
// A pack is a sequence of records. The files of the checkpoint follow one another; each is
// announced by a record and stored in blocks, which end where tensors do and are coded by
// [weld/format/planes]. An index and a digest come last, so that a pack is written in one
// pass and can be read from a pipe as well as at any place.
//
//   - A [Writer] appends. The bytes of tensors may come in any order, within a window.
//   - [Open] opens an [Archive] for reading anywhere; [OpenCheckpoint] opens the checkpoint in it.
//   - A [Scanner] reads from the beginning to the end and trusts nothing that comes later.
//
// A patch (package [weld/format/patch]) is a pack whose blocks may be coded by what differs from
// those of another checkpoint.
//
// The package knows records, files and blocks. It never knows how a block is coded, or what a
// tensor is for.
package packed
