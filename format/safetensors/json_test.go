package safetensors

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"weld/format"
)

// scan returns all tokens of a text, printed as kind and source.
func scan(text string) ([]string, error) {
	s := scanner{path: "text.json", src: []byte(text)}
	var tokens []string
	for {
		t, err := s.next()
		if err != nil || t.kind == tokenEnd {
			return tokens, err
		}
		tokens = append(tokens, fmt.Sprintf("%v %s", t.kind, text[t.start:t.end]))
	}
}

func TestScanTokens(t *testing.T) {
	got, err := scan(" {\"a\" : [1 ,-0.5e+7,[]],\t\"b\\n\":{\"\":null},\r\n\"c\":\"é\",\"d\":[true,false]} \n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`an object {`,
		`a key "a"`, `an array [`, `a number 1`, `a number -0.5e+7`, `an array [`, `the end of an array ]`, `the end of an array ]`,
		`a key "b\n"`, `an object {`, `a key ""`, `null null`, `the end of an object }`,
		`a key "c"`, `a string "é"`,
		`a key "d"`, `an array [`, `true true`, `false false`, `the end of an array ]`,
		`the end of an object }`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestScanAccepts(t *testing.T) {
	for _, text := range []string{
		`0`, `-0`, `10`, `1.50`, `1e5`, `1E-5`, `1e+05`, `-1.5e00`, `""`, `null`, ` true`, "\tfalse\n", "\r[]", `{}`,
		`"\"\\\/\b\f\n\r\t\u0000\uFFff"`, `"\ud83d\ude00"`, `"😀"`, "\"\x7f\"", `{"a":1,"a":2}`,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		if _, err := scan(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestScanRejects(t *testing.T) {
	for _, c := range []struct {
		text string
		kind format.Kind
		want string // in the error
	}{
		{"", format.KindJSON, "byte 0: expected a value, found the end of the text"},
		{" ", format.KindJSON, "byte 1: "},
		{"\ufeff{}", format.KindJSON, "byte 0: expected a value, found '\\ufeff'"},
		{"{", format.KindJSON, "expected a key or '}'"},
		{"{]", format.KindJSON, "expected a key or '}', found ']'"},
		{`{"a"`, format.KindJSON, "byte 4: expected ':'"},
		{`{"a" 1}`, format.KindJSON, "byte 5: expected ':' after a key, found '1'"},
		{`{"a":}`, format.KindJSON, "expected a value, found '}'"},
		{`{"a":1`, format.KindJSON, "expected ',' or '}'"},
		{`{"a":1]`, format.KindJSON, "expected ',' or '}', found ']'"},
		{`{"a":1,}`, format.KindJSON, "expected a key, found '}'"},
		{`{,}`, format.KindJSON, "expected a key or '}', found ','"},
		{`{1:2}`, format.KindJSON, "expected a key or '}', found '1'"},
		{`{"a":1 "b":2}`, format.KindJSON, "expected ',' or '}'"},
		{`[`, format.KindJSON, "expected a value or ']'"},
		{`[,]`, format.KindJSON, "expected a value or ']', found ','"},
		{`[1,]`, format.KindJSON, "expected a value, found ']'"},
		{`[1 2]`, format.KindJSON, "expected ',' or ']', found '2'"},
		{`[1}`, format.KindJSON, "expected ',' or ']', found '}'"},
		{`]`, format.KindJSON, "expected a value, found ']'"},
		{`}`, format.KindJSON, "expected a value"},
		{`,`, format.KindJSON, "expected a value"},
		{`{} {}`, format.KindJSON, "byte 3: expected nothing after the value, found '{'"},
		{"{}\x00", format.KindJSON, "byte 2: "},
		{"\x00", format.KindJSON, "byte 0: expected a value"},
		{"\v{}", format.KindJSON, "byte 0: "},
		{"\u00a0{}", format.KindJSON, "byte 0: "},
		{`01`, format.KindJSON, "byte 0: a number begins with 0"},
		{`-01`, format.KindJSON, "byte 1: a number begins with 0"},
		{`+1`, format.KindJSON, "expected a value, found '+'"},
		{`.5`, format.KindJSON, "expected a value, found '.'"},
		{`1.`, format.KindJSON, "byte 2: expected a digit"},
		{`1.e5`, format.KindJSON, "byte 2: expected a digit, found 'e'"},
		{`1e`, format.KindJSON, "expected a digit"},
		{`1e+`, format.KindJSON, "byte 3: expected a digit"},
		{`-`, format.KindJSON, "expected a digit"},
		{`-a`, format.KindJSON, "byte 1: expected a digit, found 'a'"},
		{`0x10`, format.KindJSON, "byte 1: "},
		{`1_0`, format.KindJSON, "byte 1: "},
		{`NaN`, format.KindJSON, "expected a value, found 'N'"},
		{`-Infinity`, format.KindJSON, "expected a digit, found 'I'"},
		{`nul`, format.KindJSON, "expected a value, found 'n'"},
		{`nulls`, format.KindJSON, "byte 4: "},
		{`True`, format.KindJSON, "expected a value, found 'T'"},
		{`'a'`, format.KindJSON, "expected a value, found '\\''"},
		{`// a`, format.KindJSON, "expected a value, found '/'"},
		{`"a`, format.KindJSON, "byte 0: a string has no end"},
		{`"a\"`, format.KindJSON, "byte 0: a string has no end"},
		{"\"a\n\"", format.KindJSON, "byte 2: a control character, 0x0a"},
		{"\"\x00\"", format.KindJSON, "byte 1: a control character"},
		{`"\x41"`, format.KindJSON, `byte 1: expected one of`},
		{`"\`, format.KindJSON, "byte 1: "},
		{`"\u12"`, format.KindJSON, "byte 1: expected four hexadecimal digits"},
		{`"\u12g4"`, format.KindJSON, "byte 1: "},
		{`"\U0041"`, format.KindJSON, "byte 1: "},
		{`"a\ud800"`, format.KindJSON, "byte 2: "},
		{`"\udc00"`, format.KindJSON, "byte 1: "},
		{`"\udc00\ud800"`, format.KindJSON, "byte 1: "},
		{`"\ud800\u0041"`, format.KindJSON, "byte 1: "},
		{`"\ud800\n"`, format.KindJSON, "byte 1: "},
		{"\"a\xff\"", format.KindUTF8, "byte 2: expected UTF-8, found byte 0xff"},
		{"\"\xc0\xaf\"", format.KindUTF8, "byte 1: "},
		{"\"\xed\xa0\x80\"", format.KindUTF8, "byte 1: "},
		{"\"é\xe2\x82\"", format.KindUTF8, "byte 3: "},
		{"\xff", format.KindUTF8, "byte 0: "},
		{"{}\xff", format.KindUTF8, "byte 2: "},
		{strings.Repeat("[", maxDepth+1), format.KindJSON, "byte 128: nested deeper than 128"},
	} {
		_, err := scan(c.text)
		if format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "text.json: ") {
			t.Errorf("%q: %v (%q), want %q (%q)", c.text, err, format.KindOf(err), c.want, c.kind)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{`""`, ""},
		{`"plain é"`, "plain é"},
		{`"\u0061\/\\\"\b\f\n\r\t\u00E9\ud83d\uDE00z"`, "a/\\\"\b\f\n\r\té😀z"},
	} {
		s := scanner{src: []byte(c.source)}
		token, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.text(token); got != c.want || !s.is(token, c.want) || s.is(token, c.want+"x") {
			t.Errorf("%s says %q, want %q", c.source, got, c.want)
		}
	}
}

func TestSkip(t *testing.T) {
	for _, value := range []string{`1`, `"a"`, `null`, `{}`, `[]`, `[{"a":[1,{}]},[2]]`, `{"a":{"b":[]},"c":null}`} {
		s := scanner{src: []byte(`[` + value + `,"next"]`)}
		if _, err := s.next(); err != nil {
			t.Fatal(err)
		}
		if err := s.skip(); err != nil {
			t.Errorf("%s: %v", value, err)
		}
		if after, err := s.next(); err != nil || !s.is(after, "next") {
			t.Errorf("%s: found %v, %v after it", value, after.kind, err)
		}
	}
}

func TestAppendString(t *testing.T) {
	text := "\x00\x1f\b\f\n\r\t\"\\/<>&\x7f\u2028é😀"
	want := `"\u0000\u001f\b\f\n\r\t\"\\/<>&` + "\x7f\u2028é😀\""
	if got := string(appendString(nil, text)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestScanAgrees mutates JSON and compares with encoding/json, which differs from
// the scanner only in being lax about UTF-8 and surrogates.
func TestScanAgrees(t *testing.T) {
	seeds := []string{
		`{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"k":"v"}}`,
		`[1,-2.5e+10,0.1E-2,true,false,null,"\u00e9\n\"",{"":[[],{}]}, -0 ]`,
	}
	const alphabet = `{}[]:,"\ud0e-+.19 ` + "\n\x00tfnull"
	rng := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 40_000 {
		text := []byte(seeds[rng.IntN(len(seeds))])
		for range 1 + rng.IntN(3) {
			i := rng.IntN(len(text))
			switch c := alphabet[rng.IntN(len(alphabet))]; rng.IntN(3) {
			case 0:
				text[i] = c
			case 1:
				text = slices.Insert(text, i, c)
			case 2:
				text = slices.Delete(text, i, i+1)
			}
		}
		_, err := scan(string(text))
		if (err == nil) != json.Valid(text) && !strings.Contains(fmt.Sprint(err), "surrogates in pairs") {
			t.Fatalf("%q: %v, encoding/json says valid: %v", text, err, json.Valid(text))
		}
		if err == nil {
			valid++
			if !utf8.Valid(text) {
				t.Fatalf("%q is not UTF-8", text)
			}
		}
	}
	if valid < 1000 {
		t.Errorf("only %d texts were valid", valid)
	}
}
