package main

import "testing"

// TestVersionOfRelease is what a program says that .ci/release built.
func TestVersionOfRelease(t *testing.T) {
	defer func(t, c string) { tag, commit = t, c }(tag, commit)
	tag, commit = "v1.2.3", "0123456789abcdef0123456789abcdef01234567"
	if got, want := version(), "v1.2.3 0123456789ab"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	tag = "v0.0.0-0123456789ab"
	if version() != tag {
		t.Errorf("%q, want %q: the commit is in it", version(), tag)
	}
	if tag, commit = "v1.2.3", ""; version() != tag {
		t.Errorf("without a commit %q, want %q", version(), tag)
	}
}
