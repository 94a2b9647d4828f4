package packed

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"weld/format"
	"weld/format/planes"
)

func TestRecordRoundTrip(t *testing.T) {
	for _, r := range []record{
		{tag: tagData, payload: 5, offset: 1 << 40, content: 7, elem: elementCodes[format.BF16], coding: planes.Split, sum: 9},
		{tag: tagData, payload: planes.MaxContent + planes.Slack, content: planes.MaxContent, elem: opaque},
		{tag: tagFile, payload: 3, offset: 8, sum: 1},
		{tag: tag{'B', 'A', 'S', 'E'}},
	} {
		var head [recordSize]byte
		r.put(head[:])
		if got, fault := parseRecord(head[:]); fault != "" || got != r {
			t.Errorf("%+v, %q; want %+v", got, fault, r)
		}
		for i := range head {
			damaged := head
			damaged[i] ^= 0x10
			if _, fault := parseRecord(damaged[:]); fault == "" {
				t.Errorf("byte %d may be any", i)
			}
		}
	}
}

// TestRecordRefused changes one field each, under a checksum that is right.
func TestRecordRefused(t *testing.T) {
	le := binary.LittleEndian
	for name, change := range map[string]func(h []byte){
		"reserved byte 22":           func(h []byte) { h[22] = 1 },
		"reserved byte 23":           func(h []byte) { h[23] = 1 },
		"an offset beyond 63 bits":   func(h []byte) { h[15] = 0x80 },
		"a block of nothing":         func(h []byte) { le.PutUint32(h[16:], 0) },
		"a block that is too large":  func(h []byte) { le.PutUint32(h[16:], planes.MaxContent+1) },
		"a payload that is too long": func(h []byte) { le.PutUint32(h[4:], 100+planes.Slack+1) },
		"an unknown type":            func(h []byte) { h[20] = 99 },
		"a file with content":        func(h []byte) { copy(h, tagFile[:]); h[20], h[21] = 0, 0 },
		"a file with a type":         func(h []byte) { copy(h, tagFile[:]); le.PutUint32(h[16:], 0); h[21] = 0 },
		"a file with a coding":       func(h []byte) { copy(h, tagFile[:]); le.PutUint32(h[16:], 0); h[20] = 0 },
	} {
		var h [recordSize]byte
		record{tag: tagData, payload: 100 + planes.Slack, content: 100, elem: elementCodes[format.F32], coding: planes.Split}.put(h[:])
		if _, fault := parseRecord(h[:]); fault != "" {
			t.Fatal(fault)
		}
		change(h[:])
		le.PutUint32(h[28:], crc32.ChecksumIEEE(h[:28]))
		if _, fault := parseRecord(h[:]); fault == "" {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestHeader(t *testing.T) {
	for _, want := range []header{{Pack, false}, {Pack, true}, {Patch, false}} {
		v := uint16(version)
		if want.repeats {
			v = versionRepeats
		}
		raw := appendHeader(nil, want.kind, v)
		if got, err := parseHeader("x", raw); err != nil || got != want || len(raw) != headerSize {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if MayRepeat(raw) != want.repeats {
			t.Errorf("%+v: MayRepeat is %v", want, !want.repeats)
		}
		for i := range raw {
			damaged := bytes.Clone(raw)
			damaged[i] ^= 0x40
			if _, err := parseHeader("x", damaged); format.KindOf(err) != format.KindUnsupported {
				t.Errorf("byte %d may be any: %v", i, err)
			}
		}
	}
	for says, raw := range map[string][]byte{
		"version 0 of the format": appendHeader(nil, Pack, 0), "version 3 of the format": appendHeader(nil, Pack, 3), "but kind 3": appendHeader(nil, 3, version), "but kind 0": appendHeader(nil, 0, version),
	} {
		_, err := parseHeader("x", raw)
		kindAnd(t, says, err, format.KindUnsupported, says)
	}
	if h, err := parseHeader("x", appendHeader(nil, Patch, versionRepeats)); err != nil || h.repeats {
		t.Errorf("the blocks of a patch may repeat others: %v", err)
	}
}

// TestElementCodes: every type has a code of its own, which is its own again.
func TestElementCodes(t *testing.T) {
	seen := map[byte]format.DType{opaque: format.Invalid}
	for _, d := range format.DTypes() {
		code := ElementCode(d)
		if other, taken := seen[code]; taken {
			t.Errorf("%v has the code of %v", d, other)
		}
		seen[code] = d
		if got, known := ElementType(code); got != d || !known {
			t.Errorf("%v becomes %v", d, got)
		}
	}
	if d, known := ElementType(opaque); d != format.Invalid || !known {
		t.Error("bytes that are no elements have a type")
	}
	if _, known := ElementType(200); known {
		t.Error("code 200 is known")
	}
}
