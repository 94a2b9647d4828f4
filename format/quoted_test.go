package format

import "testing"

// Commands that are shown can be run, whatever a path is called.
func TestQuoted(t *testing.T) {
	for path, want := range map[string]string{
		"a/b-c.d_1+2": "a/b-c.d_1+2", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "ä": "'ä'", "a;b": "'a;b'",
	} {
		if got := Quoted(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
