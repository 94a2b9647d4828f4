package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
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

	maxParameters = 1 << 12 // each is looked for in every module
)

// PEFT's values for what a configuration does not say.
const (
	defaultRank  = 8
	defaultAlpha = 8
	defaultVera  = 256
	defaultAda   = 12
)

// config is what of a configuration decides about the weights.
type config struct {
	method      string // PEFT's peft_type
	rank        int64
	alpha       float64
	rslora      bool // s = alpha/√r
	dora        bool
	fanInFanOut bool // linear layers hold [in, out]
	tied        bool // what is trained of an embedding is trained of the output layer that shares its tensor
	ranks       patterns
	alphas      patterns
	parameters  []string           // bare parameters that factors are for
	rows        map[string][]int64 // trained rows by the end of a module's name; of "" for any
	feeding     []string           // ends of the names of layers whose inputs are scaled
	feedingExpr *regexp.Regexp     // or what their names match
	replication [][2]int64         // runs of layers that the model is made of
	own         map[string]figures // of each module, where there is no configuration
}

// rankOf is the rank that the configuration gives a module.
func (c *config) rankOf(module string) int64 {
	if c.own != nil {
		return c.own[module].rank
	}
	return int64(c.ranks.find(module, float64(c.rank)))
}

// scale is s, the factor of a module's product.
func (c *config) scale(module string) float64 {
	if c.own != nil {
		return c.own[module].scale
	}
	alpha, r := c.alphas.find(module, c.alpha), float64(c.rankOf(module))
	switch {
	case c.method == methodAda && alpha <= 0:
		return r / (r + 1e-5)
	case c.method == methodAda:
		return alpha / (r + 1e-5)
	case c.rslora:
		return alpha / math.Sqrt(r)
	}
	return alpha / r
}

// source is what gives the ranks, for errors.
func (c *config) source() string {
	if c.own != nil {
		return "the first of them"
	}
	return ConfigName
}

// besides are slots that a module's factors may have beside them, whatever the method.
func (c *config) besides(slots ...string) []string {
	if c.own != nil {
		return append(slots, "alpha", "dora_scale")
	}
	return slots
}

// feedforward reports whether a module's inputs are scaled, by PEFT's rule.
func (c *config) feedforward(module string) bool {
	if c.feedingExpr != nil {
		return c.feedingExpr.MatchString(module)
	}
	return slices.ContainsFunc(c.feeding, func(end string) bool { return strings.HasSuffix(module, end) })
}

// indicesOf are the rows of a module that were trained; the longest of the names that end its own decides.
func (c *config) indicesOf(module string) []int64 {
	best, found := "", false
	for name := range c.rows {
		if ends(module, name) && (!found || len(name) > len(best)) {
			best, found = name, true
		}
	}
	return c.rows[best]
}

// ends reports whether a module's name ends with another, begun at a dot; with "" all do.
func ends(module, name string) bool {
	return name == "" || name == module || strings.HasSuffix(module, "."+name)
}

// refused are the keys of what PEFT does and weld does not. Any value but an
// empty one asks for it.
var refused = []struct{ key, what string }{
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

// configFields are the members of a configuration. Their names are exact, as they are to PEFT; a
// struct of encoding/json would take "R" for "r".
type configFields struct {
	path    string // of the adapter
	name    string // of what holds them
	members map[string]json.RawMessage
	err     error // the first
}

// parseConfig reads an adapter_config.json; path is the adapter's, for errors.
func parseConfig(path string, raw []byte) (*config, error) {
	return parseConfigNamed(path, ConfigName, raw)
}

// parseConfigNamed reads a configuration that something else than an adapter_config.json holds.
func parseConfigNamed(path, name string, raw []byte) (*config, error) {
	f := configFields{path: path, name: name}
	if len(raw) > maxConfig {
		return nil, f.fault(format.KindJSON, "%d bytes are over the limit of %d", len(raw), maxConfig)
	}
	if err := json.Unmarshal(raw, &f.members); err != nil {
		return nil, f.fault(format.KindJSON, "not one JSON object: %v", err)
	}
	c := &config{method: f.method()}
	rankKey, alphaKey, otherwise := "r", "lora_alpha", float64(defaultRank)
	switch c.method {
	case methodLoha, methodLokr:
		alphaKey = "alpha"
	case methodVera:
		otherwise = defaultVera
	case methodAda:
		rankKey, otherwise = "init_r", defaultAda
	}
	c.rank = int64(f.number(rankKey, otherwise, rank))
	c.alpha = f.number(alphaKey, defaultAlpha, finite)
	c.rslora = f.flag("use_rslora")
	c.dora = f.flag("use_dora")
	c.fanInFanOut = f.flag("fan_in_fan_out")
	c.tied = f.flag("ensure_weight_tying")
	if c.method == methodAda && !f.empty("rank_pattern") {
		f.fail(format.KindUnsupported, "an AdaLoRA whose ranks were cut (rank_pattern) is not supported: apply it in PEFT and merge the result")
	} else if c.method != methodIA3 && c.method != methodVera {
		c.ranks = f.patterns("rank_pattern", rank)
		c.alphas = f.patterns("alpha_pattern", finite)
	}
	if f.read("target_parameters", &c.parameters); len(c.parameters) > maxParameters {
		f.fail(format.KindSize, "%d target_parameters; weld reads %d", len(c.parameters), maxParameters)
	}
	f.read("layer_replication", &c.replication)
	c.rows = f.tokenRows()
	if expr, ok := f.text("feedforward_modules"); ok {
		c.feedingExpr = f.expression("feedforward_modules", "^(?:"+expr+")$")
	} else {
		f.read("feedforward_modules", &c.feeding)
	}
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}

// read reads a member of a configuration, which may be missing.
func (f *configFields) read(key string, into any) {
	if f.empty(key) {
		return
	}
	if err := json.Unmarshal(f.members[key], into); err != nil {
		f.fail(format.KindType, "%s is nothing that PEFT writes: %s", key, f.shown(key))
	}
}

// tokenRows reads which rows of embeddings were trained: a list, or one for each module.
func (f *configFields) tokenRows() map[string][]int64 {
	for _, key := range []string{"trainable_token_indices", "token_indices"} {
		if f.empty(key) {
			continue
		}
		of := make(map[string][]int64)
		if f.members[key][0] == '{' {
			f.read(key, &of)
			return of
		}
		var list []int64
		f.read(key, &list)
		of[""] = list
		return of
	}
	return nil
}

func (f *configFields) expression(key, text string) *regexp.Regexp {
	expr, err := regexp.Compile(text)
	if err != nil {
		f.fail(format.KindUnsupported, "%s: %s is no regular expression that weld understands: %s", key, f.shown(key), clip(err.Error()))
	}
	return expr
}

// fault makes an error about the configuration.
func (f *configFields) fault(kind format.Kind, detail string, args ...any) error {
	return &format.Error{Path: f.path, Kind: kind, Detail: f.name + ": " + fmt.Sprintf(detail, args...)}
}

// fail keeps the first fault.
func (f *configFields) fail(kind format.Kind, detail string, args ...any) {
	if f.err == nil {
		f.err = f.fault(kind, detail, args...)
	}
}

// method reads what kind of adapter it is, and demands that it is one that weld knows, and nothing beyond.
func (f *configFields) method() string {
	kind, ok := f.text("peft_type")
	switch {
	case f.members == nil:
		f.fail(format.KindJSON, "not one JSON object: null")
	case !ok && f.empty("peft_type"):
		f.fail(format.KindKey, "no peft_type: is this the configuration of a PEFT adapter?")
	case !ok:
		f.fail(format.KindType, "peft_type is no text: %s", f.shown("peft_type"))
	case !slices.Contains(methods, kind):
		f.fail(format.KindUnsupported, "an adapter of peft_type %q, which weld does not apply; it does %s", clip(kind), strings.Join(methods, ", "))
	}
	for _, r := range refused {
		if !f.empty(r.key) {
			f.fail(format.KindUnsupported, "%s", r.what)
		}
	}
	switch bias, ok := f.text("bias"); {
	case f.empty("bias"):
	case !ok || bias != "none" && bias != "all" && !strings.HasSuffix(bias, "_only"):
		f.fail(format.KindUnsupported, "bias is %s; PEFT knows none, all and lora_only", f.shown("bias"))
	}
	if way, ok := f.text("init_lora_weights"); ok {
		for _, r := range residual {
			if strings.HasPrefix(strings.ToLower(way), r) {
				f.fail(format.KindUnsupported, "init_lora_weights is %q, which also changes the base's weights; convert the adapter with PEFT's save_pretrained(…, path_initial_model_for_weight_conversion=…)", clip(way))
			}
		}
	}
	return kind
}

// empty reports whether a member is missing or what Python calls false.
func (f *configFields) empty(key string) bool {
	switch compact := string(f.compact(key)); compact {
	case "", "null", "false", "0", "0.0", `""`, "[]", "{}":
		return true
	}
	return false
}

func (f *configFields) compact(key string) []byte {
	var b bytes.Buffer
	if raw, ok := f.members[key]; !ok || json.Compact(&b, raw) != nil {
		return nil
	}
	return b.Bytes()
}

// shown is a member's value for an error.
func (f *configFields) shown(key string) string { return clip(string(f.compact(key))) }

func (f *configFields) text(key string) (s string, ok bool) {
	raw, given := f.members[key]
	if !given || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

func (f *configFields) flag(key string) bool {
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

func (f *configFields) number(key string, otherwise float64, read func(string) (float64, string)) float64 {
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

// clip shortens what a hostile configuration made long.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
