package packs

import (
	"errors"
	"fmt"
	"strings"

	"weld/format"
)

// Verification is what was found out about a checkpoint, a pack or a patch.
type Verification struct {
	Path    string   `json:"path"`
	Kind    string   `json:"kind"`
	Files   int      `json:"files"`
	Tensors int      `json:"tensors,omitempty"`
	Bytes   int64    `json:"bytes"` // of the content
	Digest  string   `json:"digest,omitempty"`
	Damage  []Damage `json:"damage"`
	Notes   []string `json:"notes,omitempty"`
	Seconds float64  `json:"seconds"`
}

// Damage is a part that is not what it should be.
type Damage struct {
	Place  int64  `json:"byte"`             // of the pack; −1 if it is elsewhere
	File   string `json:"file,omitempty"`   // in the pack
	Tensor string `json:"tensor,omitempty"` // that the bytes belong to
	What   string `json:"what"`
}

func (d Damage) String() string {
	var b strings.Builder
	if d.Place >= 0 {
		fmt.Fprintf(&b, "byte %d: ", d.Place)
	}
	if d.File != "" {
		fmt.Fprintf(&b, "%s: ", d.File)
	}
	if d.Tensor != "" {
		fmt.Fprintf(&b, "tensor %q: ", d.Tensor)
	}
	return b.String() + d.What
}

// damageOf is what an error says of a tensor.
func damageOf(tensor string, err error) Damage {
	d := Damage{Place: -1, Tensor: tensor, What: err.Error()}
	if f := (*format.Error)(nil); errors.As(err, &f) && f.Detail != "" {
		d.File, d.What = f.Path, f.Detail
	}
	return d
}

// detail is an error without the path, which stands above.
func detail(err error) string {
	if f := (*format.Error)(nil); errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}
