package packs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/dcp"
	"weld/format/torch"
)

// A flipped bit in any record of a file of torch.save is found, also of one that is a chunk in another file.
func TestFlippedRecords(t *testing.T) {
	goldens := "../../format"
	boxes, err := dcp.Archives(format.Directory(goldens + "/dcp/testdata/boxes"))
	if err != nil || len(boxes) < 10 {
		t.Fatal(len(boxes), err)
	}
	for name, archives := range map[string][]dcp.Archive{"dcp/testdata/boxes": boxes, "torch/testdata/dtypes.pt": {{File: "dtypes.pt"}}} {
		dir := t.TempDir()
		from := goldens + "/" + name
		path := dir
		if strings.HasSuffix(name, ".pt") {
			path = filepath.Join(dir, filepath.Base(name))
			from = filepath.Dir(from)
		}
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		verify := func() *Verification {
			v, err := Verify(context.Background(), path, "", options(nil, nil))
			if err != nil {
				t.Fatal(name, err)
			}
			return v
		}
		if v := verify(); len(v.Damage) > 0 || !strings.Contains(strings.Join(v.Notes, "\n"), "checksums of all records") {
			t.Errorf("%s: %v, %q", name, v.Damage, v.Notes)
		}
		flipped := 0
		for _, a := range archives {
			file := filepath.Join(dir, a.File)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if a.Length == 0 {
				a.Length = int64(len(data))
			}
			records, summed, err := torch.Records(file, strings.NewReader(string(data)), a.Begin, a.Length)
			if err != nil || !summed {
				t.Fatal(summed, err)
			}
			for _, r := range records {
				if r.Size == 0 || !strings.HasPrefix(r.Name, "data/") {
					continue
				}
				data[r.Begin+r.Size/2] ^= 4
				if err := os.WriteFile(file, data, 0o666); err != nil {
					t.Fatal(err)
				}
				v := verify()
				if len(v.Damage) != 1 || v.Damage[0].File != file || !strings.Contains(v.Damage[0].What, "record "+r.Name+",") || v.Damage[0].Tensor == "" && !strings.Contains(name, "boxes") {
					t.Errorf("%s: %s: %+v", name, r.Name, v.Damage)
				}
				data[r.Begin+r.Size/2] ^= 4
				flipped++
			}
			if err := os.WriteFile(file, data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if flipped < 8 {
			t.Errorf("%s: %d records", name, flipped)
		}
	}
}

// A file that was saved without checksums (torch.serialization.set_crc32_options) is not damaged.
func TestRecordsWithoutSums(t *testing.T) {
	data, err := os.ReadFile("../../format/torch/testdata/unsummed.pt")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pt")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	v, err := Verify(context.Background(), path, "", options(nil, nil))
	if err != nil || len(v.Damage) > 0 || !strings.Contains(strings.Join(v.Notes, "\n"), "no checksums for tensors") {
		t.Errorf("%+v, %v", v, err)
	}
}
