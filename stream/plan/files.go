package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/lora"
	"weld/stream/destination"
)

// RecipeName is the file in an output directory that holds the recipe.
const RecipeName = "weld_recipe.yml"

// SmallFile is a small file of the output.
type SmallFile struct {
	Name    string // with slashes
	Carried bool   // from beside the reference
	Content []byte // nil where it is carried as it is
}

// listFiles finds what a directory holds beside its weights: what is carried over from the reference, the tokenizer
// that the recipe asks for, and the recipe.
func (p *planner) listFiles() error {
	if !p.Output.Container.HoldsFiles() {
		if len(p.vocabulary.files) > 0 {
			p.note("output %s: the recipe's tokenizer goes into an output directory only; a file holds the tensors alone", p.out)
		}
		if p.Output.Container != destination.GGUF && (p.config != nil || p.Reference().terms != "" && !p.undeclares()) {
			p.note("output %s: a file holds the tensors alone; what reads it needs the quantization_config that a directory has in its config.json", p.out)
		}
		return nil
	}
	if err := errors.Join(p.generate(), p.listCarried()); err != nil {
		return err
	}
	add := func(name string, content []byte) {
		p.Output.Files = append(p.Output.Files, SmallFile{Name: name, Content: content})
	}
	for _, name := range slices.Sorted(maps.Keys(p.generated)) {
		add(name, p.generated[name])
	}
	if p.config != nil && !slices.ContainsFunc(p.Output.Files, func(f SmallFile) bool { return f.Name == hub.ConfigName }) {
		config, _ := hub.SetQuantization([]byte("{}"), p.config)
		add(hub.ConfigName, config)
	}
	for _, name := range slices.Sorted(maps.Keys(p.vocabulary.files)) {
		add(name, p.vocabulary.files[name])
	}
	if p.options.Conversion == nil {
		add(RecipeName, p.Recipe.YAML())
	}
	return nil
}

// typesName is the list of types of tensors that OpenAI's files of gpt-oss have beside them, those of codes included.
const typesName = "dtypes.json"

// decodesAll reports whether what the reference has as codes is stored plainly.
func (p *planner) decodesAll() bool { return len(p.Reference().decoded) > 0 && !p.encodes }

// listCarried finds the files that a directory carries over from the reference.
func (p *planner) listCarried() error {
	ref := p.Reference()
	beside := format.Beside(ref.Checkpoint)
	if !beside.Exists() {
		return nil
	}
	names, skipped, err := hub.Sidecars(beside)
	if err != nil {
		return fmt.Errorf("list the files beside %s: %w", ref.Path, err)
	}
	if slices.Contains(names, lora.ConfigName) {
		p.note("%s: an adapter lies beside the model and is no part of it: %s is not carried to the output", ref.Path, lora.ConfigName)
	}
	if slices.Contains(names, typesName) && p.decodesAll() {
		p.note("%s: %s is not carried to the output: it lists codes, and values are stored plainly", ref.Path, typesName)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == RecipeName && p.options.Conversion == nil || name == lora.ConfigName || name == typesName && p.decodesAll() || p.replaced(name) || path.Base(name) == hub.QuantConfigName && (p.undeclares() || p.config != nil)
	})
	var training []string
	names = slices.DeleteFunc(names, func(name string) bool {
		if hub.OfTraining(name) {
			training = append(training, name)
			return true
		}
		return false
	})
	if len(training) > 0 {
		p.note("%s: files of a training are not carried to the output: %s", ref.Path, strings.Join(training, ", "))
	}
	p.noteStale()
	if err := errors.Join(p.checkCarried(beside, names), p.checkConfig(beside)); err != nil {
		return err
	}
	for _, name := range skipped {
		p.note("%s: the directory %s is not carried to the output", ref.Path, name)
	}
	for _, name := range names {
		f := SmallFile{Name: name, Carried: true}
		if path.Base(name) == hub.ConfigName {
			if f.Content, err = p.configure(beside, name); err != nil {
				return fmt.Errorf("carry %s of %s: %w", name, ref.Path, err)
			}
		}
		p.Output.Files = append(p.Output.Files, f)
	}
	return nil
}

// configure is the config.json of the output: what the reference's says, but for dtype, vocabulary and layers.
// That of a component follows its dtype, and says of a scheme what is true.
func (p *planner) configure(beside format.Folder, name string) ([]byte, error) {
	config, err := beside.Read(name, hub.MaxSidecar)
	if err != nil {
		return nil, err
	}
	if !hub.IsObject(config) {
		p.note("%s is no JSON object, as a configuration is: what cannot be read cannot follow the output", beside.Join(name))
	}
	if p.Recipe.DType != format.Invalid {
		config = hub.SetDType(config, p.Recipe.DType)
	}
	if name != hub.ConfigName {
		if p.undeclares() {
			config = hub.DropQuantization(config)
		}
		return config, nil
	}
	if p.unties() {
		config = hub.SetUntied(config)
	}
	if p.vocabulary.rows > 0 {
		config = hub.SetVocabSize(config, p.vocabulary.rows)
	}
	if p.undeclares() {
		config = hub.DropQuantization(config)
	}
	if p.config != nil {
		var ok bool
		if config, ok = hub.SetQuantization(config, p.config); !ok {
			return nil, &format.Error{Path: beside.Join(name), Kind: format.KindJSON, Detail: "it is no JSON object, and cannot say how values are stored"}
		}
	}
	config, _, err = p.restack(config)
	return config, err
}

// checkConfig says what of a config.json will not fit the output.
func (p *planner) checkConfig(beside format.Folder) error {
	if len(p.restacked) == 0 {
		return nil
	}
	config, err := beside.Read(hub.ConfigName, hub.MaxSidecar)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // there is none in the output either
	case err != nil:
		return fmt.Errorf("read the configuration of %s: %w", p.Reference().Path, err)
	}
	_, left, err := p.restack(config)
	for _, line := range left {
		p.note("%s: %s: %s", p.Reference().Path, hub.ConfigName, line)
	}
	if err != nil {
		return err
	}
	return p.checkKinds(config)
}
