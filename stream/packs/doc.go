// Package packs puts the files of a checkpoint into a pack and takes them out again, byte for
// byte; it makes patches and applies them, checks all of these, and saves what is left of damaged packs.
//
//   - [Pack] and [Patch] gather the files, each opened once (gather.go), and copy them block by block, in
//     order, into a writer of format/packed or format/patch (pack.go).
//   - [Unpack] and [Verify] read a pack from front to back; one goroutine reads, workers decode (scan.go).
//   - [Apply], [SalvagePack] and the check of a checkpoint without checksums go through items in chunks, in any
//     order (chunks.go).
//
// All of them run on the worker loop of stream/run, with a bounded number of blocks, whatever the size of the
// checkpoint. Where an output may be is for stream/destination to say.
//
// The package knows files, pipes and workers. It never knows how a block is coded, or what a tensor is for.
package packs
