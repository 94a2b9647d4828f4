package names

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"weld/format"
)

// layout is how transformers names the tensors of a type of model in memory and in files, and for those that have another
// name in files, which they become: .ci/interop/names.py --table.
type layout struct {
	Memory  map[string][]int64  `json:"memory"`
	Disk    map[string][]int64  `json:"disk"`
	Becomes map[string][]string `json:"becomes"`
}

// refused are the types whose names in memory do not all meet, for what their files have is made with more than
// the rules know.
var refused = map[string]string{
	"lfm3":           "g_proj, gate_proj in files: modules' own names",
	"minimax_m3_vl":  "the tower and the experts beside all",
	"mistral_large4": "words of its own, and rotated projections",
}

func listOf(shapes map[string][]int64) (list []format.Tensor) {
	for name, shape := range shapes {
		list = append(list, format.Tensor{Name: name, DType: format.F32, Shape: shape})
	}
	slices.SortFunc(list, func(a, b format.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// What meets is what transformers says; all of it does but for the types above. Both ways: files are wanted
// where importance has the names in memory, names in memory where a model was saved with them.
func TestTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/transformers.json")
	if err != nil {
		t.Fatal(err)
	}
	var layouts map[string]layout
	if err := json.Unmarshal(raw, &layouts); err != nil {
		t.Fatal(err)
	}
	if len(layouts) < 30 {
		t.Fatalf("only %d types", len(layouts))
	}
	for kind, l := range layouts {
		disk, memory := listOf(l.Disk), listOf(l.Memory)
		for direction, m := range map[string]*Meeting{"to files": meet(disk, memory), "to memory": meet(memory, disk)} {
			pairs := 0
			one := func(i, j int) {
				inFile, inMemory := m.wanted[i].Name, m.have[j].Name
				if direction == "to memory" {
					inFile, inMemory = inMemory, inFile
				}
				becomes := l.Becomes[inMemory]
				if becomes == nil {
					becomes = []string{inMemory}
				}
				if !slices.Contains(becomes, inFile) {
					t.Errorf("%s, %s: %s is taken for %s, but becomes %v", kind, direction, inMemory, inFile, becomes)
				}
				pairs++
			}
			for i, j := range m.Whole {
				if j != None {
					one(i, j)
				}
			}
			for i, pieces := range m.Built {
				for _, p := range pieces {
					one(i, p.Tensor)
				}
			}
			_, partly := refused[kind]
			if met := len(m.Missing()) == 0 && len(m.Unused()) == 0; met == partly || len(m.Doubts) > 0 || pairs == 0 {
				t.Errorf("%s, %s: %d pairs, missing %d, unused %d, %v", kind, direction, pairs, len(m.Missing()), len(m.Unused()), m.Doubts)
				for _, i := range m.Missing()[:min(3, len(m.Missing()))] {
					t.Log("  missing", m.wanted[i].Name, m.wanted[i].Shape)
				}
				for _, i := range m.Unused()[:min(3, len(m.Unused()))] {
					t.Log("  unused", m.have[i].Name, m.have[i].Shape)
				}
			}
		}
	}
}
