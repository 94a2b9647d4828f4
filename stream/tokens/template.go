package tokens

import (
	"fmt"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/stream/chat"
)

// TemplateAuto asks for the template that most models have.
const TemplateAuto = "auto"

// ChatTemplate finds what a recipe's chat_template means: "auto" for the template that
// most models have, the first of equally frequent ones; a name that [chat.Names] lists; a
// literal template, which contains {{ or {%; or the path of a .jinja file. It returns the files to write: the template
// as chat_template.jinja, which newer versions of transformers read, and tokenizerConfig,
// if that is not nil, with the template in it, for older ones. There are none if the spec is
// empty, or "auto" finds no template.
func ChatTemplate(spec string, models []TokenizedModel, tokenizerConfig []byte) (files map[string][]byte, err error) {
	text, named := chat.Template(spec)
	switch {
	case named:
	case strings.TrimSpace(spec) == "":
		return nil, nil
	case spec == TemplateAuto:
		if text, err = commonTemplate(models); err != nil || text == "" {
			return nil, err
		}
	case strings.Contains(spec, "{{") || strings.Contains(spec, "{%"):
		text = spec
	case strings.HasSuffix(spec, ".jinja"):
		raw, err := format.Directory(filepath.Dir(spec)).Read(filepath.Base(spec), maxTemplate)
		if err != nil {
			return nil, fmt.Errorf("chat_template: %w", err)
		}
		if raw == nil {
			return nil, &format.Error{Path: spec, Kind: format.KindMissing, Detail: "chat_template: no such file"}
		}
		text = string(raw)
	default:
		return nil, fmt.Errorf("chat_template %q: expected %s, %s, the text of a Jinja template (with {{ or {%%), or the path of a .jinja file", clip(spec), TemplateAuto, strings.Join(chat.Names(), ", "))
	}
	files = map[string][]byte{templateName: []byte(text)}
	if tokenizerConfig == nil {
		return files, nil
	}
	top, err := parse(configName, tokenizerConfig)
	if err != nil {
		return nil, err
	}
	var e jsonEdit
	if old, ok := top.member("chat_template"); ok {
		e = jsonEdit{old.start, old.end, marshal(text)}
	} else {
		e = top.appendTo([][]byte{append([]byte(`"chat_template": `), marshal(text)...)})
	}
	files[configName] = splice(tokenizerConfig, []jsonEdit{e})
	return files, nil
}

// commonTemplate finds the template that most models have.
func commonTemplate(models []TokenizedModel) (best string, err error) {
	count, order := make(map[string]int), []string(nil)
	for _, m := range models {
		if !m.Folder.Exists() {
			continue
		}
		text, err := templateOf(m.Folder)
		if err != nil {
			return "", err
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if count[text] == 0 {
			order = append(order, text)
		}
		count[text]++
	}
	for _, text := range order {
		if count[text] > count[best] {
			best = text
		}
	}
	return best, nil
}

// templateOf reads a model's template: its own file wins, as in transformers.
func templateOf(dir format.Folder) (string, error) {
	raw, err := dir.Read(templateName, maxTemplate)
	if err != nil || raw != nil {
		return string(raw), err
	}
	if raw, err = dir.Read(configName, hub.MaxSidecar); err != nil || raw == nil {
		return "", err
	}
	top, err := parse(dir.Join(configName), raw)
	if err != nil {
		return "", err
	}
	v, ok := top.member("chat_template")
	if !ok {
		return "", nil
	}
	switch v.doc[v.start] {
	case '"':
		return v.text("chat_template")
	case '{':
		if v, ok = v.member("default"); ok && v.doc[v.start] == '"' {
			return v.text("chat_template")
		}
	case '[': // of {"name": …, "template": …}
		var text string
		err := v.elements("chat_template", func(_ int, e jsonValue) error {
			name, ok := e.member("name")
			body, has := e.member("template")
			if ok && has && string(name.raw()) == `"default"` && body.doc[body.start] == '"' {
				text = unquote(body.raw())
			}
			return nil
		})
		return text, err
	}
	return "", nil
}
