//go:build unix

package names

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"weld/format"
)

// spent is the processor time of the process, which other processes do not add to.
func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Eight times the names take some eight times the processor time, and not sixty-four, whatever the names have in
// common. The least of a few tries counts, since the collector comes when it likes.
func TestLinear(t *testing.T) {
	cases := map[string]func(n int) (wanted, have []format.Tensor){
		"prefixes": func(n int) (a, b []format.Tensor) {
			return numbered(n, "model.l.%d.q.weight"), numbered(n, "module.l.%d.q.weight")
		},
		"nothing": func(n int) (a, b []format.Tensor) {
			return numbered(n, "x.%d.q.weight"), numbered(n, "y.%d.q.weight")
		},
		"one name": func(n int) (a, b []format.Tensor) {
			return numbered(n, "model.l%d.twin.weight"), tensors("twin.weight", "other.weight")
		},
		"doubts": func(n int) (a, b []format.Tensor) {
			return numbered(n, "model.l.%d.q.weight"), append(numbered(n, "module.l.%d.q.weight"), numbered(n, "_orig_mod.l.%d.q.weight")...)
		},
		"huge experts": func(n int) (a, b []format.Tensor) {
			return tensors("m.experts.up_proj 1000000000000 2 2"), numbered(n, "m.experts.%d.up_proj.weight 2 2")
		},
		"many experts": func(n int) (a, b []format.Tensor) {
			return tensors(fmt.Sprintf("m.experts.up_proj %d 2 2", n)), numbered(n, "m.experts.%d.up_proj.weight 2 2")
		},
		"fused in fused": func(n int) (a, b []format.Tensor) {
			return numbered(n, "m.%d.experts.up_proj 1000000 2 2"), numbered(n, "m.%d.experts.0.up_proj.weight 2 2")
		},
	}
	const few, times = 2000, 8
	for name, names := range cases {
		least := func(n int) time.Duration {
			a, b := names(n)
			took := time.Duration(1 << 62)
			for range 4 {
				begin := spent(t)
				meet(a, b)
				took = min(took, spent(t)-begin)
			}
			return max(took, time.Millisecond)
		}
		one, more := least(few), least(times*few)
		t.Logf("%s: %v, %v", name, one, more)
		if more > 3*times*one {
			t.Errorf("%s: %d names take %v, %d take %v", name, few, one, times*few, more)
		}
	}
}

// numbered makes n tensors whose names have numbers.
func numbered(n int, spec string) []format.Tensor {
	specs := make([]string, n)
	for i := range specs {
		specs[i] = fmt.Sprintf(spec, i)
	}
	return tensors(specs...)
}
