package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"weld/format"
)

// ConfigName is the file that PEFT writes beside an adapter's tensors.
const ConfigName = "adapter_config.json"

// Limits of a configuration. What is larger was not made by training.
const (
	maxConfig = 16 << 20 // bytes
	maxRank   = 1 << 16
)

// PEFT's values for what a configuration does not say.
const (
	defaultRank  = 8
	defaultAlpha = 8
)

// config is what of a configuration decides about the weights.
type config struct {
	rank        int64
	alpha       float64
	rslora      bool // s = alpha/√r
	fanInFanOut bool // linear layers hold [in, out]
	ranks       patterns
	alphas      patterns
}

// patterns give some modules a value of their own; the first that matches decides.
type patterns []pattern

type pattern struct {
	name  string
	match *regexp.Regexp
	value float64
}

// find follows PEFT's get_pattern_key: a key is a regular expression for the end of a
// module's name, begun at a dot; one that matches nothing may still be the exact name.
func (p patterns) find(module string, otherwise float64) float64 {
	for _, one := range p {
		if one.match.MatchString(module) {
			return one.value
		}
	}
	for _, one := range p {
		if one.name == module {
			return one.value
		}
	}
	return otherwise
}

// rankOf is the rank that the configuration gives a module.
func (c *config) rankOf(module string) int64 {
	return int64(c.ranks.find(module, float64(c.rank)))
}

// scale is s, the factor of a module's product.
func (c *config) scale(module string) float64 {
	alpha, r := c.alphas.find(module, c.alpha), float64(c.rankOf(module))
	if c.rslora {
		return alpha / math.Sqrt(r)
	}
	return alpha / r
}

// refused are the keys of what PEFT does beyond adding a product. Any value but an
// empty one asks for it.
var refused = []struct{ key, what string }{
	{"use_dora", "DoRA (use_dora), which scales whole rows of the merged weight, is not supported"},
	{"lora_bias", "a bias of the adapter's own (lora_bias) is not supported"},
	{"layer_replication", "layer_replication is not supported: apply the adapter in PEFT and merge its result"},
	{"trainable_token_indices", "single trained token rows (trainable_token_indices) are not supported"},
	{"target_parameters", "adapters of bare parameters such as stacked experts (target_parameters) are not supported"},
	{"alora_invocation_tokens", "an activated adapter (alora_invocation_tokens) acts on some tokens alone and cannot be merged"},
	{"use_qalora", "QA-LoRA (use_qalora) is not supported"},
	{"use_bdlora", "block-diagonal LoRA (use_bdlora) is not supported"},
	{"kasa_config", "KaSA (kasa_config) is not supported"},
	{"monteclora_config", "MonteCLoRA (monteclora_config) is not supported"},
	{"arrow_config", "Arrow (arrow_config) routes between adapters and cannot be merged"},
}

// residual begin the ways of initialising that take something out of the base's weights,
// so that the stored factors do not belong to the base as it is.
var residual = []string{"pissa", "corda", "olora", "loftq", "lora_ga"}

// fields are the members of a configuration. Their names are exact, as they are to PEFT; a
// struct of encoding/json would take "R" for "r".
type fields struct {
	path    string // of the adapter
	members map[string]json.RawMessage
	err     error // the first
}

// parseConfig reads an adapter_config.json; path is the adapter's, for errors.
func parseConfig(path string, raw []byte) (*config, error) {
	f := fields{path: path}
	if len(raw) > maxConfig {
		return nil, f.fault(format.KindJSON, "%d bytes are over the limit of %d", len(raw), maxConfig)
	}
	if err := json.Unmarshal(raw, &f.members); err != nil {
		return nil, f.fault(format.KindJSON, "not one JSON object: %v", err)
	}
	f.lora()
	c := &config{
		rank:        int64(f.number("r", defaultRank, rank)),
		alpha:       f.number("lora_alpha", defaultAlpha, finite),
		rslora:      f.flag("use_rslora"),
		fanInFanOut: f.flag("fan_in_fan_out"),
		ranks:       f.patterns("rank_pattern", rank),
		alphas:      f.patterns("alpha_pattern", finite),
	}
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}

// fault makes an error about the configuration.
func (f *fields) fault(kind format.Kind, detail string, args ...any) error {
	return &format.Error{Path: f.path, Kind: kind, Detail: ConfigName + ": " + fmt.Sprintf(detail, args...)}
}

// fail keeps the first fault.
func (f *fields) fail(kind format.Kind, detail string, args ...any) {
	if f.err == nil {
		f.err = f.fault(kind, detail, args...)
	}
}

// lora demands that the adapter is a sum with a product, and nothing beyond.
func (f *fields) lora() {
	switch kind, ok := f.text("peft_type"); {
	case f.members == nil:
		f.fail(format.KindJSON, "not one JSON object: null")
	case !ok && f.empty("peft_type"):
		f.fail(format.KindKey, "no peft_type: is this the configuration of a PEFT adapter?")
	case !ok:
		f.fail(format.KindType, "peft_type is no text: %s", f.shown("peft_type"))
	case kind != "LORA":
		f.fail(format.KindUnsupported, "an adapter of peft_type %q; only LORA is supported", clip(kind))
	}
	for _, r := range refused {
		if !f.empty(r.key) {
			f.fail(format.KindUnsupported, "%s", r.what)
		}
	}
	switch bias, ok := f.text("bias"); {
	case f.empty("bias"):
	case !ok || bias != "none" && bias != "all" && bias != "lora_only":
		f.fail(format.KindUnsupported, "bias is %s; PEFT knows none, all and lora_only", f.shown("bias"))
	}
	if way, ok := f.text("init_lora_weights"); ok {
		for _, r := range residual {
			if strings.HasPrefix(strings.ToLower(way), r) {
				f.fail(format.KindUnsupported, "init_lora_weights is %q, which also changes the base's weights; convert the adapter with PEFT's save_pretrained(…, path_initial_model_for_weight_conversion=…)", clip(way))
			}
		}
	}
}

// empty reports whether a member is missing or what Python calls false.
func (f *fields) empty(key string) bool {
	switch compact := string(f.compact(key)); compact {
	case "", "null", "false", "0", "0.0", `""`, "[]", "{}":
		return true
	}
	return false
}

func (f *fields) compact(key string) []byte {
	var b bytes.Buffer
	if raw, ok := f.members[key]; !ok || json.Compact(&b, raw) != nil {
		return nil
	}
	return b.Bytes()
}

// shown is a member's value for an error.
func (f *fields) shown(key string) string { return clip(string(f.compact(key))) }

func (f *fields) text(key string) (s string, ok bool) {
	raw, given := f.members[key]
	if !given || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

func (f *fields) flag(key string) bool {
	switch raw := string(f.members[key]); raw {
	case "", "null", "false":
		return false
	case "true":
		return true
	}
	f.fail(format.KindType, "%s is neither true nor false: %s", key, f.shown(key))
	return false
}

// rank and finite read a number, or say what would be one.
func rank(s string) (float64, string) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > maxRank {
		return 0, fmt.Sprintf("no rank from 1 to %d", maxRank)
	}
	return float64(n), ""
}

func finite(s string) (float64, string) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || float64(float32(x)) > math.MaxFloat32 || float64(float32(x)) < -math.MaxFloat32 {
		return 0, "no finite number"
	}
	return x, ""
}

func (f *fields) number(key string, otherwise float64, read func(string) (float64, string)) float64 {
	raw, given := f.members[key]
	if !given {
		return otherwise
	}
	x, wrong := read(string(raw))
	if wrong != "" {
		f.fail(format.KindType, "%s is %s: %s", key, wrong, f.shown(key))
	}
	return x
}

// patterns reads an object in the order of its members, in which PEFT tries them.
func (f *fields) patterns(key string, read func(string) (float64, string)) (list patterns) {
	raw, given := f.members[key]
	if !given || string(raw) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		f.fail(format.KindType, "%s is no object: %s", key, f.shown(key))
		return nil
	}
	places := make(map[string]int)
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			f.fail(format.KindJSON, "%s cannot be read", key)
			return nil
		}
		one := f.pattern(key, name, string(value), read)
		if f.err != nil {
			return nil
		}
		if at, twice := places[name]; twice { // as in Python: the first place, the last value
			list[at].value = one.value
			continue
		}
		places[name] = len(list)
		list = append(list, one)
	}
	return list
}

func (f *fields) pattern(key, name, value string, read func(string) (float64, string)) pattern {
	x, wrong := read(value)
	if wrong != "" {
		f.fail(format.KindType, "%s of %q is %s: %s", key, clip(name), wrong, clip(value))
		return pattern{}
	}
	match, err := regexp.Compile(`^(?:.*\.)?(?:` + name + `)$`)
	if err != nil {
		f.fail(format.KindUnsupported, "%s: %q is no regular expression that weld understands: %s", key, clip(name), clip(err.Error()))
	}
	return pattern{name: name, match: match, value: x}
}

// clip shortens what a hostile configuration made long.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
