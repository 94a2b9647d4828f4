package mmapio

import "testing"

func TestTransferred(t *testing.T) {
	const text = "rchar: 3\nwchar: 4\nsyscr: 1\nsyscw: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 7\n"
	got, ok := transferred(system(map[string]string{"proc/self/io": text}))
	if want := (Transfers{4096, 8192}); got != want || !ok {
		t.Errorf("%v, %v; want %v", got, ok, want)
	}
	if got := got.Since(Transfers{96, 192}); got != (Transfers{4000, 8000}) {
		t.Errorf("since an earlier state: %v", got)
	}
	for _, text := range []string{"", "read_bytes: x\nwrite_bytes: 1\n", "read_bytes: 1\n"} {
		if _, ok := transferred(system(map[string]string{"proc/self/io": text})); ok {
			t.Errorf("%q says something", text)
		}
	}
	if _, ok := transferred(system(nil)); ok {
		t.Error("a system that does not say anything says something")
	}
}
