package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

// spoilt has the splits of a model in a folder, changed by name: "" removes a file.
func spoilt(t *testing.T, change func(name string, data []byte) (string, []byte)) string {
	t.Helper()
	dir := t.TempDir()
	for k := range 3 {
		name := fmt.Sprintf("split-%05d-of-00003.gguf", k+1)
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if name, data = change(name, data); name == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// number changes the number of a key, whose type has so many bytes.
func number(data []byte, key string, n uint64, size int) []byte {
	at := bytes.Index(data, []byte(key)) + len(key) + 4
	copy(data[at:at+size], binary.LittleEndian.AppendUint64(nil, n))
	return data
}

// Splits that are not all of one model are refused, and the message says which and why.
func TestSplitsThatDoNotFit(t *testing.T) {
	const first, second = "split-00001-of-00003.gguf", "split-00002-of-00003.gguf"
	for says, c := range map[string]struct {
		kind   format.Kind
		open   string
		change func(name string, data []byte) (string, []byte)
	}{
		"split 2 of 3 is not there": {format.KindMissing, first, func(name string, data []byte) (string, []byte) {
			if name == second {
				name = ""
			}
			return name, data
		}},
		"split.no is 2, and 1 was expected": {format.KindIndex, first, func(name string, data []byte) (string, []byte) {
			if name == second {
				data = number(data, splitNumber, 2, 2)
			}
			return name, data
		}},
		"split.count is 4, and 3 was expected": {format.KindIndex, first, func(name string, data []byte) (string, []byte) {
			if name == second {
				data = number(data, splitCount, 4, 2)
			}
			return name, data
		}},
		"it is named as one of 3 splits, and split.count is 2": {format.KindIndex, first, func(name string, data []byte) (string, []byte) {
			return name, number(data, splitCount, 2, 2)
		}},
		"split.tensors.count is 6, and 5 was expected": {format.KindIndex, first, func(name string, data []byte) (string, []byte) {
			if name == second {
				data = number(data, splitTensors, 6, 4)
			}
			return name, data
		}},
		"it is one of 3 splits, and the others are found by names that end with -00001-of-00003.gguf": {format.KindShardName, "model.gguf", func(_ string, data []byte) (string, []byte) {
			return "model.gguf", data
		}},
		"it is named as one of several splits, and has no split.count": {format.KindKey, second, func(name string, data []byte) (string, []byte) {
			return name, bytes.Replace(data, []byte(splitCount), []byte("split.Count"), 1)
		}},
		"split-00002-of-00003.gguf: tensor \"blk.0.weight\": it is also in ": {format.KindDuplicate, first, func(name string, data []byte) (string, []byte) {
			return name, bytes.Replace(data, []byte("blk.2"), []byte("blk.0"), 1)
		}},
	} {
		dir := spoilt(t, c.change)
		_, err := Open(filepath.Join(dir, c.open))
		if format.KindOf(err) != c.kind || !strings.Contains(err.Error(), says) {
			t.Errorf("%v (%q), want %s", err, format.KindOf(err), says)
		}
	}
}

// Texts and keys may be longer than the window that a header is read through.
func TestLongHeader(t *testing.T) {
	text := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	key, long := strings.Repeat("k", mostName), strings.Repeat("ä", windowBytes)
	file := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), 0), 3)
	file = text(binary.LittleEndian.AppendUint32(text(file, key), uint32(String)), long)
	file = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(text(file, "a"), uint32(Array)), uint32(String))
	file = binary.LittleEndian.AppendUint64(file, 5000)
	for range 5000 {
		file = text(file, long[:60])
	}
	file = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(text(file, "b"), uint32(Array)), uint32(Uint16))
	file = append(binary.LittleEndian.AppendUint64(file, 100_000), make([]byte, 200_000)...)
	h, err := ReadHeader("x.gguf", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{key: "(131072 bytes)", "a": "(5000 of string)", "b": "[0, 0, 0, 0, … (100000 of uint16)]"} {
		v, _ := h.Value(key)
		if got := v.String(); !strings.Contains(got, want) || len(v.Head) > keptText || v.Begin+v.Size > int64(len(file)) {
			t.Errorf("%q holds %d", got, len(v.Head))
		}
	}
	_, err = ReadHeader("x.gguf", bytes.NewReader(text(file[:24:24], key+"k")), int64(len(file)))
	if format.KindOf(err) != format.KindKey && format.KindOf(err) != format.KindTruncated {
		t.Error(err)
	}
}
