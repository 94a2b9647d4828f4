package fuzz

import (
	"runtime/metrics"
	"testing"
)

// mostAllocated bounds the memory that reading one input may take, however much it declares.
const mostAllocated = 64 << 20

// allocated are all bytes that the process was ever given. Nothing is stopped to count them, as runtime.ReadMemStats does, which takes longer than
// to read most inputs; what is in use by the tens of KiB is missing.
func allocated() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}

// checkAllocated demands that no more than mostAllocated was allocated since.
func checkAllocated(t *testing.T, before uint64, input int) {
	t.Helper()
	if n := allocated() - before; n > mostAllocated {
		t.Fatalf("%d MiB were allocated for %d bytes", n>>20, input)
	}
}
