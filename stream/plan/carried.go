package plan

import (
	"path"
	"slices"

	"weld/format"
)

// indispensable are the endings of the files that a model or a tokenizer is loaded from.
var indispensable = []string{".json", ".model", ".jinja", ".txt", ".py", ".tiktoken"}

// checkCarried looks for pointers among the files that are carried: an output with the pointer of a
// tokenizer has none. Pictures and the like are carried as they are, with a note. It counts what all of them take.
func (p *planner) checkCarried(beside format.Folder, names []string) error {
	for _, name := range names {
		info, err := beside.Stat(name)
		if err != nil {
			return err
		}
		p.Output.carried += info.Size()
		if info.Size() > format.ForeignHead {
			continue
		}
		raw, err := beside.Bytes(name, format.ForeignHead)
		if err != nil {
			return err
		}
		what := format.Pointer(raw)
		switch {
		case what == "":
		case slices.Contains(indispensable, path.Ext(name)):
			return &format.Error{Path: beside.Join(name), Kind: format.KindForeign, Detail: what}
		default:
			p.note("%s: %s; it is carried as it is", beside.Join(name), what)
		}
	}
	return nil
}
