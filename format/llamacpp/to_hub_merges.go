package llamacpp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"weld/format/gguf"
)

// pair is a merge of two tokens.
type pair struct{ left, right string }

// readMerges reads the merges of a byte-level tokenizer.
func readMerges(file *gguf.Checkpoint) ([]pair, error) {
	v, ok := file.Value(mergesKey)
	if !ok || v.Type != gguf.Array || v.Of != gguf.String {
		return nil, unfit("it has no list of merges")
	}
	merges := make([]pair, 0, v.Len)
	err := file.Each(v, func(i int64, text []byte) error {
		left, right, ok := strings.Cut(string(text), " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") || !utf8.Valid(text) {
			return unfit(fmt.Sprintf("merge %d is %q, and not of two tokens", i, text[:min(len(text), 80)]))
		}
		merges = append(merges, pair{left, right})
		return nil
	})
	return merges, err
}

// impliedMerges are those of a vocabulary of SentencePiece, which has none: every way to make a token of two others, the best token first. The rank is
// a token's score or, of Gemma, whose scores say nothing, its place. transformers 5.23 orders equal ones by lengths (generate_merges).
func (l *tokenList) impliedMerges(byPlace bool) []pair {
	type merge struct {
		token       int32
		left, right int32
		runes       int32 // of the left one
	}
	var list []merge
	for i, text := range l.texts {
		if l.types[i] != normalToken {
			continue
		}
		first := len(list)
		runes := int32(0)
		for at := range text {
			left, isLeft := l.ids[text[:at]]
			right, isRight := l.ids[text[at:]]
			if at > 0 && isLeft && isRight && l.types[left] == normalToken && l.types[right] == normalToken {
				list = append(list, merge{int32(i), left, right, runes})
			}
			runes++
		}
		slices.SortStableFunc(list[first:], func(a, b merge) int { return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) })
	}
	slices.SortStableFunc(list, func(a, b merge) int {
		rank := cmp.Compare(a.token, b.token)
		if !byPlace {
			rank = cmp.Compare(l.scores[b.token], l.scores[a.token])
		}
		return cmp.Or(rank, cmp.Compare(b.runes, a.runes), cmp.Compare(utf8.RuneCountInString(l.texts[b.right]), utf8.RuneCountInString(l.texts[a.right])))
	})
	merges := make([]pair, len(list))
	for i, m := range list {
		merges[i] = pair{l.texts[m.left], l.texts[m.right]}
	}
	return merges
}
