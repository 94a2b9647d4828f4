package recipe

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"weld/internal/spelling"
)

// Values are settings by key, presets and defaults included.
type Values map[string]Value

// Value is one setting.
type Value struct {
	Text   string
	Number float64
	Bool   bool
	Where  Position // zero where nobody said it
	Origin string   // of what nobody said: a preset, or a default
	// Varies says that the value depends on the tensor or the slice; what stands here is
	// that of the first layer where no filter matches. [Recipe.At] has the others.
	Varies bool
}

// Has reports whether a key has a value.
func (v Values) Has(key string) bool { _, ok := v[key]; return ok }

// Number returns a Number, or 0.
func (v Values) Number(key string) float64 { return v[key].Number }

// Bool returns a Bool, or false.
func (v Values) Bool(key string) bool { return v[key].Bool }

// Text returns a Choice or a Path, or "".
func (v Values) Text(key string) string { return v[key].Text }

// Range has the limits of a Number, both included; nil for none.
func (p Param) Range() (low, high *float64) {
	if p.Kind != Number {
		return nil, nil
	}
	if p.Min > -unbounded {
		low = &p.Min
	}
	if p.Max < unbounded {
		high = &p.Max
	}
	return low, high
}

// Allowed describes the values of a key, for messages and help.
func (p Param) Allowed() string {
	switch p.Kind {
	case Bool:
		return "true or false"
	case Choice:
		return "one of " + strings.Join(p.Choices, ", ")
	case Path:
		return "a path"
	}
	number := "a number"
	if p.Integer {
		number = "a whole number"
	}
	switch low, high := p.Range(); {
	case low != nil && high != nil:
		return fmt.Sprintf("%s from %g to %g", number, p.Min, p.Max)
	case low != nil:
		return fmt.Sprintf("%s of at least %g", number, p.Min)
	case high != nil:
		return fmt.Sprintf("%s of at most %g", number, p.Max)
	}
	return number
}

// unbounded is the limit of a Number that has none.
const unbounded = 1e300

// Any is the range of a Number without limits.
func Any(p Param) Param {
	p.Min, p.Max = -unbounded, unbounded
	return p
}

// truth reads a truth value in the words of YAML 1.1 and mergekit, or as the number 1 or 0, which
// tools write.
func truth(text string) (yes, ok bool) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "t", "y":
		return true, true
	case "false", "no", "off", "f", "n":
		return false, true
	}
	n, err := strconv.ParseFloat(text, 64)
	return n == 1, err == nil && (n == 0 || n == 1)
}

// parse understands one value.
func (p Param) parse(text string) (Value, error) {
	v := Value{Text: text}
	wrong := fmt.Errorf("%q is not %s", text, p.Allowed())
	switch p.Kind {
	case Number:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= p.Min && n <= p.Max) { // NaN too
			return v, wrong
		}
		if p.Integer && n != math.Trunc(n) {
			return v, wrong
		}
		v.Number = n
	case Bool:
		yes, ok := truth(text)
		if !ok {
			return v, wrong
		}
		v.Bool, v.Text = yes, strconv.FormatBool(yes)
	case Choice:
		if !slices.Contains(p.Choices, text) {
			return v, fmt.Errorf("%w%s", wrong, spelling.Hint(text, p.Choices))
		}
	case Path:
		if text == "" {
			return v, wrong
		}
	}
	return v, nil
}
