package hub

import (
	"bytes"
	"testing"
)

func TestSetVocabSize(t *testing.T) {
	for in, want := range map[string]string{
		`{"vocab_size": 5}`: `{"vocab_size": 7}`,
		"{\"a\":Infinity,\n \"vocab_size\" : 32000 ,\"b\":[{\"vocab_size\":1}]}":                 `{"a":Infinity,` + "\n" + ` "vocab_size" : 7 ,"b":[{"vocab_size":1}]}`,
		`{"text_config":{"vocab_size":5},"vision_config":{"vocab_size":6},"vocab_size":8}`:       `{"text_config":{"vocab_size":7},"vision_config":{"vocab_size":6},"vocab_size":7}`,
		`{"x":{"text_config":{"vocab_size":5}},"s":"\"vocab_size\": 3","vocab_size":null,"y":1}`: "{\n  \"vocab_size\": 7," + `"x":{"text_config":{"vocab_size":5}},"s":"\"vocab_size\": 3","vocab_size":null,"y":1}`,
		`{"text_config":{"a":1}}`: "{\"text_config\":{\n  \"vocab_size\": 7,\"a\":1}}",
		`{}`:                      "{\n  \"vocab_size\": 7}",
		``:                        ``, `[]`: `[]`, `{"vocab_size":5`: `{"vocab_size":5`, `{}{}`: `{}{}`, `{"vocab_size":5}]`: `{"vocab_size":5}]`, `"`: `"`, `{"`: `{"`,
		`{"a":1 "vocab_size":5}`: `{"a":1 "vocab_size":5}`, `{"a":[1 22],"vocab_size":5}`: `{"a":[1 22],"vocab_size":5}`,
	} {
		if got := string(SetVocabSize([]byte(in), 7)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func FuzzSetVocabSize(f *testing.F) {
	f.Add([]byte(`{"text_config":{"vocab_size":5},"vocab_size":8,"x":-Infinity}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		once := SetVocabSize(config, 7)
		if twice := SetVocabSize(once, 7); !bytes.Equal(once, twice) {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}
