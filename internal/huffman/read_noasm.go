//go:build !amd64 || noasm

package huffman

// Kernels reports whether this machine reads faster than others' programs in Go.
func Kernels() bool { return false }

func readSteps(*[2 * streams]reader, *Table, *Table) {}

func readDoubles(*[streams]reader, *Table) {}
