package chat

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What the templates render to is held against mergekit's in .ci/interop: Go has no Jinja.

// words are those that no template of the format can do without.
var words = map[string][]string{
	"alpaca":  {"### Instruction:\\n", "### Input:\\n", "### Response:\\n", "user_context", "add_generation_prompt"},
	"chatml":  {"<|im_start|>", "<|im_end|>\\n", "add_generation_prompt"},
	"exaone":  {"[|system|][|endofturn|]\\n", "[|assistant|]", "add_generation_prompt"},
	"llama3":  {"bos_token", "<|start_header_id|>", "<|end_header_id|>\\n\\n", "<|eot_id|>", "add_generation_prompt"},
	"mistral": {"bos_token", "eos_token", " [INST] ", " [/INST]", "raise_exception"},
}

func TestTemplates(t *testing.T) {
	names := Names()
	if want := []string{"alpaca", "chatml", "exaone", "llama3", "mistral"}; !slices.Equal(names, want) {
		t.Fatalf("%q, want %q", names, want)
	}
	for _, name := range names {
		text, ok := Template(name)
		if !ok || !utf8.ValidString(text) {
			t.Errorf("%s: %v, %q", name, ok, text)
		}
		for _, word := range append(words[name], "message['role']", "message['content']") {
			if !strings.Contains(text, word) {
				t.Errorf("%s: no %q", name, word)
			}
		}
		checkTags(t, name, text)
	}
}

// checkTags demands that every block is closed, and that all white space between tags is cut
// away: renderers differ in what they cut by themselves.
func checkTags(t *testing.T, name, text string) {
	t.Helper()
	var open []string
	for rest := text; rest != ""; {
		begin := strings.IndexAny(rest, "{")
		if begin < 0 || strings.TrimSpace(rest[:begin]) != "" {
			t.Errorf("%s: text outside of tags: %q", name, rest)
			return
		}
		closing := map[bool]string{true: "%}", false: "}}"}[strings.HasPrefix(rest[begin:], "{%")]
		end := strings.Index(rest, closing)
		if end < 0 || rest[begin+2] != '-' {
			t.Errorf("%s: not a whole tag, or one that keeps the white space before it: %q", name, rest[begin:])
			return
		}
		if closing == "%}" {
			word := strings.Fields(strings.Trim(rest[begin+2:end], "-"))[0]
			if of, closes := strings.CutPrefix(word, "end"); closes {
				if len(open) == 0 || open[len(open)-1] != of {
					t.Errorf("%s: %s closes %q", name, word, open)
					return
				}
				open = open[:len(open)-1]
			} else if word == "for" || word == "if" {
				open = append(open, word)
			}
		}
		if rest = rest[end+2:]; strings.TrimSpace(rest) == "" {
			if rest != "\n" || text[len(text)-4] != '-' {
				t.Errorf("%s: the end keeps white space: %q", name, rest)
			}
			break
		}
	}
	if len(open) != 0 {
		t.Errorf("%s: not closed: %q", name, open)
	}
}

func TestNoTemplate(t *testing.T) {
	for _, name := range []string{"", ".", "ChatML", "chatml.jinja", "../chat", "templates/chatml", "auto"} {
		if text, ok := Template(name); ok || text != "" {
			t.Errorf("%q: %q", name, text)
		}
	}
}
