package spelling

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"merge", "merge", 0}, {"mrege", "merge", 1}, {"merg", "merge", 1}, {"mergee", "merge", 1},
		{"berge", "merge", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"abcd", "badc", 2},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d errors, want %d", c.a, c.b, got, c.want)
		}
		if got := Distance(c.b, c.a); got != c.want {
			t.Errorf("from %q to %q: %d errors, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"density", "dtype", "t"}
	for _, c := range []struct {
		word string
		most int
		want string
	}{
		{"densty", 1, "density"}, {"dnesity", 1, "density"}, {"dnsty", 1, ""}, {"dnsty", 2, "density"}, {"dtipe", 2, "dtype"}, {"x", 2, ""}, {"ty", 2, "t"}, {"", 2, ""},
	} {
		if got := Nearest(c.word, names, c.most); got != c.want {
			t.Errorf("%q is near %q, want %q", c.word, got, c.want)
		}
	}
	if got := Hint("densiti", names); got != " (did you mean density?)" {
		t.Errorf("%q", got)
	}
	schemes := []string{"keep", "fp8_block", "fp8_channel", "fp8_tensor", "int8_channel", "int8_group", "mxfp8", "q4_0", "q4_1", "q8_0", "q4_k", "q5_0", "q5_1"}
	for word, want := range map[string]string{
		"weight": "", "fp8": " (did you mean fp8_block, fp8_channel or fp8_tensor?)", "int8": " (did you mean int8_channel or int8_group?)", "FP8_Block": " (did you mean fp8_block?)",
		"Q8_0": " (did you mean q8_0?)", "Q4_K_M": " (did you mean q4_k?)", "q8": " (did you mean q8_0?)", "q": "", "mxpf8": " (did you mean mxfp8?)", "": "",
	} {
		if got := Hint(word, schemes); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
