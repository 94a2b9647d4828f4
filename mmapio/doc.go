// Package mmapio reads files far larger than memory and writes files that are
// either complete or not there.
//
// # Reading
//
// [Open] makes a [File]. Small things (headers, indexes) are read with
// [File.ReadAt], which goes through golang.org/x/exp/mmap for the first of them, and reads.
// Large things are borrowed: [File.View] lends a range of mapped bytes that has
// been faulted in, and [View.Release] gives it back, after which its pages no
// longer count as resident. On Linux a view is a window of a mapping and costs no
// copy; elsewhere, with [Copied], and where the system refuses to map, it is a pooled buffer
// that is read into.
//
// A file that shrinks under its mapping, or a disk that fails below it, raises
// SIGBUS at the first touch. Code that reads views therefore runs inside [Guard],
// which turns such a fault into a [FaultError] with the path and the offset.
//
// # Writing
//
// [NewStaging] begins an output beside its final name. Files made in the staging directory
// appear under the final name together, when [Staging.Commit] has brought them to
// the disk, or never. All of it goes through an [FS], so that every failure can be
// rehearsed.
//
// The package knows files, pages and faults. It never knows what a tensor is.
package mmapio
