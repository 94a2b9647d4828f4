package stream

import (
	"context"
	"path/filepath"
	"testing"
)

// Whoever runs a merge is told that values are decoded, which the collector has to give back: of every command, and of none that copies
// codes or has plain models.
func TestDecodingIsSaid(t *testing.T) {
	dir := t.TempDir()
	a, b := saveCoded(t, filepath.Join(dir, "a"), 1), saveCoded(t, filepath.Join(dir, "b"), 2)
	plain := newFamily(2, small()...).save(t)
	times := 0
	o := Options{Decoding: func() { times++ }}
	merge := func(text string) func() error {
		return func() error {
			r, err := Schema().Parse("r.yml", []byte(text))
			if err != nil {
				return err
			}
			p, err := Prepare(r, "", o)
			if err == nil {
				err = p.Close()
			}
			return err
		}
	}
	for name, c := range map[string]struct {
		run  func() error
		want int
	}{
		"two coded":   {merge("merge_method: linear\nmodels: [{model: " + a + "}, {model: " + b + "}]\n"), 2},
		"one of them": {merge("merge_method: passthrough\nmodels: [{model: " + a + ", parameters: {scale: 0.5}}]\n"), 1},
		"a copy":      {merge("merge_method: passthrough\nmodels: [{model: " + a + "}]\n"), 0},
		"plain":       {merge("merge_method: linear\nmodels: [{model: " + plain.models[0] + "}, {model: " + plain.models[1] + "}]\n"), 0},
		"a diff":      {func() error { _, err := CompareCheckpoints(context.Background(), a, b, o); return err }, 2},
	} {
		times = 0
		if err := c.run(); err != nil || times != c.want {
			t.Errorf("%s: %v, said %d times, want %d", name, err, times, c.want)
		}
	}
}
