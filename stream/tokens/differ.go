package tokens

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"

	"weld/format"
	"weld/format/hub"
)

// Difference says how the vocabulary of a model is not that of another, whose rows of the embeddings it is merged
// with; "" where they are the same, or where one of them has no files that say. Files that cannot be read
// are none: the merge does without them.
func Difference(model, other format.Folder) string {
	if !model.Exists() || !other.Exists() {
		return ""
	}
	if same, there := sameFiles(model, other, tokenizerName, configName, addedName); same || !there {
		return foreignDifference(model, other)
	}
	known := make(map[[sha256.Size]byte]*tokenizer)
	a, err := load(model, known)
	if err != nil || a == nil {
		return ""
	}
	b, err := load(other, known)
	if err != nil || b == nil || a == b {
		return ""
	}
	return a.unlike(b)
}

// sameFiles compares files by their bytes; there reports whether both folders have the first.
func sameFiles(a, b format.Folder, names ...string) (same, there bool) {
	same = true
	for i, name := range names {
		x, err := a.Read(name, hub.MaxSidecar)
		if err != nil {
			return false, false
		}
		y, err := b.Read(name, hub.MaxSidecar)
		if err != nil {
			return false, false
		}
		if i == 0 && (x == nil || y == nil) {
			return false, false
		}
		same = same && bytes.Equal(x, y)
	}
	return same, true
}

// foreignDifference compares tokenizers that weld does not read, where the folders have no others.
func foreignDifference(model, other format.Folder) string {
	if _, err := fs.Stat(model, tokenizerName); err == nil {
		return ""
	}
	for _, name := range foreign {
		if same, there := sameFiles(model, other, name); there && !same {
			return fmt.Sprintf("its %s is another", name)
		}
	}
	return ""
}

// unlike counts the ids that are other tokens in another tokenizer, and names the first.
func (t *tokenizer) unlike(other *tokenizer) string {
	ours, theirs := t.byNumber(), other.byNumber()
	n, first := 0, int32(-1)
	count := func(id int32) {
		if n++; first < 0 || id < first {
			first = id
		}
	}
	for id, text := range ours {
		if theirs[id] != text {
			count(id)
		}
	}
	for id := range theirs {
		if _, both := ours[id]; !both {
			count(id)
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s (id %d is %s here and %s there)", ids(n), first, ours.token(first), theirs.token(first))
}

func ids(n int) string {
	if n == 1 {
		return "one id is another token"
	}
	return fmt.Sprintf("%d ids are other tokens", n)
}

// tokensByID are tokens by their ids.
type tokensByID map[int32]string

func (t *tokenizer) byNumber() tokensByID {
	all := make(tokensByID, len(t.ids))
	for text, id := range t.ids {
		all[id] = text
	}
	return all
}

func (x tokensByID) token(id int32) string {
	if text, ok := x[id]; ok {
		return fmt.Sprintf("%q", clip(text))
	}
	return "none"
}
