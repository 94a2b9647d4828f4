package methods

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// otaGolden is what .ci/interop/ota_golden.py had the authors' program make.
type otaGolden struct {
	Shapes          map[string][]int64
	Base            map[string][]float64
	Models, Moments []map[string][]float64
	Weights         []float64
	Cases           []struct {
		Densities []float64
		RankOne   bool `json:"rank_one"`
		Want      map[string][]float64
	}
}

// What the authors of the paper compute is what ota computes: to the bit, and with rank_one to a rounding,
// where they round the outer product before its root.
func TestOTAGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/ota.json")
	if err != nil {
		t.Fatal(err)
	}
	var g otaGolden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 6 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		in := &fusetest.Merge{Models: make([]fusetest.Weights, len(g.Models)), Importance: make([]fusetest.Weights, len(g.Models))}
		names := slices.Sorted(maps.Keys(g.Shapes))
		shared := Params{}
		if c.RankOne {
			shared["rank_one"] = 1
		}
		for _, name := range names {
			x := format.Tensor{Name: name, Shape: g.Shapes[name]}
			job := fuse.Job{Name: name, Shape: x.Shape, DType: format.F32, Tiling: fuse.NewTiling(x.Elements(), x.RowLen()), Params: shared}
			in.Base = append(in.Base, fusetest.Pack(format.F32, g.Base[name]))
			for k := range g.Models {
				in.Models[k] = append(in.Models[k], fusetest.Pack(format.F32, g.Models[k][name]))
				in.Importance[k] = append(in.Importance[k], fusetest.Pack(format.F32, g.Moments[k][name]))
				own := Params{"weight": g.Weights[k], "density": c.Densities[k], "statistic": float64(scoring.AdamSecondMoment)}
				job.Models = append(job.Models, fuse.Contribution{Importance: true, Params: own})
			}
			in.Jobs = append(in.Jobs, job)
		}
		for j, got := range in.Drive(t, merging("ota", in.Jobs, fuse.StopNonfinite), 1) {
			for i, x := range fusetest.Unpack(fuse.Operand{DType: format.F32, Data: got}) {
				tolerance := 0.0
				if c.RankOne {
					tolerance = 6e-8 * max(1, math.Abs(x))
				}
				if want := c.Want[names[j]][i]; math.Abs(x-want) > tolerance {
					t.Errorf("densities %v, rank_one %v, tensor %s, element %d: %v, want %v", c.Densities, c.RankOne, names[j], i, x, want)
				}
			}
		}
	}
}
