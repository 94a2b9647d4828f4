package gguf

import (
	"slices"
	"testing"

	"weld/format"
)

func TestWritten(t *testing.T) {
	if got := Written(); !slices.Equal(got, []string{"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q6_k", "mxfp4"}) {
		t.Error(got)
	}
	for _, name := range Written() {
		b := FindWritten(name)
		if b == nil || b.Encode == nil || FileTypeOf(b) == FileType(format.Invalid) {
			t.Errorf("%s: %+v", name, b)
		}
	}
	for _, name := range []string{"", "Q8_0", "q2_k", "f16", "iq2_xxs"} {
		if b := FindWritten(name); b != nil {
			t.Errorf("%q is %s", name, b.Name)
		}
	}
}

func TestFitting(t *testing.T) {
	for _, c := range []struct {
		asked string
		row   int64
		want  string
	}{
		{"q4_k", 512, "Q4_K"}, {"q4_k", 96, "Q5_0"}, {"q4_k", 48, ""}, {"q6_k", 128, "Q8_0"}, {"q6_k", 257, ""},
		{"q8_0", 96, "Q8_0"}, {"q8_0", 100, ""}, {"mxfp4", 32, "MXFP4"}, {"q4_0", 0, "Q4_0"},
	} {
		got := ""
		if b := Fitting(FindWritten(c.asked), c.row); b != nil {
			got = b.Name
		}
		if got != c.want {
			t.Errorf("%s for rows of %d: %q, want %q", c.asked, c.row, got, c.want)
		}
	}
}
