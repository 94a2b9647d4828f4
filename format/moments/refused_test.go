package moments_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"weld/format"
	"weld/format/moments"
	"weld/internal/torchsave"
	"weld/mmapio"
)

// written saves an optimizer's state of one parameter w: tensors of float32 by their kinds, of shapes, all of whose elements are x.
func written(t *testing.T, path string, x string, state map[string][]int64) {
	t.Helper()
	entries := []torchsave.Entry{{Name: "data.pkl"}}
	var items []string
	for kind, shape := range state {
		n, strides := int64(1), make([]int64, len(shape))
		for d := len(shape) - 1; d >= 0; d-- {
			strides[d], n = n, n*shape[d]
		}
		key := strconv.Itoa(len(entries))
		items = append(items, torchsave.Text(kind), torchsave.Tensor(torchsave.Storage("FloatStorage", key, n), 0, shape, strides))
		entries = append(entries, torchsave.Entry{Name: "data/" + key, Data: []byte(strings.Repeat(x, int(n)))})
	}
	value := torchsave.Dict(torchsave.Text("state"), torchsave.Dict(torchsave.Text("w"), torchsave.Dict(items...)), torchsave.Text("param_groups"), torchsave.Tuple())
	entries[0].Data = torchsave.Pickle(value)
	if err := os.WriteFile(path, torchsave.Archive("a", false, entries...), 0o666); err != nil {
		t.Fatal(err)
	}
}

const one, minusOne = "\x00\x00\x80\x3f", "\x00\x00\x80\xbf"

// TestMisfits refuses factors that do not belong together, and moments that are none, before they are used.
func TestMisfits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.pt")
	for name, c := range map[string]struct {
		value string
		state map[string][]int64
		says  string // "" for sound ones
	}{
		"factors":                   {one, map[string][]int64{"exp_avg_sq_row": {3}, "exp_avg_sq_col": {2}, "exp_avg": {3, 2}}, ""},
		"long rows":                 {one, map[string][]int64{"exp_avg_sq_row": {6}, "exp_avg_sq_col": {2}, "exp_avg": {3, 2}}, "not two factors that belong together"},
		"short columns":             {one, map[string][]int64{"exp_avg_sq_row": {3}, "exp_avg_sq_col": {1}, "exp_avg": {3, 2}}, "not two factors that belong together"},
		"factors of a vector":       {one, map[string][]int64{"exp_avg_sq_row": {3}, "exp_avg_sq_col": {3}, "exp_avg": {3}}, "not two factors that belong together"},
		"factors of other matrices": {one, map[string][]int64{"exp_avg_sq_row": {2, 3}, "exp_avg_sq_col": {4, 2}}, "not two factors that belong together"},
		"no rows":                   {one, map[string][]int64{"exp_avg_sq_row": {0}, "exp_avg_sq_col": {2}, "exp_avg": {0, 2}}, "not two factors that belong together"},
		"one factor":                {one, map[string][]int64{"exp_avg_sq_row": {3}, "exp_avg": {3, 2}}, "not two factors that belong together"},
		"torch's factors":           {one, map[string][]int64{"row_var": {2, 3, 1}, "col_var": {2, 1, 4}}, ""},
		"torch's flat rows":         {one, map[string][]int64{"row_var": {3}, "col_var": {1, 4}}, "not two factors that belong together"},
		"torch's turned factors":    {one, map[string][]int64{"row_var": {1, 3}, "col_var": {4, 1}}, "not two factors that belong together"},
		"torch's wide rows":         {one, map[string][]int64{"row_var": {3, 2}, "col_var": {1, 4}}, "not two factors that belong together"},
		"torch's one factor":        {one, map[string][]int64{"col_var": {1, 4}}, "not two factors that belong together"},
		"mixed factors":             {one, map[string][]int64{"exp_avg_sq_row": {3}, "col_var": {1, 4}}, "not two factors that belong together"},
		"Adan":                      {one, map[string][]int64{"exp_avg_sq": {3, 2}, "exp_avg_diff": {3, 2}}, "of gradients and their differences"},
		"SOAP":                      {one, map[string][]int64{"exp_avg_sq": {3, 2}, "Q.0": {3, 3}}, "in a basis of their own"},
		"a negative sum":            {minusOne, map[string][]int64{"sum": {3, 2}}, "means of squares are not negative"},
		"negative rows":             {minusOne, map[string][]int64{"exp_avg_sq_row": {3}, "exp_avg_sq_col": {2}}, "means of squares are not negative"},
		"negative moments":          {minusOne, map[string][]int64{"exp_avg_sq": {3, 2}}, "means of squares are not negative"},
		"other kinds":               {one, map[string][]int64{"average": {3, 2}}, "no state of a parameter is in it that weld knows"},
	} {
		written(t, path, c.value, c.state)
		got, err := moments.Open(path, mmapio.Mapped)
		if err == nil {
			_, err = got.View(0, 0, got.Tensors()[0].Bytes())
			got.Close()
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAdapters refuses the moments of an adapter alone, and says of some that they are an adapter's.
func TestAdapters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.pt")
	for _, c := range []struct {
		names      []string
		says, note string
	}{
		{[]string{"base_model.model.x.lora_A.default.weight", "base_model.model.x.lora_B.default.weight"}, "an adapter was trained: it has moments of the 2 parameters of the adapter, and no importance", ""},
		{[]string{"base_model.model.x.lora_A.default.weight", "base_model.model.head.weight"}, "", "1 of 2 parameters are an adapter's, such as base_model.model.x.lora_A.default.weight"},
		{[]string{"x.weight", "head.weight"}, "", ""},
	} {
		var states []string
		entries := []torchsave.Entry{{Name: "data.pkl"}}
		for k, name := range c.names {
			key := strconv.Itoa(k)
			states = append(states, torchsave.Text(name), torchsave.Dict(torchsave.Text("exp_avg_sq"), torchsave.Tensor(torchsave.Storage("FloatStorage", key, 1), 0, []int64{1}, []int64{1})))
			entries = append(entries, torchsave.Entry{Name: "data/" + key, Data: []byte(one)})
		}
		entries[0].Data = torchsave.Pickle(torchsave.Dict(torchsave.Text("state"), torchsave.Dict(states...), torchsave.Text("param_groups"), torchsave.Tuple()))
		if err := os.WriteFile(path, torchsave.Archive("a", false, entries...), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := moments.Open(path, mmapio.Mapped)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.names, err)
		}
		if err == nil {
			if notes := strings.Join(format.Notes(got), "\n"); strings.Contains(notes, "an adapter's") != (c.note != "") || !strings.Contains(notes, c.note) {
				t.Errorf("%q: %s", c.names, notes)
			}
			got.Close()
		}
	}
}

// TestLeftBehind refuses directories of trainers whose optimizer is not read: their weights are no importance.
func TestLeftBehind(t *testing.T) {
	for _, c := range []struct{ name, says string }{
		{"global_step500/x", "DeepSpeed"}, {"zero_to_fp32.py", "DeepSpeed"}, {"trainer_state.json", "without an optimizer that weld reads"}, {"scheduler.pt", "without an optimizer"},
		{"optimizer_rank0.bin", "without an optimizer"}, {"optimizer.pt", "no state_dict of one optimizer"},
	} {
		dir := copyOf(t, "llama")
		if err := os.Remove(filepath.Join(dir, "optimizer.pt")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(c.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl", Data: torchsave.Pickle(torchsave.Dict())}), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := moments.Open(dir, mmapio.Mapped); got != nil || format.KindOf(err) == "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}
