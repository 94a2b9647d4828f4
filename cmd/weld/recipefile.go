package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"weld/format"
	"weld/mmapio"
	"weld/stream/packs"
	"weld/stream/recipe"
)

// readRecipe reads the file that stands where a recipe is expected, or stdin for -. A checkpoint there is the
// commonest slip: the method was forgotten.
func readRecipe(ctx context.Context, name string) ([]byte, error) {
	if name == packs.Stream {
		return untilInterrupt(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(os.Stdin, recipe.MaxSize+1)) })
	}
	file, info, err := mmapio.OpenRegular(name)
	var irregular *mmapio.NotRegularError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("recipe %s: no such file", name)
	case errors.As(err, &irregular) && irregular.Mode.IsDir():
		return nil, noRecipe(name, "a directory")
	case errors.As(err, &irregular):
		return nil, usagef("recipe %w; - stands for stdin", err)
	case err != nil:
		return nil, fmt.Errorf("read recipe: %w", err)
	}
	defer file.Close()
	if format.IsWeights(name) {
		return nil, noRecipe(name, "a checkpoint")
	}
	if info.Size() > recipe.MaxSize {
		return nil, noRecipe(name, fmt.Sprintf("a file of %s, where a recipe has at most %s", decimal(info.Size()), binary(recipe.MaxSize)))
	}
	data, err := io.ReadAll(io.LimitReader(file, recipe.MaxSize+1)) // a file of /proc has the size 0
	if err != nil {
		return nil, fmt.Errorf("read recipe: %w", err)
	}
	if what := format.Pointer(data[:min(len(data), format.ForeignHead)]); what != "" {
		return nil, &format.Error{Path: name, Kind: format.KindForeign, Detail: what}
	}
	if isBinary(data) {
		return nil, noRecipe(name, "not text")
	}
	return data, nil
}

// noRecipe is the error for what is no recipe: it says how to do without one.
func noRecipe(name, what string) error {
	return usagef("%s is %s, and no recipe: give one, RECIPE.yml, or name the method, --method METHOD --model PATH …", name, what)
}

// isBinary reports whether data is no text in an encoding that YAML knows: it has a zero byte, and
// does not begin as UTF-16 or UTF-32 does.
func isBinary(data []byte) bool {
	head := data[:min(len(data), format.ForeignHead)]
	return bytes.IndexByte(head, 0) >= 0 && !bytes.HasPrefix(head, []byte("\xff\xfe")) && !bytes.HasPrefix(head, []byte("\xfe\xff"))
}

// originOf is what messages call a recipe.
func originOf(name string) string {
	if name == packs.Stream {
		return "stdin"
	}
	return name
}
