package format

import (
	"strings"
	"testing"
)

// TestForeign recognises what people have in place of a file of weights, by its first bytes.
func TestForeign(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 4976698672\n"
	for head, says := range map[string]string{
		pointer:                                   "a pointer of Git LFS; the file itself (4976698672 bytes) has not been fetched: run git lfs pull",
		"# xet version 0\nfilesize = 12\n":        "a pointer of git-xet",
		"<!DOCTYPE html>\n<html>":                 "a page of a web site",
		"\ufeff \n<HTML lang=de>":                 "a page of a web site",
		"<?xml version=\"1.0\"?><Error>":          "a page of a web site",
		`{"error":"Repository not found"}`:        `a server's answer, "{\"error\":\"Repository not found\"}"`,
		`{"message":"Bad credentials"}`:           "a server's answer",
		"Entry not found":                         `15 bytes of text, "Entry not found": what a server answered`,
		"Invalid username or password.\n":         "30 bytes of text",
		"PK\x03\x04\x00\x00archive/data.pklFB":    "a zip file as torch.save writes it",
		"PK\x03\x04\x00\x00model.safetensors":     "a zip archive; unpack it",
		"\x80\x02\x8a\nl\xfc":                     "a Python pickle",
		"\x1f\x8b\x08\x00":                        "gunzip",
		"\xfd7zXZ\x00\x00":                        "unxz",
		"BZh91AY":                                 "bunzip2",
		"\x28\xb5\x2f\xfd\x00":                    "zstd -d",
		"7z\xbc\xaf\x27\x1c\x00":                  "a 7z archive",
		"GGUF\x03\x00\x00\x00":                    "a GGUF file",
		"\x89HDF\r\n\x1a\n":                       "an HDF5 file",
		"\x93NUMPY\x01\x00":                       "an array of numpy",
		strings.Repeat("\x00", 257) + "ustar\x00": "a tar archive",
		"\x89WELD\r\n\x1a\x01\x00\x01\x00":        "a pack, whatever its name says",
		"\x89WELD\r\n\x1a\x01\x00\x02\x00":        "weld apply BASE PATCH OUT",
		"\x02\x00\x00\x00\x00\x00\x00\x00{}":      "a safetensors file",

		"":                        "",
		"12345678":                "",
		`{"a":1}` + "\x00":        "",
		"\x00\x00\x00":            "",
		"abc\x1b[31mdef":          "",
		"\x40\x00\x00\x00{\"a\":": "",
		"\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":": "", // cut short
		"version https://example/":                "24 bytes of text",
	} {
		got := Foreign([]byte(head), int64(len(head)))
		if says == "" && got != "" || !strings.Contains(got, says) {
			t.Errorf("%q: %q, want %q", head, got, says)
		}
	}
	if got := Foreign([]byte("Entry not found"), 1<<20); got != "" {
		t.Errorf("the beginning of a large file is taken for all of it: %q", got)
	}
	if Pointer([]byte(pointer)) == "" || Pointer([]byte("<html>")) != "" {
		t.Error("a pointer is a pointer, a page is none")
	}
}
