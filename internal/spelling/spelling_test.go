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
	if got := Hint("weight", names); got != "" {
		t.Errorf("%q", got)
	}
}
