package pickle

import "fmt"

// What a pickle holds becomes nil, bool, int64, float64, string, []byte, [Tuple], [*List], [*Dict], [*Set], [Global], or what a
// [Vocabulary] made. Lists, dictionaries and sets are shared as they were in Python; they may hold themselves.

// Tuple is a Python tuple.
type Tuple []any

// List is a Python list.
type List struct{ Items []any }

// Set is a Python set or frozenset, in the order of the pickle.
type Set struct{ Items []any }

// Dict is a Python dictionary, or one of its kin, in the order of the pickle. A key that stands twice has its last value.
type Dict struct{ Items []Item }

// Item is a key and a value.
type Item struct{ Key, Value any }

// Get is the value of a key that is text.
func (d *Dict) Get(key string) (value any, ok bool) {
	for i := len(d.Items) - 1; i >= 0; i-- {
		if d.Items[i].Key == key {
			return d.Items[i].Value, true
		}
	}
	return nil, false
}

// Global is a name that a pickle asks for: a class, a function, a value of a module.
type Global struct{ Module, Name string }

func (g Global) String() string { return g.Module + "." + g.Name }

// Vocabulary says what names mean. A name that has nil is a value, itself, and cannot be called.
type Vocabulary map[Global]Call

// Call makes the value that Python would have from calling a name with arguments.
type Call func(args Tuple) (any, error)

// Stateful is a value that takes the state which Python would give to it once it is made.
type Stateful interface{ SetState(state any) error }

// Object is an instance of a class, for which its name, arguments and state are enough.
type Object struct {
	Class Global
	Args  Tuple
	State any
}

// SetState implements [Stateful].
func (o *Object) SetState(state any) error {
	o.State = state
	return nil
}

// Get is an attribute of an object: what the state calls so.
func (o *Object) Get(name string) (value any, ok bool) {
	state := o.State
	if t, both := state.(Tuple); both && len(t) == 2 { // attributes, and those of slots
		if d, dict := t[1].(*Dict); dict {
			if value, ok = d.Get(name); ok {
				return value, true
			}
		}
		state = t[0]
	}
	if d, dict := state.(*Dict); dict {
		return d.Get(name)
	}
	return nil, false
}

// Instance makes instances of a class as they are described.
func Instance(class Global) Call {
	return func(args Tuple) (any, error) { return &Object{Class: class, Args: args}, nil }
}

// SetState implements [Stateful]: attributes of a dictionary's kin (a state dict's _metadata) belong to no item.
func (d *Dict) SetState(any) error { return nil }

// Sequence is what a list or a tuple has; ok is false for any other value.
func Sequence(v any) (items []any, ok bool) {
	switch v := v.(type) {
	case Tuple:
		return v, true
	case *List:
		return v.Items, true
	}
	return nil, false
}

// Made is a value of a [Vocabulary] that says what it is.
type Made interface{ Kind() string }

// Kind says what a value is, for messages.
func Kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a truth value"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "text"
	case []byte:
		return "bytes"
	case Tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *List:
		return fmt.Sprintf("a list of %d", len(v.Items))
	case *Dict:
		return fmt.Sprintf("a dictionary of %d", len(v.Items))
	case *Set:
		return fmt.Sprintf("a set of %d", len(v.Items))
	case Global:
		return v.String()
	case *Object:
		return "a " + v.Class.String()
	case Made:
		return v.Kind()
	}
	return fmt.Sprintf("a %T", v)
}
