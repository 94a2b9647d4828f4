package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Component is one of several parts of a folder: a directory with weights, configuration or vocabulary of its own.
type Component struct {
	Folder string // with slashes; "" is the folder itself
	Class  string // what loads it
}

// Prefix begins the names of a component's tensors where those of all components are shown together.
func (c Component) Prefix() string {
	if c.Folder == "" {
		return ""
	}
	return c.Folder + "/"
}

// The files that list components: of a pipeline of diffusers, and of a model of sentence-transformers.
const (
	PipelineName = "model_index.json"
	ModulesName  = "modules.json"
)

// maxComponents is the most bytes that a list of components may have; the largest have few thousand.
const maxComponents = 1 << 20

// Components are those that a folder lists, sorted; none for a folder of one model. A directory that is
// listed has to be there, unless what loads it keeps nothing.
func (f Folder) Components() ([]Component, error) {
	list, name, err := f.listed()
	if err != nil || list == nil {
		return nil, err
	}
	wrong := func(kind Kind, text string, args ...any) error {
		return &Error{Path: f.Join(name), Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	slices.SortFunc(list, func(a, b Component) int { return strings.Compare(a.Folder, b.Folder) })
	var there []Component
	for i, c := range list {
		if i > 0 && c.Folder == list[i-1].Folder {
			return nil, wrong(KindDuplicate, "two components are both in %q", c.Folder)
		}
		if c.Folder == "" {
			there = append(there, c)
			continue
		}
		for part := range strings.SplitSeq(c.Folder, "/") {
			if fault := NameFault(part); fault != "" {
				return nil, wrong(KindIndex, "%q is no directory's name: %q %s", c.Folder, part, fault)
			}
		}
		switch info, err := f.Stat(c.Folder); {
		case errors.Is(err, fs.ErrNotExist) && c.keepsNothing():
		case errors.Is(err, fs.ErrNotExist):
			return nil, wrong(KindMissing, "it lists %s (%s), a directory that is not there", c.Folder, c.Class)
		case err != nil:
			return nil, err
		case !info.IsDir():
			return nil, wrong(KindIndex, "it lists %s (%s), which is no directory", c.Folder, c.Class)
		default:
			there = append(there, c)
		}
	}
	return there, nil
}

// keepsNothing reports whether a component may do without a directory: sentence-transformers makes an empty one for a
// module without settings, which neither Git nor the Hub keeps.
func (c Component) keepsNothing() bool {
	return slices.Contains([]string{"Normalize", "Dropout"}, c.Class[strings.LastIndexByte(c.Class, '.')+1:])
}

// HasWeights reports whether a component is a model, which has weights, as far as the name of its class says.
func (c Component) HasWeights() bool {
	return !slices.ContainsFunc(weightless, func(ending string) bool { return strings.HasSuffix(c.Class, ending) })
}

// weightless end the classes of components that have settings alone.
var weightless = []string{"Tokenizer", "TokenizerFast", "Scheduler", "Processor", "Extractor", "Pooling", "Normalize", "Dropout", "WordWeights", "BoW", "Router", "Asym"}

// listed reads what lists components, and the name of the file that does.
func (f Folder) listed() (list []Component, name string, err error) {
	raw, err := f.Read(PipelineName, maxComponents)
	if err != nil {
		return nil, "", err
	}
	if raw != nil {
		if list, err = pipeline(raw); err != nil {
			return nil, "", &Error{Path: f.Join(PipelineName), Kind: KindJSON, Detail: "it does not list the components of a pipeline", Err: err}
		}
		return list, PipelineName, nil
	}
	raw, err = f.Read(ModulesName, maxComponents)
	if raw == nil || err != nil {
		return nil, "", err
	}
	return modules(raw), ModulesName, nil
}

// pipeline reads a model_index.json of diffusers: {"unet": ["diffusers", "UNet2DConditionModel"], …}. What begins with _ and
// what is no pair are settings of the pipeline; a pair of nulls is a component that it does without.
func pipeline(raw []byte) ([]Component, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	list := make([]Component, 0, len(members))
	for name, value := range members {
		var pair []*string
		if strings.HasPrefix(name, "_") || json.Unmarshal(value, &pair) != nil || len(pair) != 2 || pair[0] == nil || pair[1] == nil {
			continue
		}
		list = append(list, Component{Folder: name, Class: *pair[0] + "." + *pair[1]})
	}
	return list, nil
}

// modules reads a modules.json of sentence-transformers: [{"idx": 0, "name": "0", "path": "", "type": "….Transformer"}, …]. What has that
// name and is something else lists none.
func modules(raw []byte) []Component {
	var members []struct {
		Path *string `json:"path"`
		Type string  `json:"type"`
	}
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	list := make([]Component, 0, len(members))
	for _, m := range members {
		if m.Path == nil || m.Type == "" {
			return nil
		}
		list = append(list, Component{Folder: strings.TrimSuffix(strings.TrimPrefix(*m.Path, "./"), "/"), Class: m.Type})
	}
	return list
}
