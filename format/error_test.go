package format

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestError(t *testing.T) {
	for want, e := range map[string]*Error{
		"m":                             {Path: "m"},
		`m: tensor "a\n": shape [1]`:    {Path: "m", Tensor: "a\n", Detail: "shape [1]"},
		"m: no such: unexpected EOF":    {Path: "m", Detail: "no such", Err: io.ErrUnexpectedEOF},
		`m: tensor "a": unexpected EOF`: {Path: "m", Tensor: "a", Err: io.ErrUnexpectedEOF},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	inner := &Error{Path: "m", Kind: KindGap, Err: io.EOF}
	if err := fmt.Errorf("open: %w", inner); KindOf(err) != KindGap || !errors.Is(err, io.EOF) {
		t.Errorf("kind %q", KindOf(err))
	}
	if KindOf(io.EOF) != "" || KindOf(nil) != "" {
		t.Error("other errors have a kind")
	}
}
