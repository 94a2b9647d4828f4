package torch

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/format/pickle"
)

// This file has what torch's functions make that pickles of tensors call. Source: torch/_utils.py, torch/_tensor.py of torch 2.15.

// oddBuilders make tensors that are not plain dense ones.
var oddBuilders = map[pickle.Global]string{
	{Module: "torch._utils", Name: "_rebuild_qtensor"}:                       "a quantised tensor",
	{Module: "torch._utils", Name: "_rebuild_sparse_tensor"}:                 "a sparse tensor",
	{Module: "torch._utils", Name: "_rebuild_sparse_csr_tensor"}:             "a sparse tensor",
	{Module: "torch._utils", Name: "_rebuild_nested_tensor"}:                 "a nested tensor",
	{Module: "torch._utils", Name: "_rebuild_meta_tensor_no_storage"}:        "a tensor of the device meta, which has no values",
	{Module: "torch._utils", Name: "_rebuild_device_tensor_from_numpy"}:      "a tensor of a device that stores it as a numpy array",
	{Module: "torch._utils", Name: "_rebuild_device_tensor_from_cpu_tensor"}: "a tensor of a device that stores it as another",
	{Module: "torch._utils", Name: "_rebuild_wrapper_subclass"}:              "a tensor of another class",
}

// builders are the functions that make tensors and what belongs to them; v is the vocabulary that they become part of.
func builders(v pickle.Vocabulary) pickle.Vocabulary {
	utils := func(name string) pickle.Global { return pickle.Global{Module: "torch._utils", Name: name} }
	own := pickle.Vocabulary{
		utils("_rebuild_tensor"):                              rebuild(4, 4),
		utils("_rebuild_tensor_v2"):                           rebuild(6, 7),
		utils("_rebuild_tensor_v3"):                           rebuild(7, 8),
		utils("_rebuild_parameter"):                           parameter(2, 3),
		utils("_rebuild_parameter_with_state"):                parameter(4, 4),
		{Module: "torch", Name: "Size"}:                       size,
		{Module: "torch.serialization", Name: "_get_layout"}:  text,
		{Module: "torch.torch_version", Name: "TorchVersion"}: text,
	}
	typed := func(args pickle.Tuple) (any, error) { return ofType(v, args) }
	own[pickle.Global{Module: "torch._tensor", Name: "_rebuild_from_type_v2"}] = typed
	own[pickle.Global{Module: "torch._tensor", Name: "_rebuild_from_type"}] = typed
	for g, what := range oddBuilders {
		own[g] = func(pickle.Tuple) (any, error) { return odd(format.KindUnsupported, "%s (%s)", what, g), nil }
	}
	return own
}

// count refuses a call with another number of arguments.
func count(args pickle.Tuple, least, most int) error {
	if len(args) < least || len(args) > most {
		return fmt.Errorf("%d arguments", len(args))
	}
	return nil
}

// rebuild makes a tensor of (storage, offset, shape, strides[, requires_grad, hooks[, dtype][, metadata]]): a dtype where there are
// at least seven.
func rebuild(least, most int) pickle.Call {
	return func(args pickle.Tuple) (any, error) {
		if err := count(args, least, most); err != nil {
			return nil, err
		}
		storage, ok := args[0].(*Storage)
		if !ok {
			return nil, fmt.Errorf("a tensor of %s", pickle.Kind(args[0]))
		}
		offset, ok := args[1].(int64)
		if !ok || offset < 0 {
			return nil, fmt.Errorf("a tensor that begins at %s", pickle.Kind(args[1]))
		}
		shape, err := Sizes(args[2])
		if err != nil {
			return nil, err
		}
		strides, err := Sizes(args[3])
		if err != nil {
			return nil, err
		}
		if len(shape) != len(strides) || len(shape) > format.MaxRank {
			return nil, fmt.Errorf("%d dimensions with %d strides", len(shape), len(strides))
		}
		t := &Tensor{Storage: storage, DType: storage.DType, Offset: offset, Shape: shape, Strides: strides}
		return t, t.complete(args, least)
	}
}

// complete takes a tensor's type, and what is odd about it.
func (t *Tensor) complete(args pickle.Tuple, least int) error {
	name := storageClasses[t.Storage.class.Name]
	if least == 7 {
		d, own, ok := DTypeOf(args[6])
		if !ok {
			return fmt.Errorf("%s as a dtype", pickle.Kind(args[6]))
		}
		t.DType, name = d, own
	} else if t.Storage.isUntyped() {
		return fmt.Errorf("a tensor of a storage without a type")
	}
	switch {
	case t.DType == format.Invalid:
		t.odd = &oddity{fmt.Sprintf("a tensor of torch.%s, a type that safetensors does not have either", name), format.KindDType}
	case t.DType == format.F4 && (len(t.Shape) == 0 || !t.inRow()):
		t.odd = &oddity{"a view of torch.float4_e2m1fn_x2, whose elements are pairs", format.KindUnsupported}
	case t.Storage.Device == "meta":
		t.odd = &oddity{"a tensor of the device meta, which has no values", format.KindUnsupported}
	}
	if len(args) > 6 && len(args) > least {
		return t.bits(args[len(args)-1])
	}
	return nil
}

// bits looks at a tensor's metadata: bits that say that values are to be conjugated or negated when they are looked at.
func (t *Tensor) bits(metadata any) error {
	switch m := metadata.(type) {
	case nil:
		return nil
	case *pickle.Dict:
		if len(m.Items) > 0 {
			t.odd = &oddity{"a tensor whose values are to be conjugated or negated when they are read", format.KindUnsupported}
		}
		return nil
	}
	return fmt.Errorf("%s as metadata", pickle.Kind(metadata))
}

// parameter is the tensor of (tensor, requires_grad, hooks[, attributes]).
func parameter(least, most int) pickle.Call {
	return func(args pickle.Tuple) (any, error) {
		if err := count(args, least, most); err != nil {
			return nil, err
		}
		t, ok := args[0].(*Tensor)
		if !ok {
			return nil, fmt.Errorf("a parameter of %s", pickle.Kind(args[0]))
		}
		return t, nil
	}
}

// ofType is the tensor of (function, class, arguments, attributes): one with attributes, or of a class of its own.
func ofType(v pickle.Vocabulary, args pickle.Tuple) (any, error) {
	if err := count(args, 4, 4); err != nil {
		return nil, err
	}
	function, isName := args[0].(pickle.Global)
	class, isClass := args[1].(pickle.Global)
	of, isTuple := args[2].(pickle.Tuple)
	if !isName || !isClass || !isTuple {
		return nil, fmt.Errorf("a call of %s for %s with %s", pickle.Kind(args[0]), pickle.Kind(args[1]), pickle.Kind(args[2]))
	}
	if function.Module != "torch._utils" || v[function] == nil { // of those, none calls another
		return nil, fmt.Errorf("a tensor made by %s", function)
	}
	made, err := v[function](of)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", function, err)
	}
	if !slices.Contains(plainClasses, class) {
		return odd(format.KindUnsupported, "a tensor of the class %s", class), nil
	}
	return made, nil
}

// size is a torch.Size, a tuple.
func size(args pickle.Tuple) (any, error) {
	if len(args) == 0 {
		return pickle.Tuple{}, nil
	}
	list, err := Sizes(args[0])
	if err != nil {
		return nil, err
	}
	t := make(pickle.Tuple, len(list))
	for i, n := range list {
		t[i] = n
	}
	return t, nil
}

// text is what is a string in Python, by another class.
func text(args pickle.Tuple) (any, error) {
	if len(args) == 1 {
		if s, ok := args[0].(string); ok {
			return s, nil
		}
	}
	return nil, fmt.Errorf("text made of %d arguments", len(args))
}
