package torchsave

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// What follows are parts of a pickle of protocol 2, each of which puts one value on its stack.

// Text is a string.
func Text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// Int is a number.
func Int(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

// Ints is a tuple of numbers.
func Ints(list ...int64) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = Int(n)
	}
	return Tuple(parts...)
}

// Tuple is a tuple of values.
func Tuple(values ...string) string { return "(" + strings.Join(values, "") + "t" }

// Dict is a dictionary of keys and values that follow each other.
func Dict(items ...string) string { return "}(" + strings.Join(items, "") + "u" }

// Name is a global name.
func Name(module, name string) string { return "c" + module + "\n" + name + "\n" }

// Call is what a function makes of a tuple.
func Call(function, arguments string) string { return function + arguments + "R" }

// Storage is a storage of so many elements, of a class of torch such as FloatStorage.
func Storage(class, key string, elements int64) string {
	return Tuple(Text("storage"), Name("torch", class), Text(key), Text("cpu"), Int(elements)) + "Q"
}

// Tensor is a view of a storage.
func Tensor(storage string, offset int64, shape, strides []int64) string {
	hooks := Call(Name("collections", "OrderedDict"), Tuple())
	return Call(Name("torch._utils", "_rebuild_tensor_v2"), Tuple(storage, Int(offset), Ints(shape...), Ints(strides...), "\x89", hooks))
}

// Pickle is a whole pickle of one value.
func Pickle(value string) []byte { return []byte("\x80\x02" + value + ".") }

// Plain is a tensor of a state dict, with a storage of its own.
type Plain struct {
	Name  string
	Class string // of the storage
	Width int64  // of an element, in bytes
	Shape []int64
	Data  []byte
}

// File is a state dict as torch.save writes it. Its keys lead to it from what was saved, if there are any.
func File(tensors []Plain, keys ...string) []byte {
	var items []string
	entries := []Entry{{"byteorder", []byte("little")}}
	for i, t := range tensors {
		strides := make([]int64, len(t.Shape))
		step := int64(1)
		for d := len(t.Shape) - 1; d >= 0; d-- {
			strides[d] = step
			step *= t.Shape[d]
		}
		key := strconv.Itoa(i)
		items = append(items, Text(t.Name), Tensor(Storage(t.Class, key, int64(len(t.Data))/t.Width), 0, t.Shape, strides))
		entries = append(entries, Entry{"data/" + key, t.Data})
	}
	value := Dict(items...)
	for i := len(keys) - 1; i >= 0; i-- {
		value = Dict(Text(keys[i]), value)
	}
	return Archive("archive", false, append([]Entry{{"data.pkl", Pickle(value)}}, append(entries, Entry{"version", []byte("3\n")})...)...)
}
