package quant

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// compressedConfig is what compressed-tensors 0.20 writes into quantization_config (quantization/quant_config.py, quant_scheme.py, quant_args.py), and
// earlier releases into compression_config, there with the schemes in an object of its own.
type compressedConfig struct {
	Method    string                     `json:"quant_method"`
	Version   string                     `json:"version"`
	Format    string                     `json:"format"`
	Groups    map[string]json.RawMessage `json:"config_groups"`
	Ignore    []string                   `json:"ignore"`
	Sparsity  sparsityConfig             `json:"sparsity_config"`
	Transform struct {
		Groups map[string]json.RawMessage `json:"config_groups"`
	} `json:"transform_config"`
	Inner *compressedConfig `json:"quantization_config"`

	groups []compressedGroup // those that weights are stored in a scheme by, in the order of their names
	plain  []target          // modules that are listed as stored plainly
}

// sparsityConfig says which layout zeros are left out by.
type sparsityConfig struct {
	Format string `json:"format"`
}

// compressedGroup is a scheme and the modules that it is for.
type compressedGroup struct {
	Targets []string        `json:"targets"`
	Weights *compressedArgs `json:"weights"`
	Format  string          `json:"format"` // of the newer releases; else that of the whole model
	targets []target
}

// compressedArgs say how the values of a weight were rounded.
type compressedArgs struct {
	Bits      int             `json:"num_bits"`
	Type      string          `json:"type"`
	Symmetric bool            `json:"symmetric"`
	Strategy  string          `json:"strategy"`
	GroupSize int64           `json:"group_size"`
	Block     blockSize       `json:"block_structure"`
	ActOrder  json.RawMessage `json:"actorder"`
}

// UnmarshalJSON has the defaults of QuantizationArgs.
func (a *compressedArgs) UnmarshalJSON(data []byte) error {
	type plain compressedArgs
	args := plain{Bits: 8, Type: "int", Symmetric: true}
	if err := json.Unmarshal(data, &args); err != nil {
		return err
	}
	args.Type, args.Strategy = strings.ToLower(args.Type), strings.ToLower(args.Strategy)
	if args.Strategy == "" {
		switch {
		case args.GroupSize > 0:
			args.Strategy = "group"
		case args.GroupSize == -1:
			args.Strategy = "channel"
		default:
			args.Strategy = "tensor"
		}
	}
	*a = compressedArgs(args)
	return nil
}

// blockSize is rows and columns, as a list, or as "128x128" of earlier releases.
type blockSize [2]int64

// UnmarshalJSON implements [json.Unmarshaler].
func (b *blockSize) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil && text != "" {
		data = []byte("[" + strings.Replace(text, "x", ",", 1) + "]")
	}
	var size []int64
	if err := json.Unmarshal(data, &size); err != nil {
		return err
	}
	if len(size) == 0 {
		return nil
	}
	if len(size) != 2 || size[0] <= 0 || size[1] <= 0 {
		return fmt.Errorf("block_structure %s", data)
	}
	*b = blockSize(size)
	return nil
}

// compressedConfigOf reads what is declared, if it is of compressed-tensors; else it is nil.
func compressedConfigOf(configs []map[string]json.RawMessage) (found *compressedConfig, err error) {
	for _, config := range configs {
		if !declaresCompressed(config) || slices.ContainsFunc(configs, func(outer map[string]json.RawMessage) bool { return isInside(config, outer) }) {
			continue
		}
		data, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		next, err := parseCompressed(data)
		if err != nil {
			return nil, err
		}
		if found != nil && !reflect.DeepEqual(found, next) {
			return nil, errors.New("two configurations that differ")
		}
		found = next
	}
	return found, nil
}

// declaresCompressed reports whether a configuration is of compressed-tensors: it says so, or it has its keys and no other method.
func declaresCompressed(config map[string]json.RawMessage) bool {
	var method, algorithm string
	json.Unmarshal(config["quant_method"], &method)
	json.Unmarshal(config["quant_algo"], &algorithm)
	if method != "" || algorithm != "" {
		return method == "compressed-tensors"
	}
	return slices.ContainsFunc([]string{"config_groups", "quantization_config", "sparsity_config"}, func(key string) bool { _, ok := config[key]; return ok })
}

// isInside reports whether a configuration is the object in another that has the schemes: it is listed by itself, too.
func isInside(config, outer map[string]json.RawMessage) bool {
	var inner map[string]json.RawMessage
	return json.Unmarshal(outer["quantization_config"], &inner) == nil && reflect.DeepEqual(config, inner)
}

// parseCompressed reads one configuration.
func parseCompressed(data []byte) (*compressedConfig, error) {
	c := new(compressedConfig)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, err
	}
	if in := c.Inner; in != nil {
		in.Sparsity, c.Inner = c.Sparsity, nil
		if in.Version == "" {
			in.Version = c.Version
		}
		c = in
	}
	for _, text := range c.Ignore {
		c.plain = append(c.plain, parseTarget(text))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		var g compressedGroup
		if err := json.Unmarshal(c.Groups[name], &g); err != nil {
			return nil, fmt.Errorf("config_groups, %s: %w", name, err)
		}
		if g.Weights == nil {
			continue // of activations
		}
		if g.Format == "" {
			g.Format = c.Format
		}
		for _, t := range g.Targets {
			g.targets = append(g.targets, parseTarget(t))
		}
		c.groups = append(c.groups, g)
	}
	return c, nil
}

// target names modules: by a name, by the class that they have in memory, or by an expression.
type target struct {
	text    string
	pattern *regexp.Regexp // nil for a text, and for an expression that only Python understands
	regular bool
}

// parseTarget reads a target. Expressions are Python's, and match from the beginning of a name on.
func parseTarget(text string) target {
	t := target{text: text}
	expression, regular := strings.CutPrefix(text, "re:")
	if t.regular = regular; regular {
		t.pattern, _ = regexp.Compile("^(?:" + expression + ")")
	}
	return t
}

// How well a target fits a module.
const (
	noFit    = iota
	mayFit   // a class, which files do not name, or an expression that weld cannot read
	namesFit // an expression
	exactFit
)

// fit is how well a target fits a module.
func (t target) fit(module string) int {
	switch {
	case t.text == module:
		return exactFit
	case t.regular && t.pattern == nil:
		return mayFit
	case t.regular && t.pattern.MatchString(module):
		return namesFit
	case !t.regular && !strings.Contains(t.text, "."):
		return mayFit
	}
	return noFit
}

// ignores reports whether a module is one that is listed as stored plainly.
func (c *compressedConfig) ignores(module string) bool {
	return slices.ContainsFunc(c.plain, func(t target) bool { return t.fit(module) >= namesFit })
}

// groupsOf are the groups that a module may be of: those that fit it best.
func (c *compressedConfig) groupsOf(module string) (groups []compressedGroup) {
	best := mayFit
	for _, g := range c.groups {
		fit := noFit
		for _, t := range g.targets {
			fit = max(fit, t.fit(module))
		}
		if fit > best {
			best, groups = fit, nil
		}
		if fit == best {
			groups = append(groups, g)
		}
	}
	return groups
}

// before reports whether the release that wrote a checkpoint came before another; known is false where it is not said.
func (c *compressedConfig) before(major, minor int) (before, known bool) {
	parts := strings.SplitN(c.Version, ".", 3)
	if len(parts) < 2 {
		return false, false
	}
	x, errX := strconv.Atoi(parts[0])
	y, errY := strconv.Atoi(parts[1])
	return x < major || x == major && y < minor, errX == nil && errY == nil
}
