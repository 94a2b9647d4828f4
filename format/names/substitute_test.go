package names

import (
	"os/exec"
	"strings"
	"testing"
)

func TestSubstitution(t *testing.T) {
	for _, c := range []struct{ substitution, name, want string }{
		{`s/^module\.//`, "module.a.b", "a.b"},
		{`s/^module\.//`, "a.module.b", "a.module.b"},
		{`s/a/b/`, "aaa", "baa"},
		{`s/a/b/g`, "aaa", "bbb"},
		{`s/A/b/`, "aAa", "aba"},
		{`s/A/b/i`, "aAa", "bAa"},
		{`s/A/b/gi`, "aAa", "bbb"},
		{`s/A/b/Ig`, "aAa", "bbb"},
		{`s/(\w+)\.(\w+)/\2.\1/`, "x.y.z", "y.x.z"},
		{`s/layers\.([0-9]+)/h.\1/`, "layers.10.w", "h.10.w"},
		{`s/([0-9])/\10/`, "a1", "a10"},
		{`s/b+/[&]/`, "abbc", "a[bb]c"},
		{`s/b+/[\0]/`, "abbc", "a[bb]c"},
		{`s/b+/\&/`, "abbc", "a&c"},
		{`s/b/\\/`, "abc", `a\c`},
		{`s/(x)?b/<\1>/`, "ab", "a<>"},
		{`s|a/b|c|`, "a/b", "c"},
		{`s/a\/b/c\/d/`, "a/b", "c/d"},
		{`s.a\.b.c\.d.`, "axb a.b", "axb c.d"}, // the delimiter itself, and no other sign
		{`s|a\|b|c|`, "a|b", "c"},
		{`s&b&<\&>&`, "abc", "a<&>c"},
		{`s/\d+//g`, "a1b22", "ab"},
		{`s/\\/x/`, `a\b`, "axb"},
		{`s/x*/-/g`, "abc", "-a-b-c-"},
		{`s§ä§ö§`, "bär", "bör"},
		{`s/$/.weight/`, "a", "a.weight"},
		{`s/.*//`, "abc", ""},
	} {
		s, err := ParseSubstitution(c.substitution)
		if err != nil {
			t.Errorf("%s: %v", c.substitution, err)
			continue
		}
		got, matched := s.Apply(c.name)
		if got != c.want {
			t.Errorf("%s of %q is %q, want %q", c.substitution, c.name, got, c.want)
		}
		if s.String() != c.substitution {
			t.Errorf("%s is written as %s", c.substitution, s)
		}
		if !matched && got != c.name || matched != s.expression.MatchString(c.name) {
			t.Errorf("%s of %q: matched is %v", c.substitution, c.name, matched)
		}
	}
}

// sed is asked for what it understands in the same way.
func TestSubstitutionAsSed(t *testing.T) {
	sed, err := exec.LookPath("sed")
	if err != nil {
		t.Skip("no sed")
	}
	if out, err := exec.Command(sed, "--version").Output(); err != nil || !strings.Contains(string(out), "GNU") {
		t.Skip("not GNU's")
	}
	const names = "module.model.layers.10.self_attn.q_proj.weight\nmodel.embed_tokens.weight\nlm_head.weight\nblocks.3.A.b\na/b.c\n"
	for _, text := range []string{
		`s/^module\.//`, `s/layers\.([0-9]+)\.self_attn/h.\1.attn/`, `s/e/E/g`, `s/E/x/ig`, `s/\.weight$/[&]/`, `s|a/b|\&|`, `s/a\/b/c\/d/`,
		`s/([a-z]+)\.([a-z]+)/\2.\1/g`, `s/x*/-/g`, `s,(_)?proj,<\1>,`, `s/[0-9]+/\00/`, `s/.*//`,
	} {
		s, err := ParseSubstitution(text)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range strings.Lines(names) {
			name, _ := s.Apply(strings.TrimSuffix(line, "\n"))
			got.WriteString(name + "\n")
		}
		command := exec.Command(sed, "-E", text)
		command.Stdin = strings.NewReader(names)
		want, err := command.Output()
		if err != nil {
			t.Fatalf("sed %s: %v", text, err)
		}
		if got.String() != string(want) {
			t.Errorf("%s gives\n%ssed gives\n%s", text, &got, want)
		}
	}
}

func TestWrongSubstitutions(t *testing.T) {
	for text, says := range map[string]string{
		``: "no substitution", `s`: "no substitution", `a=b`: "no substitution", `y/a/b/`: "no substitution", `saabaa`: "no substitution",
		`s\a\b\`: "no substitution", `s a b `: "no substitution", "s\na\nb\n": "no substitution",
		`s/a`: "does not end with /", `s/a/b`: "does not end with /", `s/a\/b/c`: "does not end with /", `s|a|b`: "does not end with |",
		`s/(/b/`: "missing closing )", `s/a/b/x`: `unknown flag 'x'`, `s/a/b/2`: `unknown flag '2'`, `s/a/b/g/`: `unknown flag '/'`,
		`s/a/\1/`: "has 0 groups", `s/(a)/\2/`: "has 1 groups", `s/(a)/$1/`: `groups are written \1`, `s/a/\n/`: `\n means nothing`,
	} {
		if _, err := ParseSubstitution(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// FuzzSubstitution demands that what is read can be applied, and that a name without a match stays.
func FuzzSubstitution(f *testing.F) {
	f.Add(`s/^module\.//`, "module.a")
	f.Add(`s|(\w+)\|x|[\1&\\]|gi`, "Ab|x|x")
	f.Add(`s/x*/-/g`, "abc")
	f.Fuzz(func(t *testing.T, text, name string) {
		s, err := ParseSubstitution(text)
		if err != nil {
			return
		}
		got, matched := s.Apply(name)
		if !matched && got != name {
			t.Errorf("%q: %q becomes %q without a match", text, name, got)
		}
		if again, _ := s.Apply(name); again != got {
			t.Errorf("%q: %q becomes %q, and then %q", text, name, got, again)
		}
	})
}
