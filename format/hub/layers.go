package hub

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Submodel is the part of a model that a run of layers belongs to: a configuration speaks of each
// in a place of its own.
type Submodel uint8

const (
	// Text is the language model: the top of a configuration, and text_config.
	Text Submodel = iota
	// Vision is vision_config.
	Vision
	// Audio is audio_config.
	Audio
	// Projector is what leads from one to another.
	Projector
	// Encoder and Decoder are the halves of a model such as T5 or Whisper.
	Encoder
	Decoder
)

// Stack says how the layers of one part of a model were put together.
type Stack struct {
	Part   Submodel
	Before int64 // layers in the model whose configuration is rewritten
	Slices []Taken

	// Behind and NowBehind are the layers that are stored behind those that count, before and in the stack.
	Behind, NowBehind int64
}

// Taken are the layers of one slice, those of a model from First up to, but without, Last.
type Taken struct {
	Of          string // the model, for messages
	Config      []byte // its configuration
	Layers      int64  // how many it has
	Behind      int64  // and how many are stored behind them
	First, Last int64
}

// After is the number of layers of the stack.
func (s Stack) After() (n int64) {
	for _, t := range s.Slices {
		n += t.Last - t.First
	}
	return n
}

// Restack rewrites what a config.json says of a part's layers: their number, where it is Before, and what
// distinguishes their kinds, by the configurations of the models that the layers come from. Every other byte
// stays as it is. left says, a line each, what could not follow, and what was added.
func Restack(config []byte, s Stack) (out []byte, left []string) {
	all, sound := members(config)
	numbers, places := s.numbers(config, all)
	var edits []textEdit
	after := s.After()
	for _, m := range numbers {
		if after != s.Before {
			edits = append(edits, textEdit{m.span, strconv.AppendInt(nil, after, 10)})
		}
	}
	if s.NowBehind != s.Behind {
		for _, m := range s.Part.named(config, all, behindNames, func(n int64) bool { return n == s.Behind }) {
			edits = append(edits, textEdit{m.span, strconv.AppendInt(nil, s.NowBehind, 10)})
		}
	}
	if after > MostLayers || s.Before > MostLayers {
		return splice(config, edits), []string{fmt.Sprintf("what it says of the kinds of layers is carried over as it is: there are more than %d", MostLayers)}
	}
	c := follower{Stack: s, speaker: speaker{config, all, s.Before, s.Behind}}
	for _, m := range all {
		if slices.ContainsFunc(places, func(path []string) bool { return slices.Equal(path, m.path) }) && s.sides(m.key) {
			c.follow(m)
		}
	}
	c.settle()
	if len(numbers) == 0 && after != s.Before && !c.counted {
		c.addNumber(after, sound)
	}
	return splice(config, append(edits, c.edits...)), c.left
}

// Names that architectures give to the number of layers.
var (
	numberNames  = []string{"num_hidden_layers", "num_layers", "n_layer", "n_layers"}
	towerNames   = append([]string{"depth", "layers", "encoder_layers"}, numberNames...)
	encoderNames = []string{"encoder_layers", "num_encoder_layers", "encoder_num_hidden_layers"}
	decoderNames = []string{"decoder_layers", "num_decoder_layers", "decoder_num_hidden_layers"}
	behindNames  = []string{"num_nextn_predict_layers", "num_mtp_layers", "mtp_num_layers", "mtp_num_hidden_layers"}
)

// objects are the members of a configuration that describe a part. Text, an encoder and a decoder
// may be described at the top too.
var objects = map[Submodel][]string{
	Text:      {"text_config", "llm_config", "language_config"},
	Vision:    {"vision_config", "vit_config"},
	Audio:     {"audio_config", "speech_config"},
	Projector: {"projector_config", "connector_config"},
	Encoder:   {"encoder", "encoder_config"},
	Decoder:   {"decoder", "decoder_config"},
}

func (p Submodel) atTop() bool { return p == Text || p == Encoder || p == Decoder }

// at reports whether an object of a configuration describes the part.
func (p Submodel) at(path []string) bool {
	if len(path) == 0 {
		return p.atTop()
	}
	return slices.Contains(objects[p], path[len(path)-1])
}

// Layers is the number of layers that a configuration gives to a part of a model whose tensors are of have
// layers; ok is false where it gives none, or several of which have is none. A model may have
// tensors of layers behind that number, which predict further tokens.
func Layers(config []byte, part Submodel, have int64) (n int64, ok bool) {
	all, _ := members(config)
	if found := part.numbers(config, all, true, func(k int64) bool { return k == have }); len(found) > 0 {
		return have, true
	}
	said := make(map[int64]bool)
	part.numbers(config, all, false, func(k int64) bool {
		n, said[k] = k, true
		return true
	})
	return n, len(said) == 1
}

// numbers finds where a configuration has a number of the part's layers that is accepted, at last anywhere.
func (p Submodel) numbers(config []byte, all []member, anywhere bool, accepted func(int64) bool) (found []member) {
	names := towerNames
	switch p {
	case Text:
		names = append(decoderNames, numberNames...)
	case Encoder:
		names = append(encoderNames, numberNames...)
	case Decoder:
		if found = p.named(config, all, decoderNames, accepted); len(found) > 0 {
			return found
		}
		names = numberNames
	}
	if found = p.named(config, all, names, accepted); len(found) == 0 && anywhere && p.atTop() {
		found = naturals(config, all, func(m member) bool { return slices.Contains(numberNames, m.key) }, accepted)
	}
	whatever := func(int64) bool { return true }
	if len(found) == 0 && anywhere && p == Text && len(p.named(config, all, names, whatever)) == 0 { // a tower by itself
		found = p.named(config, all, towerNames, accepted)
	}
	return found
}

// named finds the members by some names, where a configuration describes the part, that are accepted numbers.
func (p Submodel) named(config []byte, all []member, names []string, accepted func(int64) bool) []member {
	return naturals(config, all, func(m member) bool { return slices.Contains(names, m.key) && p.at(m.path) }, accepted)
}

// naturals finds members that are accepted numbers.
func naturals(config []byte, all []member, wanted func(member) bool, accepted func(int64) bool) (found []member) {
	for _, m := range all {
		if !wanted(m) {
			continue
		}
		if n, err := strconv.ParseInt(string(config[m.start:m.end]), 10, 64); err == nil && accepted(n) {
			found = append(found, m)
		}
	}
	return found
}

// numbers finds where a configuration has the number of the part's layers, and the objects that
// describe it.
func (s Stack) numbers(config []byte, all []member) (found []member, places [][]string) {
	found = s.Part.numbers(config, all, true, func(n int64) bool { return n == s.Before })
	if s.Part.at(nil) {
		places = append(places, nil)
	}
	for _, m := range all {
		if config[m.start] == '{' {
			if path := append(m.path[:len(m.path):len(m.path)], m.key); s.Part.at(path) {
				places = append(places, path)
			}
		}
	}
	for _, m := range found {
		places = append(places, m.path)
	}
	return found, places
}

// sides reports whether a key may speak of the part: an encoder's does not speak of the decoder,
// where one object describes both.
func (s Stack) sides(key string) bool {
	return !(s.Part == Encoder && strings.Contains(key, "decoder")) && !(s.Part == Decoder && strings.Contains(key, "encoder"))
}

// textEdit is a replacement of a range of a document.
type textEdit struct {
	span
	with []byte
}

// splice carries out edits that do not overlap; the same one may be there twice.
func splice(doc []byte, edits []textEdit) []byte {
	slices.SortStableFunc(edits, func(a, b textEdit) int { return cmp.Compare(a.start, b.start) })
	var out []byte
	at := 0
	for _, e := range edits {
		if e.start < at {
			continue
		}
		out = append(append(out, doc[at:e.start]...), e.with...)
		at = e.end
	}
	return append(out, doc[at:]...)
}
