// Package safetensors reads and writes the safetensors container: an 8-byte
// length, a JSON header of that length, and the tensors' bytes. It reads single
// files and Hub directories with an index over any number of shards, and writes
// the same.
//
// Reading is as strict as the reference implementation (huggingface/safetensors)
// and stricter where it is lax about duplicates and nulls; every rejection is a
// [*weld/format.Error]. The file may be stored as it is or in another wrapping that
// can be read at random offsets; see [Source].
//
// The package knows names, offsets and JSON. It never knows what the numbers mean.
package safetensors
