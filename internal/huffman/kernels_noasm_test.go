//go:build !amd64 || noasm

package huffman

import "testing"

// kernels calls for the reference alone.
func kernels(_ testing.TB, call func(name string)) { call("portable") }

// readers calls for the reference alone.
func readers(_ testing.TB, call func(name string)) { call("portable") }
