package fuzz

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"

	"weld/format"
	"weld/format/safetensors"
)

// FuzzSafetensorsHeader reads arbitrary files, and arbitrary JSON before data of
// any length. Whatever is accepted is printed, and must read and print the same again.
func FuzzSafetensorsHeader(f *testing.F) {
	for _, file := range seeds(f, "safetensors") {
		f.Add(file, uint32(4))
		if len(file) > 8 {
			f.Add(file[8:], uint32(4))
		}
	}
	for _, seed := range []struct {
		header string
		data   uint32
	}{
		{`{}`, 0},
		{good, 4},
		{`{"__metadata__":{"format":"pt","\u00e9\ud83d\ude00":"\"\\\n\u0001"},` + bytesOf("a", 0, 4) + `}`, 4},
		{`{"a":{"shape":[],"data_offsets":[0,8],"dtype":"I64"},"z":{"dtype":"F4","shape":[0,3],"data_offsets":[8,8]},` +
			`"y":{"dtype":"F6_E2M3","shape":[8],"data_offsets":[8,14]}}`, 14},
		{" {" + bytesOf("b", 4, 7) + " , " + bytesOf("a", 0, 4) + "}\n\t ", 7},
	} {
		if _, err := safetensors.ParseHeader("f.safetensors", []byte(seed.header), 8+int64(len(seed.header))+int64(seed.data)); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(seed.header), seed.data)
		f.Add(file(seed.header, int(seed.data)), seed.data)
	}
	f.Fuzz(func(t *testing.T, input []byte, data uint32) {
		h, err := safetensors.ReadHeader("f.safetensors", bytes.NewReader(input), int64(len(input)))
		checkHeader(t, h, err, int64(len(input)))

		size := 8 + int64(len(input)) + int64(data)
		h, err = safetensors.ParseHeader("f.safetensors", input, size)
		checkHeader(t, h, err, size)
		if err == nil && !(json.Valid(input) && utf8.Valid(input)) {
			t.Errorf("accepted what is no JSON: %q", input)
		}
	})
}

// checkHeader checks what a file of the given size was read as.
func checkHeader(t *testing.T, h *safetensors.Header, err error, size int64) {
	t.Helper()
	if err != nil {
		checkFault(t, err, "f.safetensors")
		return
	}
	end := h.DataStart
	names := make(map[string]bool)
	for _, e := range h.Tensors {
		if h.DataStart+e.Begin != end || e.End-e.Begin != e.Bytes() || names[e.Name] {
			t.Fatalf("%+v begins where it should not, or has a wrong size, or another's name", e)
		}
		end += e.Bytes()
		names[e.Name] = true
	}
	if end != size {
		t.Fatalf("the tensors end at %d of %d bytes", end, size)
	}

	printed := h.Append(nil)
	if len(printed)%8 != 0 {
		t.Fatalf("printed %d bytes", len(printed))
	}
	again, err := safetensors.ParseHeader("f.safetensors", printed, size-h.DataStart+8+int64(len(printed)))
	if err != nil {
		t.Fatalf("%v in %s", err, printed)
	}
	if !reflect.DeepEqual(again.Tensors, h.Tensors) || !reflect.DeepEqual(again.Metadata, h.Metadata) {
		t.Fatalf("read %+v, printed and read again %+v", h, again)
	}
	if twice := again.Append(nil); !bytes.Equal(twice, printed) {
		t.Fatalf("printed %s, then %s", printed, twice)
	}
}

// checkFault demands an error of the data that says which file and what.
func checkFault(t *testing.T, err error, path string) {
	t.Helper()
	var fault *format.Error
	if !errors.As(err, &fault) || fault.Path != path || fault.Kind == "" || fault.Detail == "" {
		t.Fatalf("got %#v", err)
	}
	if !utf8.ValidString(err.Error()) {
		t.Fatalf("the error is not UTF-8: %q", err)
	}
}
