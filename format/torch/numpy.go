package torch

import (
	"encoding/binary"
	"fmt"
	"math"

	"weld/format/pickle"
)

// addNumpy adds what numbers and arrays of numpy are made of, under the names of versions 1 and 2.
func addNumpy(v pickle.Vocabulary) {
	v[pickle.Global{Module: "numpy", Name: "ndarray"}] = nil
	class := pickle.Global{Module: "numpy", Name: "dtype"}
	v[class] = pickle.Instance(class)
	array := func(pickle.Tuple) (any, error) { return new(Array), nil }
	for _, core := range []string{"numpy.core", "numpy._core"} {
		scalar := pickle.Global{Module: core + ".multiarray", Name: "scalar"}
		v[scalar] = scalarOf(scalar)
		v[pickle.Global{Module: core + ".multiarray", Name: "_reconstruct"}] = array
		v[pickle.Global{Module: core + ".numeric", Name: "_frombuffer"}] = func(args pickle.Tuple) (any, error) { // bytes, dtype, shape, order
			if len(args) < 3 {
				return nil, fmt.Errorf("%d arguments", len(args))
			}
			shape, err := Sizes(args[2])
			return &Array{shape}, err
		}
	}
}

// scalarOf is a number of numpy, from its type and its bytes: what Go has for it, or the object as it is described.
func scalarOf(class pickle.Global) pickle.Call {
	return func(args pickle.Tuple) (any, error) {
		described := &pickle.Object{Class: class, Args: args}
		if len(args) != 2 {
			return described, nil
		}
		d, isType := args[0].(*pickle.Object)
		b, isBytes := args[1].([]byte)
		if !isType || !isBytes || len(d.Args) == 0 {
			return described, nil
		}
		if state, ok := d.State.(pickle.Tuple); ok && len(state) > 1 && state[1] == ">" {
			return described, nil
		}
		code, _ := d.Args[0].(string)
		if v, ok := decoded(code, b); ok {
			return v, nil
		}
		return described, nil
	}
}

// decoded is a number from its bytes in little endian.
func decoded(code string, b []byte) (v any, ok bool) {
	var all [8]byte
	copy(all[:], b)
	bits := binary.LittleEndian.Uint64(all[:])
	switch fmt.Sprint(code, len(b)) {
	case "f88":
		return math.Float64frombits(bits), true
	case "f44":
		return float64(math.Float32frombits(uint32(bits))), true
	case "i88":
		return int64(bits), true
	case "i44":
		return int64(int32(bits)), true
	case "b11":
		return bits != 0, true
	}
	return nil, false
}
