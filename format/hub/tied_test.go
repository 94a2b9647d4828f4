package hub

import (
	"encoding/json"
	"testing"
)

func TestSetUntied(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": 1, "tie_word_embeddings" :true}`:                                           `{"a": 1, "tie_word_embeddings" :false}`,
		`{"tie_word_embeddings": false}`:                                                  `{"tie_word_embeddings": false}`,
		`{"text_config":{"tie_word_embeddings":true},"tie_word_embeddings":` + "\n true}": `{"text_config":{"tie_word_embeddings":false},"tie_word_embeddings":` + "\n false}",
		"{\n  \"a\": Infinity\n}":                                                         "{\n  \"tie_word_embeddings\": false,\n  \"a\": Infinity\n}",
		`{"tie_word_embeddings_": true}`:                                                  "{\n  \"tie_word_embeddings\": false,\"tie_word_embeddings_\": true}",
		`{"text": "\"tie_word_embeddings\": true"}`:                                       "{\n  \"tie_word_embeddings\": false,\"text\": \"\\\"tie_word_embeddings\\\": true\"}",
		` { } `: " {\n  \"tie_word_embeddings\": false } ",
		``:      ``, `[{}]`: `[{}]`, `nonsense`: `nonsense`,
	} {
		got := string(SetUntied([]byte(in)))
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		if json.Valid([]byte(in)) && !json.Valid([]byte(got)) {
			t.Errorf("%s: %s is no JSON", in, got)
		}
		if again := string(SetUntied([]byte(got))); again != got {
			t.Errorf("%s, then %s", got, again)
		}
	}
}
