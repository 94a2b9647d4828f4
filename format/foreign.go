package format

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ForeignHead is how many bytes of a file [Foreign] needs to see.
const ForeignHead = 1 << 10

// Foreign says what a file is, and what to do about it, if it is one of those that people have in place of
// the file that they want: what a download left that failed or was never made, or another format under
// the name. head is what the file begins with. It is "" for anything else.
func Foreign(head []byte, size int64) string {
	for _, f := range foreign {
		if f.is(head) {
			return f.what(head)
		}
	}
	if safetensors(head, size) {
		return "a safetensors file, whatever its name says; weld reads it under a name that ends with .safetensors"
	}
	if size > 0 && size <= ForeignHead && int64(len(head)) == size && text(head) {
		return fmt.Sprintf("%d bytes of text, %s: what a server answered in place of the file; download it again", size, firstWords(head))
	}
	return ""
}

// Pointer says that a file is a pointer which stands in for another, of whatever kind; "" if it is none.
func Pointer(head []byte) string {
	if begins(lfsVersion, xetVersion)(head) {
		return Foreign(head, int64(len(head)))
	}
	return ""
}

// foreign are the files that are recognised by their first bytes, in this order.
var foreign = []struct {
	is   func(head []byte) bool
	what func(head []byte) string
}{
	{begins(lfsVersion), lfsPointer},
	{begins(xetVersion), says("a pointer of git-xet; the file itself has not been fetched: run git xet checkout in its repository, or download it again")},
	{markup, says("a page of a web site (HTML or XML), which a server sent in place of the file; download it again, with an access token if the model is gated")},
	{answer, func(head []byte) string {
		return fmt.Sprintf("a server's answer, %s, in place of the file; download it again", firstWords(head))
	}},
	{torchZip, says("a zip file as torch.save writes it, whatever its name says; weld reads it under a name that ends with .bin, .pt, .pth or .ckpt")},
	{begins("PK\x03\x04"), says("a zip archive; unpack it, and name what is in it")},
	{begins("\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"), says("a Python pickle as old versions of torch.save write it, whatever its name says; load it with torch.load and write it with safetensors.torch.save_file")},
	{begins("\x1f\x8b"), says("compressed with gzip; restore it with gunzip")},
	{begins("\xfd7zXZ\x00"), says("compressed with xz; restore it with unxz")},
	{begins("BZh"), says("compressed with bzip2; restore it with bunzip2")},
	{begins("\x28\xb5\x2f\xfd"), says("compressed with zstd; restore it with zstd -d, or name it *.safetensors.zst if it is in the seekable format")},
	{begins("7z\xbc\xaf\x27\x1c"), says("a 7z archive; unpack it, and name what is in it")},
	{begins("GGUF"), says("a GGUF file, whatever its name says; weld reads it under a name that ends with .gguf")},
	{begins(packMagic), pack},
	{begins("\x89HDF\r\n\x1a\n"), says("an HDF5 file, as Keras writes it, whatever its name says; weld does not read it")},
	{begins("\x93NUMPY"), says("an array of numpy, whatever its name says; write it with safetensors.numpy.save_file")},
	{tar, says("a tar archive; unpack it, and name what is in it")},
}

func says(text string) func([]byte) string { return func([]byte) string { return text } }

func begins(with ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, w := range with {
			if bytes.HasPrefix(head, []byte(w)) {
				return true
			}
		}
		return false
	}
}

// safetensors recognises a header that the file has room for: its length, then a JSON object. (A file of which the header is cut short is
// none, so that those who read the format say what is wrong.)
func safetensors(head []byte, size int64) bool {
	if len(head) < 10 || head[8] != '{' {
		return false
	}
	n := binary.LittleEndian.Uint64(head)
	return n > 1 && n <= uint64(size)-8
}

// packMagic begins packs and patches: docs/format-pack.md.
const packMagic = "\x89WELD\r\n\x1a"

func pack(head []byte) string {
	if len(head) > 10 && head[10] == 2 {
		return "a patch, whatever its name says: weld apply BASE PATCH OUT makes a checkpoint of it"
	}
	return "a pack, whatever its name says; weld reads it under a name that ends with .weld"
}

// Pointers of Git LFS: git-lfs/docs/spec.md. The first line is the version, and nothing else begins so.
const lfsVersion = "version https://git-lfs.github.com/spec/"

// Pointers of git-xet, before the Hub took it over, begin with this.
const xetVersion = "# xet version "

var lfsSize = regexp.MustCompile(`\nsize (\d+)\n`)

func lfsPointer(head []byte) string {
	of := ""
	if m := lfsSize.FindSubmatch(head); m != nil {
		of = fmt.Sprintf(" (%s bytes)", m[1])
	}
	return "a pointer of Git LFS; the file itself" + of + " has not been fetched: run git lfs pull in its repository, or download it again"
}

var markupStart = regexp.MustCompile(`(?i)^\x{feff}?\s*(?:<!doctype html|<html|<head|<body|<\?xml|<error>)`)

func markup(head []byte) bool { return markupStart.Match(head) }

// answer recognises JSON that reports an error, as the Hub and other servers send it.
func answer(head []byte) bool {
	var said struct {
		Error   any `json:"error"`
		Message any `json:"message"`
		Detail  any `json:"detail"`
	}
	if err := json.Unmarshal(head, &said); err != nil {
		return false
	}
	return said.Error != nil || said.Message != nil || said.Detail != nil
}

// torchZip recognises the zip files of torch: their first entry is NAME/data.pkl.
func torchZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) && bytes.Contains(head, []byte("/data.pkl"))
}

func tar(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }

// text reports whether bytes are words for people.
func text(head []byte) bool {
	return utf8.Valid(head) && bytes.ContainsFunc(head, unicode.IsLetter) && !bytes.ContainsFunc(head, func(r rune) bool {
		return r != '\n' && r != '\r' && r != '\t' && !unicode.IsPrint(r)
	})
}

// firstWords quotes the beginning of a text.
func firstWords(head []byte) string {
	const enough = 80
	words := strings.Join(strings.Fields(string(head)), " ")
	if len(words) > enough {
		cut := enough
		for !utf8.RuneStart(words[cut]) {
			cut--
		}
		words = words[:cut] + "…"
	}
	return fmt.Sprintf("%q", words)
}
