package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weld/format"
	"weld/format/quant"
	"weld/stream/recipe"
	"weld/stream/tokens"
)

// This file keeps values that are stored in a scheme, as codes and scales, from being computed with as if they
// were weights. What is copied as it is may be in any scheme.

// recognise finds out how every source stores its values. Codes are copied where the recipe copies all that there is, and
// all sources have them in one manner, and no rows are taken from embeddings of codes; else values are decoded.
func (p *planner) recognise() (problems []error) {
	asStored := p.copiesAll()
	problems = p.recogniseAll(asStored)
	if asStored && len(problems) == 0 && (p.mixed() || p.checkVocabularyScheme() != nil) {
		problems = p.recogniseAll(false)
	}
	if err := p.checkVocabularyScheme(); err != nil {
		problems = append(problems, err)
	}
	return problems
}

func (p *planner) recogniseAll(asStored bool) (problems []error) {
	for i := range p.Opened {
		if err := p.Opened[i].recognise(asStored, p.options); err != nil {
			problems = append(problems, err)
		}
		p.sayHeld(p.options) // a view of values is held, too
	}
	return problems
}

// mixed reports sources that store their values in different manners.
func (p *planner) mixed() bool {
	i := slices.IndexFunc(p.Opened, func(s Input) bool { return s.scheme != nil })
	return i >= 0 && p.storedOtherwise(&p.Opened[i]) != nil
}

// copiesAll reports whether the recipe passes models on as they are.
func (p *planner) copiesAll() bool {
	m, r := p.method(), p.Recipe
	if !m.PassesOn() || r.DType != format.Invalid || r.OutDType != format.Invalid || r.Varies() {
		return false
	}
	if p.options.Conversion != nil && p.intoGGUF() && p.Reference().inGGUF() == nil { // which has no schemes of the Hub's
		return false
	}
	blocks := slices.ContainsFunc(p.Opened, func(s Input) bool { return s.inBlocks() })
	if blocks && !p.intoGGUF() { // no other output says what they are
		return false
	}
	if q := r.Params.Text(Quantize.Key); p.options.Varied || q != "" && q != quantizeKeep || r.Params.Text("nonfinite") == "base" { // which looks at every value
		return false
	}
	params := m.Decoder()
	return !slices.ContainsFunc(r.Models, func(model recipe.Model) bool { return !params.Unchanged(r.Params, model.Params) })
}

// recognise finds out how the input stores its values, and shows them decoded unless they are wanted as they are
// stored.
func (s *Input) recognise(asStored bool, o Options) error {
	declared, err := quant.Beside(s.Checkpoint)
	if err != nil {
		return fmt.Errorf("read how %s stores its values: %w", s.Path, err)
	}
	if !asStored {
		shown, err := quant.Show(s.Checkpoint, declared)
		if err != nil {
			return err // what is opened stays, and is closed
		}
		s.Checkpoint = shown
	}
	if s.decoded = quant.Schemes(s.Checkpoint); len(s.decoded) > 0 && o.Decoding != nil {
		o.Decoding()
	}
	s.terms = quant.TermsIn(s.Checkpoint, declared)
	s.scheme, s.stale, err = quant.RecognizeIn(s.Checkpoint, declared)
	return err
}

// inBlocks reports whether the input's container, and nothing else, says what its bytes are.
func (s *Input) inBlocks() bool {
	for i := range s.Tensors() {
		if b, _ := format.BlocksOf(s.Checkpoint, i); b != nil {
			return true
		}
	}
	return false
}

// notPlain is the refusal of a source whose values would be computed with.
func notPlain(s *Input, because string) error {
	switch {
	case len(s.decoded) > 0 && s.scheme.Names != "":
		return apart(s, because)
	case len(s.decoded) > 0:
		return &format.Error{Path: s.Path, Tensor: s.scheme.Codes.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
			"%v: the %s stores its values in a scheme, %s (%s), of which weld decodes other weights, but not this one: its scales are missing, or no layout that weld knows has them so; compare the files with those that were published, or merge a copy that the scheme's library decoded",
			s.scheme.Codes.DType, s.Role, s.scheme.Name, s.scheme.Why)}
	}
	return &format.Error{Path: s.Path, Tensor: s.scheme.Codes.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
		"%v: the %s stores its values in a scheme, %s (%s), which weld does not compute with%s: codes and scales that are merged apart are no model's; merge a copy that the scheme's library decoded, or copy it as it is (passthrough, with scale 1 and without dtype)",
		s.scheme.Codes.DType, s.Role, s.scheme.Name, s.scheme.Why, because)}
}

// apart is the refusal of a source of which something is stored in another scheme than the one that is decoded, such as an output layer.
func apart(s *Input, because string) error {
	return &format.Error{Path: s.Path, Tensor: s.scheme.Codes.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
		"%v: the %s stores it %s; weld does not compute with it%s: merge a copy in which the scheme's library decoded this tensor, or copy the model as it is (passthrough, with scale 1 and without dtype)",
		s.scheme.Codes.DType, s.Role, s.scheme.Apart(s.decoded), because)}
}

// checkVocabularyScheme refuses to put embeddings together from rows of codes.
func (p *planner) checkVocabularyScheme() error {
	if p.Recipe.Tokenizer == nil {
		return nil
	}
	for i := range p.Opened {
		s := &p.Opened[i]
		if s.scheme == nil {
			continue
		}
		embedded := slices.IndexFunc(s.Tensors(), tokens.IsEmbedding)
		if embedded < 0 || quant.IsCode(s.Tensors()[embedded].DType) {
			return notPlain(s, ", nor takes rows of its embeddings from")
		}
	}
	return nil
}

// checkSchemes refuses a plan that computes with values stored in a scheme, or mixes what is stored in different
// ones. It is one error, in place of all that follows from it.
func (p *planner) checkSchemes(problems []error) []error {
	i := slices.IndexFunc(p.Opened, func(s Input) bool { return s.scheme != nil })
	if i < 0 {
		return problems
	}
	s := &p.Opened[i]
	if s.Role == roleImportance {
		return []error{notPlain(s, "")}
	}
	if p.Recipe.Params.Text(Quantize.Key) == quantizeNone {
		return []error{notPlain(s, ", nor stores plainly, as "+Quantize.Key+": "+quantizeNone+" asks for")}
	}
	if other := p.storedOtherwise(s); other != nil {
		return []error{notPlain(s, ", nor mixes with "+other.manner())}
	}
	for _, t := range p.Tensors {
		if t.Action != Copy || !slices.Contains(p.Models, t.From) {
			return []error{notPlain(s, "")}
		}
	}
	if len(problems) > 0 && (!p.method().PassesOn() || p.Recipe.DType != format.Invalid) {
		return []error{notPlain(s, "")}
	}
	p.noteNumberedModules(s, s.scheme.Why, s.scheme.Terms)
	return problems
}

// noteStale says what is not carried to the output, since it is not true.
func (p *planner) noteStale() {
	if ref := p.Reference(); p.undeclares() && len(ref.decoded) == 0 {
		p.note("%s: %s is left out of the output: it says that values are stored in a scheme, and all of them are stored plainly", ref.Path, strings.Join(ref.stale, ", "))
	}
}

// storedOtherwise finds a source that stores its values in another manner than s. Importance is never merged.
func (p *planner) storedOtherwise(s *Input) *Input {
	for i := range p.Opened {
		x := &p.Opened[i]
		if x.Role == roleImportance {
			continue
		}
		if (x.scheme == nil) != (s.scheme == nil) || x.scheme != nil && (x.scheme.Name != s.scheme.Name || x.scheme.Terms != s.scheme.Terms) {
			return x
		}
	}
	return nil
}

// manner says how a source stores its values.
func (s *Input) manner() string {
	switch {
	case s.scheme == nil && len(s.decoded) > 0:
		return fmt.Sprintf("the %s %s, whose values are decoded from %s", s.Role, s.Path, strings.Join(s.decoded, ", "))
	case s.scheme == nil:
		return fmt.Sprintf("the %s %s, which is stored plainly", s.Role, s.Path)
	}
	return fmt.Sprintf("the %s %s, which is stored as %s (%s)", s.Role, s.Path, s.scheme.Name, s.scheme.Why)
}

// numberedModule is the name of a module in a certain layer.
var numberedModule = regexp.MustCompile(`[a-z]\\*\.[0-9]+\b`)

// noteNumberedModules says that a scheme's terms name layers that slices put elsewhere.
func (p *planner) noteNumberedModules(s *Input, where, terms string) {
	if name := numberedModule.FindString(terms); name != "" && len(p.restacked) > 0 {
		p.note("%s: %s names layers by number (%s…), and slices give them other ones: correct it in the output", s.Path, where, name)
	}
}
