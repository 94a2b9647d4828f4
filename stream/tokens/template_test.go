package tokens

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

func TestChatTemplate(t *testing.T) {
	y := func(files map[string]string) toy { return toy{vocab: words("a"), files: files} }
	models := makeAll(t,
		y(nil), y(map[string]string{configName: `{"chat_template": "{{ one }}"}`}),
		y(map[string]string{configName: `{"chat_template": [{"name":"rag","template":"r"},{"name":"default","template":" {{ two }}\n"}]}`}),
		y(map[string]string{templateName: "{{ two }}", configName: `{"chat_template": "{{ one }}"}`}),
		y(map[string]string{configName: `{"chat_template": {"default": 3}}`}))
	path := filepath.Join(t.TempDir(), "x.jinja")
	if err := os.WriteFile(path, []byte("from a file\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ spec, config, template, out string }{
		{"auto", `{"a":1}`, "{{ two }}", "{\"a\":1,\n    \"chat_template\": \"{{ two }}\"}"},
		{"{% if \"<x>\" %}", `{"chat_template": [1, 2], "b":2}`, "{% if \"<x>\" %}", `{"chat_template": "{% if \"<x>\" %}", "b":2}`},
		{path, ``, "from a file\n", ""},
		{"", `{}`, "", ""},
	} {
		var config []byte
		if c.config != "" {
			config = []byte(c.config)
		}
		files, err := ChatTemplate(c.spec, models, config)
		if err != nil || string(files[templateName]) != c.template || string(files[configName]) != c.out {
			t.Errorf("%q: %q, %v", c.spec, files, err)
		}
	}
	if files, err := ChatTemplate("auto", models[:1], nil); len(files) != 0 || err != nil {
		t.Error(files, err)
	}
	if files, _ := ChatTemplate("auto", models[1:3], nil); string(files[templateName]) != "{{ one }}" {
		t.Errorf("%s", files)
	}
	for _, spec := range []string{"ChatML", "x.jinja", "hello", "Auto"} {
		if _, err := ChatTemplate(spec, models, nil); err == nil {
			t.Error(spec)
		} else if spec == "ChatML" && !strings.Contains(err.Error(), "expected auto, alpaca, chatml, exaone, llama3, mistral, ") {
			t.Error(err)
		}
	}
	if _, err := ChatTemplate("{{ x }}", nil, []byte("nonsense")); format.KindOf(err) != format.KindJSON {
		t.Error(err)
	}
}
