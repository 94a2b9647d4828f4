package main

import "testing"

// TestEscape keeps text from being read as a request of roff, or as another character.
func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain, (x) × 2":   "plain, (x) × 2",
		".hidden":          `\&.hidden`,
		"a.b":              "a.b",
		"'quoted'":         `\(aqquoted\(aq`,
		`a\nb`:             `a\enb`,
		"--out-dtype ~1^2": `\-\-out\-dtype \(ti1\(ha2`,
		"`N`":              `\(gaN\(ga`,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
