package deepspeed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

// copied is a copy of a golden, of which something is changed.
func copied(t *testing.T, name string, spoil func(dir string) error) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name)))
	if err == nil {
		err = spoil(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const tag = "/global_step3"

func remove(name string) func(dir string) error {
	return func(dir string) error { return os.RemoveAll(dir + tag + "/" + name) }
}

func rename(from, to string) func(dir string) error {
	return func(dir string) error { return os.Rename(dir+tag+"/"+from, dir+tag+"/"+to) }
}

// fill writes a file that holds a text.
func fill(name, text string) func(dir string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666) }
}

// taken copies a file of another golden.
func taken(from, to string) func(dir string) error {
	return func(dir string) error {
		raw, err := os.ReadFile(filepath.Join("testdata", from))
		return errors.Join(err, os.WriteFile(dir+tag+"/"+to, raw, 0o666))
	}
}

func both(list ...func(dir string) error) func(dir string) error {
	return func(dir string) error {
		for _, f := range list {
			if err := f(dir); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestDamaged opens checkpoints of which something is missing, or belongs to another.
func TestDamaged(t *testing.T) {
	const optim, model = "bf16_zero_pp_rank_%_mp_rank_00_optim_states.pt", "zero_pp_rank_%_mp_rank_00_model_states.pt"
	of := func(name, rank string) string { return strings.Replace(name, "%", rank, 1) }
	for name, x := range map[string]struct {
		golden string
		spoil  func(dir string) error
		kind   format.Kind
		says   string
	}{
		"last rank missing":         {"zero3", remove(of(optim, "2")), format.KindMissing, "parameters are divided into 3 partitions, and 2 are there"},
		"first rank missing":        {"zero3", remove(of(optim, "0")), format.KindMissing, "2 partitions of an optimizer are there, and that of rank 0 is not"},
		"no partitions":             {"zero2", both(remove(of(optim, "0")), remove(of(optim, "1")), remove(of(optim, "2"))), format.KindMissing, "mp_rank_00_model_states.pt#module"},
		"no model states":           {"zero2", remove("mp_rank_00_model_states.pt"), format.KindMissing, "no model_states.pt"},
		"model states of one rank":  {"zero3", both(remove(of(model, "1")), remove(of(model, "2"))), format.KindMissing, "3 partitions of stage 3 of ZeRO are there, with 1 files of model states"},
		"model states of stage 2":   {"zero3", both(remove(of(model, "0")), remove(of(model, "1")), remove(of(model, "2")), taken("zero2/global_step3/mp_rank_00_model_states.pt", "mp_rank_00_model_states.pt")), format.KindMissing, "with 1 files of model states"},
		"model states of stage 3":   {"zero2", both(remove("mp_rank_00_model_states.pt"), taken("zero3/global_step3/"+of(model, "0"), of(model, "0")), taken("zero3/global_step3/"+of(model, "1"), of(model, "1"))), format.KindMissing, "3 partitions of stage 2 of ZeRO are there, with 2 files of model states"},
		"model states of both":      {"zero3", taken("zero2/global_step3/mp_rank_00_model_states.pt", "mp_rank_00_model_states.pt"), format.KindIndex, "one of them is of another checkpoint"},
		"a rank twice":              {"zero3", taken("zero3/global_step3/"+of(optim, "1"), strings.TrimPrefix(of(optim, "1"), "bf16_")), format.KindIndex, "are both of rank 1"},
		"a rank of another stage":   {"zero3", taken("zero2/global_step3/"+of(optim, "1"), of(optim, "1")), format.KindIndex, "it is of stage 2 of ZeRO, and that of rank 0 of stage 3"},
		"a rank of more":            {"zero2", taken("zero1/global_step3/"+of(optim, "1"), of(optim, "1")), format.KindMissing, "divided into 2 partitions, and 3 are there"},
		"ranks exchanged":           {"zero2", both(taken("zero2/global_step3/"+of(optim, "1"), of(optim, "0")), taken("zero2/global_step3/"+of(optim, "0"), of(optim, "1"))), format.KindIndex, "at different places of the partitions"},
		"a part of a model":         {"zero3", taken("zero3/global_step3/"+of(optim, "0"), "bf16_zero_pp_rank_0_mp_rank_01_optim_states.pt"), format.KindUnsupported, "python -m deepspeed.checkpoint.ds_to_universal --input_folder "},
		"experts":                   {"zero2", taken("zero0/global_step3/mp_rank_00_model_states.pt", "layer_0_expert_3_mp_rank_00_model_states.pt"), format.KindUnsupported, "experts are in files of their own (layer_0_expert_3_mp_rank_00_model_states.pt)"},
		"an optimizer of experts":   {"zero2", taken("zero2/global_step3/"+of(optim, "0"), "expp_rank_0_mp_rank_00_optim_states.pt"), format.KindUnsupported, "experts are in files of their own"},
		"a pipeline":                {"zero1", taken("zero0/global_step3/mp_rank_00_model_states.pt", "layer_01-model_00-model_states.pt"), format.KindUnsupported, "layers of a pipeline"},
		"latest of nothing":         {"zero3", fill("latest", "global_step4\n"), format.KindMissing, "latest names this checkpoint, and it is not there"},
		"latest elsewhere":          {"zero3", fill("latest", "../zero2/global_step3"), format.KindShardName, "expected the name of a directory"},
		"latest empty":              {"zero3", fill("latest", "\n"), format.KindShardName, "expected the name of a directory"},
		"latest long":               {"zero3", fill("latest", strings.Repeat("a", 5000)), format.KindSize, "larger than 4096 bytes"},
		"no latest":                 {"zero3", func(dir string) error { return os.Remove(dir + "/latest") }, format.KindMissing, "name the one that is meant"},
		"an empty partition":        {"zero3", func(dir string) error { return os.Truncate(dir+tag+"/"+of(optim, "1"), 0) }, format.KindTruncated, "the file is empty"},
		"half a partition":          {"zero3", func(dir string) error { return os.Truncate(dir+tag+"/"+of(optim, "1"), 3000) }, format.KindTruncated, "no directory of a zip file is at its end"},
		"partitions of no shapes":   {"zero0", taken("zero2/global_step3/"+of(optim, "0"), of(optim, "0")), format.KindKey, "there is no param_shapes in it, and 1 partitions are there"},
		"a directory for a file":    {"zero2", both(remove("mp_rank_00_model_states.pt"), func(dir string) error { return os.Mkdir(dir+tag+"/mp_rank_00_model_states.pt", 0o777) }), format.KindMissing, "no model_states.pt"},
		"ranks that are not in row": {"zero3", both(rename(of(optim, "2"), of(optim, "7")), rename(of(model, "2"), of(model, "7"))), format.KindMissing, "3 files of model states are there, and that of rank 2 is not"},
	} {
		dir := copied(t, x.golden, x.spoil)
		c, err := opened(dir)
		if format.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) || c != nil {
			t.Errorf("%s: %s %v, want %s with %q", name, format.KindOf(err), err, x.kind, x.says)
		}
	}
}

// TestDamagedUniversal opens checkpoints of whole parameters of which something is missing.
func TestDamagedUniversal(t *testing.T) {
	const whole = "/global_step3_universal"
	inside := func(what func(dir string) error) func(dir string) error {
		return func(dir string) error { return what(dir + whole) }
	}
	gone := func(names ...string) func(dir string) error {
		return func(dir string) error {
			var errs []error
			for _, name := range names {
				errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
			}
			return errors.Join(errs...)
		}
	}
	put := func(from, to string) func(dir string) error {
		return func(dir string) error {
			raw, err := os.ReadFile(filepath.Join(dir, from))
			return errors.Join(err, os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o777), os.WriteFile(filepath.Join(dir, to), raw, 0o666))
		}
	}
	for name, x := range map[string]struct {
		golden string
		spoil  func(dir string) error
		kind   format.Kind
		says   string
	}{
		"a parameter missing":      {"universal2", gone("zero/down.weight"), format.KindMissing, `the parameter "down.weight" is in param_shapes, and there is no zero/down.weight/fp32.pt`},
		"a parameter of another":   {"universal3", put("zero/embed.weight/fp32.pt", "zero/down.weight/fp32.pt"), format.KindSize, "it has the shape [5 9], and 35 elements are saved"},
		"a parameter of a larger":  {"universal3", put("zero/down.weight/fp32.pt", "zero/embed.weight/fp32.pt"), format.KindSize, "it has the shape [7 5], and 45 elements are saved"},
		"rows without shapes":      {"universal3", gone("zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_pp_rank_1_mp_rank_00_model_states.pt", "zero_pp_rank_2_mp_rank_00_model_states.pt"), format.KindShape, "no param_shapes say which shape it has"},
		"a shape of another":       {"universal2", put("zero/embed.weight/fp32.pt", "zero/down.weight/fp32.pt"), format.KindShape, `"down.weight": its shape is [7 5], and [5 9] in param_shapes`},
		"parts of the model":       {"universal2", put("mp_rank_00_model_states.pt", "mp_rank_01_model_states.pt"), format.KindUnsupported, "put the files *mp_rank_*_model_states.pt elsewhere, and parameters are taken as they are in zero"},
		"a parameter of no tensor": {"universal2", put("mp_rank_00_model_states.pt", "zero/idle/fp32.pt"), format.KindKey, "there is no tensor under param in it"},
		"a parameter cut":          {"universal2", func(dir string) error { return os.Truncate(filepath.Join(dir, "zero/idle/fp32.pt"), 900) }, format.KindTruncated, "zero/idle/fp32.pt"},
		"frozen ranks missing":     {"universal3", gone("zero_pp_rank_1_mp_rank_00_model_states.pt"), format.KindMissing, "2 files of model states are there, and that of rank 1 is not"},
	} {
		dir := copied(t, x.golden, inside(x.spoil))
		c, err := opened(dir)
		if format.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) || c != nil {
			t.Errorf("%s: %s %v, want %s with %q", name, format.KindOf(err), err, x.kind, x.says)
		}
	}
	// Without model states whole parameters in their shapes are taken as they are.
	c, err := opened(copied(t, "universal2", inside(gone("mp_rank_00_model_states.pt"))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if notes := strings.Join(c.Notes(), "; "); !strings.Contains(notes, "no file of model states is there") {
		t.Errorf("notes %q", notes)
	}
}

// TestRoundRobin refuses whole parameters that ds_to_universal made of partitions with round_robin_gradients: it exchanges them.
func TestRoundRobin(t *testing.T) {
	exchanged := copied(t, "universal2", func(dir string) error {
		raw, err := os.ReadFile("testdata/zero2_robin/global_step3/mp_rank_00_model_states.pt")
		return errors.Join(err, os.WriteFile(dir+"/global_step3_universal/mp_rank_00_model_states.pt", raw, 0o666))
	})
	if c, err := opened(exchanged); c != nil || format.KindOf(err) != format.KindNames || !strings.Contains(err.Error(), "so that they are not of one parameter") {
		t.Errorf("%v, %v", c, err)
	}
	dir := format.Directory(exchanged)
	if c, err := OpenOptimizer(dir, opener(dir)); c != nil || format.KindOf(err) != format.KindNames {
		t.Errorf("its optimizer: %v, %v", c, err)
	}
}

// TestOptimizers refuses optimizers that do not belong together.
func TestOptimizers(t *testing.T) {
	dir := format.Directory("testdata/zero0")
	if c, err := OpenOptimizer(dir, opener(dir)); c != nil || format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), "without ZeRO") {
		t.Errorf("without ZeRO: %v, %v", c, err)
	}
}

// TestIsFolder knows the directories of DeepSpeed's from others.
func TestIsFolder(t *testing.T) {
	for path, want := range map[string]struct{ tag, training bool }{
		"testdata/zero0": {false, true}, "testdata/zero3/global_step3": {true, false}, "testdata/universal2": {false, true}, "testdata/universal2/global_step3_universal": {true, false},
		"testdata": {false, false}, "testdata/universal2/global_step3_universal/zero": {false, false}, "../dcp/testdata/boxes": {false, false}, "testdata/none": {false, false},
	} {
		dir := format.Directory(path)
		if got := IsTag(dir); got != want.tag {
			t.Errorf("%s: a checkpoint: %v", path, got)
		}
		if got := IsTraining(dir); got != want.training {
			t.Errorf("%s: a training: %v", path, got)
		}
	}
}
