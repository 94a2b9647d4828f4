package fuzz

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"weld/format"
	"weld/format/gguf"
)

// ggufText is a text with its length before it.
func ggufText(s string) string { return string(u64(uint64(len(s)))) + s }

func u64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
func u32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }

// ggufPair is a key with a value of a type.
func ggufPair(key string, valueType uint32, value string) string {
	return ggufText(key) + u32(valueType) + value
}

// ggufTensor describes a tensor: dimensions are in GGUF's order.
func ggufTensor(name string, elementType uint32, begin uint64, dimensions ...uint64) string {
	s := ggufText(name) + u32(uint32(len(dimensions)))
	for _, n := range dimensions {
		s += string(u64(n))
	}
	return s + u32(elementType) + string(u64(begin))
}

// ggufCounted is a file of a version that declares so many keys and tensors.
func ggufCounted(version uint32, tensors, pairs uint64, rest string) []byte {
	return []byte("GGUF" + u32(version) + string(u64(tensors)) + string(u64(pairs)) + rest)
}

// ggufFile is a file of keys and tensors, aligned, with n bytes of data.
func ggufFile(pairs, tensors []string, n int) []byte {
	head := ggufCounted(3, uint64(len(tensors)), uint64(len(pairs)), strings.Join(pairs, "")+strings.Join(tensors, ""))
	return append(head, make([]byte, (32-len(head)%32)%32+n)...)
}

// The numbers of types of values and elements.
const (
	ggufU8, ggufU32, ggufBool, ggufString, ggufArray = 0, 4, 7, 8, 9
	ggufF32, ggufQ4_0, ggufQ4_K                      = 0, 2, 12
)

var (
	ggufArchitecture = ggufPair("general.architecture", ggufString, ggufText("llama"))
	ggufA            = ggufTensor("a", ggufF32, 0, 8)
	ggufGood         = ggufFile([]string{ggufArchitecture}, []string{ggufA}, 32)
)

// ggufOne is a file of one tensor.
func ggufOne(tensor string, n int) []byte { return ggufFile(nil, []string{tensor}, n) }

// ggufTwo is a file of the tensors "a" and "b" of 32 bytes.
func ggufTwo(a, b uint64, n int) []byte {
	return ggufFile(nil, []string{ggufTensor("a", ggufF32, a, 8), ggufTensor("b", ggufF32, b, 8)}, n)
}

// ggufKey is a file of one key.
func ggufKey(pair string) []byte { return ggufFile([]string{pair}, []string{ggufA}, 32) }

// ggufList is an array.
func ggufList(of uint32, n uint64, elements string) string {
	return u32(of) + string(u64(n)) + elements
}

const (
	laxNames   = "names are not looked at"
	laxArrays  = "arrays in arrays are flattened"
	laxLayout  = "tensors may lie anywhere"
	laxTypes   = "not looked at before the value is asked for"
	laxVersion = "it reads both orders of bytes"
)

var malformedGGUF = []specimen{
	// What files begin with.
	{name: "empty", bytes: nil, kind: format.KindTruncated},
	{name: "magic-alone", bytes: []byte("GGUF"), kind: format.KindTruncated},
	{name: "counts-cut", bytes: ggufGood[:23], kind: format.KindTruncated},
	{name: "magic-ggml", bytes: append([]byte("lmgg"), ggufGood[4:]...), kind: format.KindForeign},
	{name: "magic-swapped", bytes: append([]byte("FUGG"), ggufGood[4:]...), kind: format.KindForeign},
	{name: "pointer", bytes: []byte("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12345\n"), kind: format.KindForeign},
	{name: "version-0", bytes: ggufCounted(0, 0, 0, ""), kind: format.KindUnsupported},
	{name: "version-1", bytes: ggufCounted(1, 0, 0, ""), kind: format.KindUnsupported},
	{name: "version-4", bytes: ggufCounted(4, 0, 0, ""), kind: format.KindUnsupported},
	{name: "version-big-endian", bytes: ggufCounted(3<<24, 0, 0, ""), kind: format.KindUnsupported, lax: laxVersion},

	// How many there are.
	{name: "tensors-beyond-file", bytes: ggufCounted(3, 1<<40, 0, ggufA), kind: format.KindTruncated},
	{name: "tensors-sign-bit", bytes: ggufCounted(3, 1<<63, 0, ggufA), kind: format.KindTruncated},
	{name: "tensors-more", bytes: ggufCounted(3, 2, 0, ggufTensor("a", ggufF32, 0, 0)+"\x01\x00\x00"), kind: format.KindTruncated},
	{name: "keys-beyond-file", bytes: ggufCounted(3, 0, 1<<40, ggufArchitecture), kind: format.KindTruncated},
	{name: "keys-sign-bit", bytes: ggufCounted(3, 0, 1<<63, ggufArchitecture), kind: format.KindTruncated},
	{name: "keys-more", bytes: ggufCounted(3, 0, 2, ggufArchitecture), kind: format.KindTruncated},
	{name: "keys-fewer", bytes: ggufCounted(3, 1, 0, ggufArchitecture+ggufA), kind: format.KindShape, tensor: "general.architecture"},

	// Keys.
	{name: "key-empty", bytes: ggufKey(ggufPair("", ggufU8, "x")), kind: format.KindKey},
	{name: "key-beyond-file", bytes: ggufCounted(3, 0, 1, string(u64(1<<20))+"key of another length"), kind: format.KindTruncated},
	{name: "key-length-wraps", bytes: ggufCounted(3, 0, 1, string(u64(1<<64-1))+"key of another length"), kind: format.KindTruncated},
	{name: "key-utf8", bytes: ggufKey(ggufPair("k\xff", ggufU8, "x")), kind: format.KindUTF8},
	{name: "key-twice", bytes: ggufFile([]string{ggufArchitecture, ggufArchitecture}, []string{ggufA}, 32), kind: format.KindDuplicate},

	// Values.
	{name: "value-type", bytes: ggufKey(ggufPair("k", 13, "x")), kind: format.KindType},
	{name: "value-type-large", bytes: ggufKey(ggufPair("k", 1<<31, "x")), kind: format.KindType},
	{name: "value-cut", bytes: ggufCounted(3, 0, 1, ggufPair("k", 12, "1234567")), kind: format.KindTruncated},
	{name: "value-absent", bytes: ggufCounted(3, 0, 1, ggufPair("key", ggufU32, "")), kind: format.KindTruncated},
	{name: "truth-two", bytes: ggufKey(ggufPair("k", ggufBool, "\x02")), kind: format.KindType, lax: laxTypes},
	{name: "text-beyond-file", bytes: ggufKey(ggufPair("k", ggufString, string(u64(1<<50))+"text")), kind: format.KindTruncated},
	{name: "text-length-cut", bytes: ggufCounted(3, 0, 1, ggufPair("k", ggufString, "1234567")), kind: format.KindTruncated},
	{name: "text-length-wraps", bytes: ggufKey(ggufPair("k", ggufString, string(u64(1<<64-8))+"text")), kind: format.KindTruncated},
	{name: "array-of-nothing", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(13, 1, "x"))), kind: format.KindType},
	{name: "array-of-arrays", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(ggufArray, 1, ggufList(ggufU8, 1, "x")))), kind: format.KindType, lax: laxArrays},
	{name: "array-deep", bytes: ggufKey(ggufPair("k", ggufArray, strings.Repeat(ggufList(ggufArray, 1, ""), 1000))), kind: format.KindType},
	{name: "array-beyond-file", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(ggufU32, 1<<40, "1234"))), kind: format.KindTruncated},
	{name: "array-size-wraps", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(10, 1<<61+1, "12345678"))), kind: format.KindTruncated},
	{name: "array-length-wraps", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(ggufU8, 1<<64-1, "x"))), kind: format.KindTruncated},
	{name: "array-texts-beyond-file", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(ggufString, 1<<33, ggufText("x")))), kind: format.KindTruncated},
	{name: "array-text-beyond-file", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(ggufString, 2, ggufText("x")+string(u64(1<<40))))), kind: format.KindTruncated},
	{name: "array-truth-two", bytes: ggufKey(ggufPair("k", ggufArray, ggufList(ggufBool, 3, "\x00\x01\x02"))), kind: format.KindType, lax: laxTypes},
	{name: "array-cut", bytes: ggufCounted(3, 0, 1, ggufPair("k", ggufArray, u32(ggufU8)+"1234567")), kind: format.KindTruncated},

	// The alignment.
	{name: "alignment-zero", bytes: ggufKey(ggufPair("general.alignment", ggufU32, u32(0))), kind: format.KindMetadata},
	{name: "alignment-three", bytes: ggufKey(ggufPair("general.alignment", ggufU32, u32(24))), kind: format.KindMetadata},
	{name: "alignment-four", bytes: ggufKey(ggufPair("general.alignment", ggufU32, u32(4))), kind: format.KindMetadata, lax: "any power of two will do"},
	{name: "alignment-large", bytes: ggufKey(ggufPair("general.alignment", ggufU32, u32(1<<31))), kind: format.KindMetadata},
	{name: "alignment-text", bytes: ggufKey(ggufPair("general.alignment", ggufString, ggufText("32"))), kind: format.KindMetadata},
	{name: "alignment-wide", bytes: ggufKey(ggufPair("general.alignment", 10, string(u64(32)))), kind: format.KindMetadata},

	// Tensors.
	{name: "name-empty", bytes: ggufOne(ggufTensor("", ggufF32, 0, 8), 32), kind: format.KindKey, lax: laxNames},
	{name: "name-utf8", bytes: ggufOne(ggufTensor("a\x80", ggufF32, 0, 8), 32), kind: format.KindUTF8},
	{name: "name-beyond-file", bytes: ggufCounted(3, 1, 0, string(u64(1<<62))+"a name that is not so long"), kind: format.KindTruncated},
	{name: "name-twice", bytes: ggufFile(nil, []string{ggufA, ggufTensor("a", ggufF32, 32, 8)}, 64), kind: format.KindDuplicate, tensor: "a"},
	{name: "dimensions-five", bytes: ggufOne(ggufTensor("a", ggufF32, 0, 1, 1, 1, 1, 8), 32), kind: format.KindShape, tensor: "a"},
	{name: "dimensions-many", bytes: ggufOne(ggufText("a")+u32(1<<31)+string(u64(8))+u32(0)+string(u64(0)), 32), kind: format.KindShape, tensor: "a"},
	{name: "dimension-negative", bytes: ggufOne(ggufTensor("a", ggufF32, 0, 1<<64-8), 32), kind: format.KindShape, tensor: "a"},
	{name: "dimension-cut", bytes: ggufCounted(3, 1, 0, ggufText("a long name")+u32(1)+"1234567"), kind: format.KindTruncated},
	{name: "overflow-elements", bytes: ggufOne(ggufTensor("a", ggufF32, 0, 1<<32, 1<<32), 32), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-elements-then-zero", bytes: ggufOne(ggufTensor("a", ggufF32, 0, 0, 1<<62, 1<<62), 0), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-bytes", bytes: ggufOne(ggufTensor("a", ggufF32, 0, 1<<61), 32), kind: format.KindOverflow, tensor: "a"},
	{name: "overflow-blocks", bytes: ggufOne(ggufTensor("a", ggufQ4_K, 0, 1<<58), 32), kind: format.KindOverflow, tensor: "a"},
	{name: "type-unknown", bytes: ggufOne(ggufTensor("a", 42, 0, 8), 32), kind: format.KindDType, tensor: "a"},
	{name: "type-large", bytes: ggufOne(ggufTensor("a", 1<<32-1, 0, 8), 32), kind: format.KindDType, tensor: "a"},
	{name: "type-gone", bytes: ggufOne(ggufTensor("a", 31, 0, 32), 32), kind: format.KindDType, tensor: "a"},
	{name: "row-part-of-block", bytes: ggufOne(ggufTensor("a", ggufQ4_0, 0, 33), 32), kind: format.KindShape, tensor: "a"},
	{name: "row-part-of-superblock", bytes: ggufOne(ggufTensor("a", ggufQ4_K, 0, 128, 2), 160), kind: format.KindShape, tensor: "a"},
	{name: "block-of-scalar", bytes: ggufOne(ggufTensor("a", ggufQ4_0, 0), 32), kind: format.KindShape, tensor: "a"},
	{name: "offset-sign-bit", bytes: ggufOne(ggufTensor("a", ggufF32, 1<<63, 8), 32), kind: format.KindOffsets, tensor: "a"},
	{name: "offset-cut", bytes: ggufCounted(3, 1, 0, ggufA[:len(ggufA)-1]), kind: format.KindTruncated},

	// Places.
	{name: "gap-first", bytes: ggufOne(ggufTensor("a", ggufF32, 32, 8), 64), kind: format.KindGap, tensor: "a", lax: laxLayout},
	{name: "gap-between", bytes: ggufTwo(0, 64, 96), kind: format.KindGap, tensor: "b", lax: laxLayout},
	{name: "gap-last", bytes: append(ggufGood, 0), kind: format.KindGap, lax: laxLayout},
	{name: "gap-no-tensors", bytes: ggufFile([]string{ggufArchitecture}, nil, 1), kind: format.KindGap, lax: laxLayout},
	{name: "overlap-same", bytes: ggufTwo(0, 0, 32), kind: format.KindOverlap, tensor: "b", lax: laxLayout},
	{name: "overlap-unaligned", bytes: ggufTwo(0, 16, 64), kind: format.KindOverlap, tensor: "b", lax: laxLayout},
	{name: "overlap-padding", bytes: ggufFile(nil, []string{ggufTensor("a", ggufF32, 0, 1), ggufTensor("b", ggufF32, 4, 1)}, 32), kind: format.KindOverlap, tensor: "b", lax: laxLayout},
	{name: "order", bytes: ggufTwo(32, 0, 64), kind: format.KindGap, tensor: "a", lax: laxLayout},
	{name: "offset-unaligned", bytes: ggufTwo(0, 33, 80), kind: format.KindGap, tensor: "b", lax: laxLayout},
	{name: "data-absent", bytes: ggufFile(nil, []string{ggufA}, 0), kind: format.KindTruncated, tensor: "a"},
	{name: "data-cut", bytes: ggufGood[:len(ggufGood)-1], kind: format.KindTruncated, tensor: "a"},
	{name: "data-before-start", bytes: ggufCounted(3, 1, 0, ggufA), kind: format.KindTruncated, tensor: "a"},
	{name: "data-of-nothing-before-start", bytes: ggufCounted(3, 1, 0, ggufTensor("a", ggufF32, 0, 0)), kind: format.KindTruncated, tensor: "a"},
	{name: "data-beyond-any-file", bytes: ggufOne(ggufTensor("a", ggufF32, 0, 1<<58), 32), kind: format.KindTruncated, tensor: "a"},
}

// FuzzGGUFHeader reads arbitrary files. Whatever is accepted lists tensors that lie one behind the other inside of the file, and values
// that can be shown.
func FuzzGGUFHeader(f *testing.F) {
	for _, file := range seeds(f, "gguf") {
		f.Add(file)
	}
	f.Add(ggufGood)
	f.Add(ggufCounted(2, 0, 0, ""))
	for t := range uint32(48) {
		f.Add(ggufOne(ggufTensor("a", t, 0, 256, 2), 512*4))
	}
	for t := range uint32(13) {
		f.Add(ggufKey(ggufPair("k", t, "\x01\x00\x00\x00\x00\x00\x00\x00\x00")))
		f.Add(ggufKey(ggufPair("k", ggufArray, ggufList(t, 9, strings.Repeat("\x01\x00\x00\x00\x00\x00\x00\x00x", 9)))))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		h, err := gguf.ReadHeader("f.gguf", bytes.NewReader(input), int64(len(input)))
		if err != nil {
			checkFault(t, err, "f.gguf")
			return
		}
		end, names := h.DataStart, make(map[string]bool)
		for _, e := range h.Tensors {
			begin := h.DataStart + e.Begin
			if begin < end || begin%h.Alignment != 0 || begin+e.Bytes() > int64(len(input)) || names[e.Name] {
				t.Fatalf("%+v begins where it should not, or has another's name", e)
			}
			end, names[e.Name] = begin+e.Bytes(), true
		}
		for _, p := range h.Pairs {
			if text := fmt.Sprint(p.Value); len(text) > 4<<10 || p.Begin+p.Size > h.DataStart {
				t.Fatalf("%q is shown as %q", p.Key, text)
			}
		}
		if len(input) > 24 && h.DataStart <= int64(len(input)) && h.Digest == sha256.Sum256(nil) {
			t.Fatal("no digest")
		}
	})
}
