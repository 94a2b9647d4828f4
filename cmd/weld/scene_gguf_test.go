package main

import (
	"bytes"
	le "encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// ggufFile FILE [key=TEXT …] [key=@INTEGER …] [key=~NUMBER …] [name:type:shape:NUMBER …] writes a GGUF file: integers have 32 bits, numbers are of float32. A shape is 4x8, rows first; all values of a tensor are the number. The
// types are F32, Q4_0, Q8_0, Q4_K (from 0 to 15), Q6_K, and Q2_K and IQ2_XXS, which have zeros.
func ggufFile(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "gguf FILE [key=TEXT …] [name:type:shape:NUMBER …]")
	var pairs, tensors, data []byte
	keys, count := 0, 0
	text := func(to []byte, s string) []byte {
		return append(le.LittleEndian.AppendUint64(to, uint64(len(s))), s...)
	}
	for _, arg := range args[1:] {
		fields := strings.Split(arg, ":")
		if key, value, ok := strings.Cut(arg, "="); ok {
			pairs = text(pairs, key)
			switch rest := value[min(1, len(value)):]; {
			case strings.HasPrefix(value, "@"):
				pairs = le.LittleEndian.AppendUint32(le.LittleEndian.AppendUint32(pairs, 4), uint32(number(ts, rest)))
			case strings.HasPrefix(value, "~"):
				x, err := strconv.ParseFloat(rest, 32)
				ts.Check(err)
				pairs = le.LittleEndian.AppendUint32(le.LittleEndian.AppendUint32(pairs, 6), math.Float32bits(float32(x)))
			default:
				pairs = text(le.LittleEndian.AppendUint32(pairs, 8), value)
			}
			keys++
			continue
		}
		if len(fields) != 4 {
			ts.Fatalf("%q is no tensor", arg)
		}
		dims := strings.Split(fields[2], "x")
		elements := 1
		tensors = le.LittleEndian.AppendUint32(text(tensors, fields[0]), uint32(len(dims)))
		for i := len(dims) - 1; i >= 0; i-- {
			n := number(ts, dims[i])
			elements *= n
			tensors = le.LittleEndian.AppendUint64(tensors, uint64(n))
		}
		kind, block := ggufBlock(ts, fields[1], float32(number(ts, fields[3])))
		tensors = le.LittleEndian.AppendUint64(le.LittleEndian.AppendUint32(tensors, kind.number), uint64(len(data)))
		data = append(data, bytes.Repeat(block, elements/kind.elements)...)
		data = append(data, make([]byte, -len(data)&31)...)
		count++
	}
	file := append([]byte("GGUF\x03\x00\x00\x00"), le.LittleEndian.AppendUint64(le.LittleEndian.AppendUint64(nil, uint64(count)), uint64(keys))...)
	file = append(append(file, pairs...), tensors...)
	file = append(append(file, make([]byte, -len(file)&31)...), data...)
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
	ts.Check(os.WriteFile(path, file, 0o666))
}

type ggufKind struct {
	number   uint32
	elements int
}

// ggufBlock is a block of equal values, by ggml's layouts.
func ggufBlock(ts *testscript.TestScript, name string, value float32) (ggufKind, []byte) {
	const one = "\x00\x3c" // in binary16
	code := int8(value)
	switch name {
	case "F32":
		return ggufKind{0, 1}, le.LittleEndian.AppendUint32(nil, math.Float32bits(value))
	case "Q4_0":
		return ggufKind{2, 32}, append([]byte(one), bytes.Repeat([]byte{byte(code+8) * 17}, 16)...)
	case "Q8_0":
		return ggufKind{8, 32}, append([]byte(one), bytes.Repeat([]byte{byte(code)}, 32)...)
	case "Q2_K":
		return ggufKind{10, 256}, make([]byte, 84)
	case "Q4_K": // scales of 1, no offsets
		return ggufKind{12, 256}, append([]byte(one+"\x00\x00\x01\x01\x01\x01\x00\x00\x00\x00\x01\x01\x01\x01"), bytes.Repeat([]byte{byte(code) * 17}, 128)...)
	case "Q6_K":
		q := byte(code + 32)
		block := append(bytes.Repeat([]byte{q & 15 * 17}, 128), bytes.Repeat([]byte{q >> 4 * 0x55}, 64)...)
		return ggufKind{14, 256}, append(append(block, bytes.Repeat([]byte{1}, 16)...), one...)
	case "IQ2_XXS":
		return ggufKind{16, 256}, make([]byte, 66)
	}
	ts.Fatalf("%q is no type of the scene's", name)
	return ggufKind{}, nil
}
