package dcp

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/format/torch"
	"weld/mmapio"
)

// TestDamagedRanks opens files of ranks of which some are missing, or say what cannot be.
func TestDamagedRanks(t *testing.T) {
	const first, last = "shard-00001-model-00001-of-00002.safetensors", "shard-00004-model-00002-of-00002.safetensors"
	remove := func(names ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				if err := os.Remove(dir + "/" + name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	move := func(from, to string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.Rename(dir+"/"+from, dir+"/"+to); err != nil {
				t.Fatal(err)
			}
		}
	}
	change := func(name, from, to string) func(t *testing.T, dir string) { // of one length
		return func(t *testing.T, dir string) {
			data, err := os.ReadFile(dir + "/" + name)
			if err != nil || !bytes.Contains(data, []byte(from)) || len(from) != len(to) {
				t.Fatal(name, from, err)
			}
			if err := os.WriteFile(dir+"/"+name, bytes.Replace(data, []byte(from), []byte(to), 1), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, x := range map[string]struct {
		spoil func(t *testing.T, dir string)
		kind  format.Kind
		says  string
	}{
		"no rank 2":          {remove("shard-00002-model-00001-of-00002.safetensors", "shard-00002-model-00002-of-00002.safetensors"), format.KindMissing, "no file shard-00002-… is there, of 4 ranks or more"},
		"no rank 1":          {remove(first, "shard-00001-model-00002-of-00002.safetensors"), format.KindMissing, "no file shard-00001-… is there, of 4 ranks or more"},
		"no second file":     {remove("shard-00001-model-00002-of-00002.safetensors", "shard-00002-model-00002-of-00002.safetensors", "shard-00003-model-00002-of-00002.safetensors", last), format.KindMissing, "no file …-model-00002-of-00002 is there"},
		"a file less":        {remove("shard-00003-model-00001-of-00002.safetensors"), format.KindShape, "are files of a rank missing?"},
		"no last rank":       {remove("shard-00004-model-00001-of-00002.safetensors", last), format.KindShape, "9 of its elements are in no piece; are files of a rank missing?"},
		"a rank 0":           {move(last, "shard-00009-model-00002-of-00002.safetensors"), format.KindMissing, "no file shard-00005-… is there"},
		"of another":         {move(last, "shard-00004-model-00002-of-00003.safetensors"), format.KindIndex, "files of two checkpoints are there: of 00002, and of 00003"},
		"an empty file":      {func(t *testing.T, dir string) { os.Truncate(dir+"/"+last, 0) }, format.KindTruncated, "the file is empty"},
		"no places":          {change(first, "DCP_SHARDING_INFO", "DCP_SHARDING_XXXX"), format.KindMetadata, "its header has no DCP_SHARDING_INFO"},
		"places of others":   {change(first, `\"rows\"`, `\"vows\"`), format.KindMetadata, "does not say where it begins, in 2 dimensions"},
		"places no JSON":     {change(first, `{\"rows\"`, `[\"rows\"`), format.KindMetadata, "does not say where tensors begin"},
		"fewer dimensions":   {change(first, `\"rows\": {\"saved_offsets\": [0, 0]}`, `\"rows\": {\"saved_offsets\": [00  ]}`), format.KindMetadata, "does not say where tensors begin"},
		"one dimension":      {change(first, `\"rows\": {\"saved_offsets\": [0, 0]}`, `\"rows\": {\"saved_offsets\": [0   ]}`), format.KindMetadata, "in 2 dimensions"},
		"before the tensor":  {change(first, `\"rows\": {\"saved_offsets\": [0, 0]}`, `\"rows\": {\"saved_offsets\": [0,-1]}`), format.KindOffsets, "it begins at [0 -1]"},
		"boxes over another": {change("shard-00003-model-00001-of-00002.safetensors", "[5, 0]", "[4, 0]"), format.KindShape, "its pieces overlap"},
		"a hole":             {change("shard-00003-model-00001-of-00002.safetensors", "[5, 0]", "[6, 0]"), format.KindShape, "7 of its elements are in no piece"},
		"no numbers":         {change("shard-00003-model-00001-of-00002.safetensors", `[5, 0]`, `[5e,0]`), format.KindMetadata, "does not say where tensors begin"},
		"another type":       {change("shard-00003-model-00001-of-00002.safetensors", `"F32"`, `"I32"`), format.KindShape, "it is I32 in 2 dimensions here, and F32 in 2 elsewhere"},
		"another tensor's":   {change("shard-00003-model-00001-of-00002.safetensors", `"rows":`, `"vows":`), format.KindMetadata, "does not say where it begins"},
		"whole tensors twice": {func(t *testing.T, dir string) {
			copyFile(t, dir+"/"+last, dir+"/shard-00005-model-00002-of-00002.safetensors")
		}, format.KindShape, "its pieces overlap"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/ranks")); err != nil {
			t.Fatal(err)
		}
		x.spoil(t, dir)
		c, err := opened(dir)
		if format.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) || c != nil {
			t.Errorf("%s: %s %v, want %s with %q", name, format.KindOf(err), err, x.kind, x.says)
		}
	}
}

// TestSpread puts tensors together of boxes that come in any order, and of no box that is not all of it.
func TestSpread(t *testing.T) {
	src, err := mmapio.Open("testdata/ranks/shard-00003-model-00001-of-00002.safetensors") // for its path
	if err != nil {
		t.Fatal(err)
	}
	r := &ranksReading{sources: []torch.Source{src}, at: make(map[string]int)}
	defer r.close()
	box := func(name string, d format.DType, begin int64, offset, shape []int64) error {
		return r.box(0, safetensors.Entry{Tensor: format.Tensor{Name: name, DType: d, Shape: shape}}, begin, offset)
	}
	for _, err := range []error{
		box("turned", format.F32, 32, []int64{2}, []int64{1}), box("turned", format.F32, 8, []int64{0}, []int64{2}),
		box("part", format.F32, 8, []int64{2}, []int64{2}), box("part", format.F32, 8, []int64{0}, []int64{0}),
		box("behind", format.F32, 8, []int64{1}, []int64{2}), box("halves", format.F4, 8, []int64{0}, []int64{2}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := r.tensors[r.at["turned"]].placed("p")
	if err != nil || p.Begin != 8 || !slices.Equal(p.Layout.Pieces[0].Offset, []int64{0}) || !slices.Equal(p.Shape, []int64{3}) {
		t.Errorf("%+v, %v", p, err)
	}
	if err := box("halves", format.F4, 8, []int64{2}, []int64{2}); format.KindOf(err) != format.KindDType {
		t.Errorf("two boxes of elements that share bytes: %v", err)
	}
	for _, name := range []string{"part", "behind"} {
		if p, err := r.tensors[r.at[name]].placed("p"); format.KindOf(err) != format.KindShape {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestPlacesOfBoxes tells checkpoints apart that have the same boxes in other places.
func TestPlacesOfBoxes(t *testing.T) {
	const name = "shard-00003-model-00001-of-00002.safetensors"
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/ranks/" + name)
	if err == nil {
		err = os.WriteFile(dir+"/"+name, bytes.Replace(data, []byte("[5, 0]"), []byte("[6, 0]"), 1), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest := func(dir string) [32]byte {
		r := &ranksReading{dir: format.Directory(dir), at: make(map[string]int)}
		defer r.close()
		if err := r.file(name, func(name string) (torch.Source, error) { return mmapio.Open(dir + "/" + name) }); err != nil {
			t.Fatal(err)
		}
		return r.files[0].Digest
	}
	if digest(dir) == digest("testdata/ranks") {
		t.Error("boxes in other places are taken for the same")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsOfRanks takes a directory for one of ranks only where nothing else is there.
func TestWhatIsOfRanks(t *testing.T) {
	for names, want := range map[string]bool{
		"shard-00001-model-00001-of-00001.safetensors":                              true,
		"shard-00001-model-00001-of-00001.safetensors config.json":                  true,
		"shard-00001-model-00001-of-00001.safetensors model.safetensors":            false,
		"shard-00001-model-00001-of-00001.safetensors model.safetensors.index.json": false,
		"shard-1-model-00001-of-00001.safetensors":                                  false,
		"model-00001-of-00001.safetensors":                                          false,
		"shard-00001-model-00001-of-00001.safetensors.zst":                          false,
		"": false,
	} {
		dir := t.TempDir()
		for _, name := range strings.Fields(names) {
			if err := os.WriteFile(dir+"/"+name, nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if got := IsOfRanks(format.Directory(dir)); got != want {
			t.Errorf("%q: %v", names, got)
		}
	}
}
