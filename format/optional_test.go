package format_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// implementations are all types of the tree that list tensors as a checkpoint does. Whoever adds one adds it to
// the tests here, too: a container to [TestContainers], a wrapper to [TestWrappers].
var implementations = []string{
	"format/composed.Checkpoint", "format/gguf.Checkpoint", "format/llamacpp.view", "format/lora.adapted", "format/lora.derived", "format/moments.Moments", "format/quant.Decoded", "format/renamed.shownCheckpoint", "format/safetensors.Checkpoint", "format/torch.Checkpoint", "stream/tokens.gathered",
}

func TestImplementationsAreTested(t *testing.T) {
	var found []string
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Tensors" || f.Type.Params.NumFields() > 0 {
				continue
			}
			receiver := f.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			found = append(found, filepath.ToSlash(filepath.Dir(path))[len("../"):]+"."+receiver.(*ast.Ident).Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, implementations) {
		t.Errorf("%v implement a checkpoint; tested are %v", found, implementations)
	}
}

// bare is a checkpoint that can do nothing but what all can.
type bare struct{ format.Checkpoint }

// TestWithoutAbilities asks a checkpoint for what it cannot do.
func TestWithoutAbilities(t *testing.T) {
	w := watch(t, t.TempDir(), tensor("a", 4))
	c := bare{w}
	if format.Beside(c).Exists() || format.Metadata(c) != nil || format.Notes(c) != nil || format.ViewCost(c, 5) != 5 || format.FileOf(c, 0) != 0 || format.InPieces(c, 0) || format.Share(c, w) {
		t.Error("it says what it cannot know")
	}
	if file, begin := format.Stored(c, 0); file != nil || begin != 0 {
		t.Errorf("stored in %v", file)
	}
	format.Advise(c, mmapio.Soon, 0, 0, 4)
	if len(w.asked) > 0 {
		t.Errorf("asked for %q", w.asked)
	}
	v, err := format.Read(c, 0, 0, 4)
	if err != nil || len(v.Data) != 4 || !slices.Equal(w.take(), []string{"view a"}) {
		t.Errorf("read %v, %v", v.Data, err)
	}
	v.Release()
}
