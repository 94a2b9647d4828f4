package methods

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weld/stream/recipe"
)

var update = flag.Bool("update", false, "write the generated part of docs/methods.md")

// The generated part of the page, between two lines.
const (
	page  = "../../../docs/methods.md"
	begin = "<!-- Made by go generate ./stream/fuse/methods: do not edit. -->\n"
	end   = "<!-- End of what is made. -->\n"
)

// The page lists every method with every key, as it is registered.
func TestKeysAreDocumented(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	was, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no part between %s and %s", page, begin, end)
	}
	is := keyTables()
	if was == is {
		return
	}
	if !*update {
		t.Fatalf("%s does not list what is registered: go generate ./stream/fuse/methods", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+is+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// keyTables is a table of keys for each family. Methods that have the same ones stand together.
func keyTables() string {
	var b strings.Builder
	var family Family = -1
	var presets string // of a family, behind its keys
	for i, m := range registry {
		if m.Family != family {
			b.WriteString(presets)
			presets = ""
		}
		if len(m.Presets) > 0 {
			presets += presetTable(m)
		}
		if i > 0 && sameKeys(registry[i-1], m) {
			continue
		}
		if m.Family != family {
			family = m.Family
			fmt.Fprintf(&b, "\n### %s\n\n| method | key | value | default | of each model | |\n|---|---|---|---|---|---|\n", familyTitle(family))
		}
		name := "`" + m.Name + "`"
		for _, twin := range registry[i+1:] {
			if !sameKeys(m, twin) {
				break
			}
			name += ", `" + twin.Name + "`"
		}
		for _, p := range m.Params {
			if p.Key == nonfiniteKey {
				continue
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", name, p.Key, valuesOf(p), defaultOf(p), map[bool]string{true: "yes"}[p.PerModel], strings.ReplaceAll(p.Help, "|", `\|`))
			name = ""
		}
		if name != "" {
			fmt.Fprintf(&b, "| %s | – | | | | |\n", name)
		}
	}
	b.WriteString(presets)
	return strings.TrimPrefix(b.String(), "\n") + "\n"
}

// presetTable has what a method's presets set, beside the defaults.
func presetTable(m *Method) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### Presets of %s\n\n| | default |", m.Name)
	names := m.PresetNames()
	for _, name := range names {
		fmt.Fprintf(&b, " `preset: %s` |", name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(names)) + "\n")
	for _, p := range m.Params {
		row, set := fmt.Sprintf("| `%s` | %s |", p.Key, defaultOf(p)), false
		for _, name := range names {
			value, ok := m.Presets[name][p.Key]
			if ok {
				value, set = "`"+value+"`", true
			}
			row += " " + value + " |"
		}
		if set {
			b.WriteString(row + "\n")
		}
	}
	return b.String()
}

func sameKeys(a, b *Method) bool {
	return a.Family == b.Family && reflect.DeepEqual(a.Params, b.Params)
}

// familyTitle is not the title of the section that has the family's formulas.
func familyTitle(f Family) string { return "Keys: " + strings.ToLower(f.String()[:1]) + f.String()[1:] }

func valuesOf(p recipe.Param) string {
	text := p.Allowed()
	if p.Kind == recipe.Choice {
		names := slices.Clone(p.Choices)
		for i, name := range names {
			names[i] = "`" + name + "`"
		}
		text = strings.Join(names, ", ")
	}
	if !p.Varies() && p.Kind != recipe.Choice && p.Kind != recipe.Path {
		text += ", the same for all tensors"
	}
	return text
}

func defaultOf(p recipe.Param) string {
	switch {
	case p.Required:
		return "must be given"
	case p.Default == "":
		return "–"
	}
	text := "`" + p.Default + "`"
	for _, c := range p.Cases {
		text += ", or `" + c.Text + "` " + c.String()
	}
	return text
}
