package methods

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"weld/stream/recipe"
)

// paramFields are a struct of parameters: what recipes may say, and how values that they said get into it.
//
// A field's type says the kind: float32 and float64 are numbers, integers are whole numbers, a string is a path, and a type of
// integers that has a method Choices, or whose field has the tag choices, is one of those names. A field that is a pointer
// may be left out, and is nil then; so may a path, which is "". Its tags are
//
//	key      as recipes write it
//	default  as it would be written; of a bool "false", of a choice its first; a definition's defaults go before it
//	example  what the recipe of "weld methods" says, where there is no default or it would show nothing
//	min, max of a number, both included; without them it has no limits
//	choices  names of a choice, apart by spaces
//	flags    fixed: one value for all tensors; explicit: where filters are given, one must match;
//	         required: it has no default, and must be given
//	help     one line for people
//
// Structs that are embedded lend their fields.
type paramFields struct {
	of     reflect.Type
	params []recipe.Param
	index  [][]int // of each parameter's field
}

// fieldsOf reads the tags of a struct.
func fieldsOf(t reflect.Type, perModel bool, defaults map[string]string) (*paramFields, error) {
	f := &paramFields{of: t}
	for _, x := range reflect.VisibleFields(t) {
		if x.Anonymous {
			continue
		}
		p, err := paramOf(x, defaults)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", x.Name, err)
		}
		p.PerModel = perModel
		if err := errors.Join(checkText(p, "default", p.Default), checkText(p, "example", p.Example)); err != nil {
			return nil, fmt.Errorf("field %s: %w", x.Name, err)
		}
		f.params, f.index = append(f.params, p), append(f.index, x.Index)
	}
	return f, nil
}

// paramOf makes a parameter of a field; defaults go before those of tags and types.
func paramOf(x reflect.StructField, defaults map[string]string) (recipe.Param, error) {
	for _, tag := range strings.Fields(tagNames(x.Tag)) {
		if !slices.Contains([]string{"key", "default", "example", "min", "max", "choices", "flags", "help"}, tag) {
			return recipe.Param{}, fmt.Errorf("unknown tag %q", tag)
		}
	}
	p := recipe.Param{Key: x.Tag.Get("key"), Help: x.Tag.Get("help"), Example: x.Tag.Get("example")}
	if p.Key == "" || p.Help == "" || !x.IsExported() {
		return p, errors.New("needs the tags key and help, and a name that begins with a capital letter")
	}
	var optional bool
	var err error
	p.Default, optional = x.Tag.Lookup("default")
	if text, ok := defaults[p.Key]; ok {
		p.Default, optional = text, true
	}
	t := x.Type
	if t.Kind() == reflect.Pointer {
		t, optional = t.Elem(), true
	}
	if err := setFlags(&p, x.Tag.Get("flags")); err != nil {
		return p, err
	}
	switch p.Choices = choicesOf(t, x.Tag.Get("choices")); {
	case len(p.Choices) > 0:
		p.Kind = recipe.Choice
		if !optional {
			p.Default, optional = p.Choices[0], true
		}
	case t.Kind() == reflect.Bool:
		p.Kind = recipe.Bool
		if !optional {
			p.Default, optional = "false", true
		}
	case t.Kind() == reflect.String:
		p.Kind, optional = recipe.Path, true
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		p.Integer = t.Kind() < reflect.Float32
		p, err = limited(p, x.Tag)
	default:
		err = fmt.Errorf("type %v is none of a parameter", x.Type)
	}
	switch {
	case err != nil:
	case !optional && !p.Required:
		err = errors.New("needs a default, to be required, or to be a pointer")
	case p.Required && p.Example == "":
		err = errors.New("is required, and needs an example")
	}
	return p, err
}

// tagNames lists the keys of a tag, apart by spaces.
func tagNames(tag reflect.StructTag) string {
	var names []string
	for rest := strings.TrimSpace(string(tag)); rest != ""; rest = strings.TrimSpace(rest) {
		name, after, ok := strings.Cut(rest, ":")
		if !ok {
			return rest
		}
		names = append(names, name)
		value, err := strconv.QuotedPrefix(after)
		if err != nil {
			return rest
		}
		rest = after[len(value):]
	}
	return strings.Join(names, " ")
}

func setFlags(p *recipe.Param, flags string) error {
	for _, flag := range strings.Fields(flags) {
		switch flag {
		case "fixed":
			p.Fixed = true
		case "explicit":
			p.Explicit = true
		case "required":
			p.Required = true
		default:
			return fmt.Errorf("unknown flag %q", flag)
		}
	}
	return nil
}

// choicesOf are the names that a type of integers has; nil if it has none.
func choicesOf(t reflect.Type, tag string) []string {
	if c, ok := reflect.Zero(t).Interface().(interface{ Choices() []string }); ok {
		return slices.Clone(c.Choices())
	}
	if tag == "" {
		return nil
	}
	return strings.Fields(tag)
}

// limited reads the limits of a number.
func limited(p recipe.Param, tag reflect.StructTag) (recipe.Param, error) {
	p = recipe.Any(p)
	for name, limit := range map[string]*float64{"min": &p.Min, "max": &p.Max} {
		text, ok := tag.Lookup(name)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return p, fmt.Errorf("%s is %q", name, text)
		}
		*limit = x
	}
	return p, nil
}

// checkText demands that the text of a tag is a value of its parameter.
func checkText(p recipe.Param, tag, text string) error {
	if text == "" {
		return nil
	}
	wrong := fmt.Errorf("%s %q is not %s", tag, text, p.Allowed())
	switch p.Kind {
	case recipe.Number:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || x < p.Min || x > p.Max || p.Integer && x != math.Trunc(x) {
			return wrong
		}
	case recipe.Bool:
		if text != "true" && text != "false" {
			return wrong
		}
	case recipe.Choice:
		if !slices.Contains(p.Choices, text) {
			return wrong
		}
	}
	return nil
}

// decode makes a struct of values, and returns a pointer to it. A key that has no value, because no filter matches and there
// is no default, leaves its field as it is.
func (f *paramFields) decode(values recipe.Values) any {
	made := reflect.New(f.of)
	for i, p := range f.params {
		v, ok := values[p.Key]
		if !ok {
			continue
		}
		field := made.Elem().FieldByIndex(f.index[i])
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		switch p.Kind {
		case recipe.Bool:
			field.SetBool(v.Bool)
		case recipe.Path:
			field.SetString(v.Text)
		case recipe.Choice:
			setInteger(field, float64(max(0, slices.Index(p.Choices, v.Text))))
		default:
			setNumber(field, v.Number)
		}
	}
	return made.Interface()
}

func setNumber(field reflect.Value, x float64) {
	if field.CanFloat() {
		field.SetFloat(x)
		return
	}
	setInteger(field, x)
}

func setInteger(field reflect.Value, x float64) {
	if field.CanUint() {
		field.SetUint(uint64(x))
		return
	}
	field.SetInt(int64(x))
}

// ParamDecoder makes of evaluated parameters what a method's jobs have: once for values that many tensors share, which
// are told apart by where they are. Several goroutines may use it.
type ParamDecoder struct {
	*Method
	shared, own sync.Map // uintptr to decoded
}

// decodedParams holds on to the values, lest others come to lie in their place.
type decodedParams struct {
	values recipe.Values
	fields any
}

// Decoder makes a decoder of the method's parameters.
func (m *Method) Decoder() *ParamDecoder { return &ParamDecoder{Method: m} }

// All decodes parameters that hold for all models, for [fuse.Job].
func (d *ParamDecoder) All(values recipe.Values) any { return decodeOnce(&d.shared, d.all, values) }

// Each decodes a model's parameters, for [fuse.Contribution].
func (d *ParamDecoder) Each(values recipe.Values) any { return decodeOnce(&d.own, d.each, values) }

// Unchanged reports whether values of the one model that a method passes on stay as they are.
func (d *ParamDecoder) Unchanged(shared, own recipe.Values) bool {
	return d.unchanged != nil && d.unchanged(d.All(shared), d.Each(own))
}

func decodeOnce(known *sync.Map, f *paramFields, values recipe.Values) any {
	at := reflect.ValueOf(values).Pointer()
	if x, ok := known.Load(at); ok {
		return x.(decodedParams).fields
	}
	x, _ := known.LoadOrStore(at, decodedParams{values, f.decode(values)})
	return x.(decodedParams).fields
}
