package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing/fstest"

	"weld/format"
	"weld/format/deepspeed"
	"weld/format/torch"
	save "weld/internal/torchsave"
)

// What specimens of DeepSpeed are made of: parameters "a" of 2×2 and "b" of 3, a buffer "c", a frozen parameter "d", and "e", which is "a". Two ranks
// have them, in stage 2 (a, then b) and in stage 3 (half of each). Which file a specimen takes the place of is the first word of its name.

// dsRoles are the files of a checkpoint by the first words of specimens.
var dsRoles = map[string]struct{ name, stage string }{
	"model": {"mp_rank_00_model_states.pt", "two"}, "optim": {"bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt", "two"},
	"parts": {"zero_pp_rank_1_mp_rank_00_optim_states.pt", "three"}, "frozen": {"zero_pp_rank_1_mp_rank_00_model_states.pt", "three"},
	"whole": {"zero/a/fp32.pt", "universal"}, "moment": {"zero/a/exp_avg_sq.pt", "universal"}, "common": {"zero/optimizer_state.pt", "universal"},
}

func dsList(items ...string) string { return "](" + strings.Join(items, "") + "e" }

// dsRow is a view of a storage of so many float32.
func dsRow(key string, of int64, shape ...int64) string {
	strides, step := make([]int64, len(shape)), int64(1)
	for d := len(shape) - 1; d >= 0; d-- {
		strides[d] = step
		step *= shape[d]
	}
	return save.Tensor(save.Storage("FloatStorage", key, of), 0, shape, strides)
}

// dsFile is what torch.save writes of a value whose storages "0", "1" and so on have eight float32 each, of which fewer may be said.
func dsFile(value string, sizes ...int) []byte {
	entries := []save.Entry{{Name: "data.pkl", Data: save.Pickle(value)}}
	for i, n := range sizes {
		entries = append(entries, save.Entry{Name: "data/" + strconv.Itoa(i), Data: []byte(strings.Repeat("\x00\x00\x80\x3f", n))})
	}
	return save.Archive("archive", false, entries...)
}

// dsWith is a dictionary of keys and values, of which some are replaced, added, or, with "", left out.
func dsWith(items []string, changes ...string) string {
	items = append([]string(nil), items...)
	for i := 0; i < len(changes); i += 2 {
		at := len(items)
		for k := 0; k < len(items); k += 2 {
			if items[k] == save.Text(changes[i]) {
				at = k
			}
		}
		if at == len(items) {
			items = append(items, save.Text(changes[i]), "")
		}
		items[at+1] = changes[i+1]
	}
	var kept []string
	for k := 0; k < len(items); k += 2 {
		if items[k+1] != "" {
			kept = append(kept, items[k], items[k+1])
		}
	}
	return save.Dict(kept...)
}

// dsModel are the keys of model states; storages: 0 the model's a, 1 its b, 2 the frozen parameter.
func dsModel(module, fragment string) []string {
	return []string{
		save.Text("module"), module, save.Text("buffer_names"), dsList(save.Text("c")),
		save.Text("param_shapes"), dsList(save.Dict(save.Text("a"), dcpSize(2, 2), save.Text("b"), dcpSize(3))),
		save.Text("frozen_param_shapes"), save.Dict(save.Text("d"), dcpSize(3)), save.Text("frozen_param_fragments"), save.Dict(save.Text("d"), fragment),
		save.Text("shared_params"), save.Dict(save.Text("e"), save.Text("a")), save.Text("global_steps"), save.Int(1), save.Text("mp_world_size"), save.Int(1),
	}
}

var (
	dsTwoModel   = dsModel(save.Dict(save.Text("a"), dsRow("0", 4, 2, 2), save.Text("b"), dsRow("1", 3, 3), save.Text("c"), dsRow("0", 4, 4)), dsRow("2", 3, 3))
	dsThreeModel = dsModel(save.Dict(save.Text("c"), dsRow("0", 4, 4)), dsRow("2", 3, 2))
)

// dsAddress is where a parameter lies in a partition.
func dsAddress(start, size int64) string {
	return dcpInstance("deepspeed.utils.tensor_fragment", "fragment_address", save.Dict(save.Text("start"), save.Int(start), save.Text("numel"), save.Int(size)))
}

func dsStage(n int64) string {
	return save.Call(save.Name("deepspeed.runtime.zero.config", "ZeroStageEnum"), save.Tuple(save.Int(n)))
}

// dsAdam is an optimizer's state of one partition; storages: 1 its second moments, 2 its step.
func dsAdam(moments string) string {
	state := save.Dict(save.Int(0), save.Dict(save.Text("step"), save.Tensor(save.Storage("FloatStorage", "2", 1), 0, nil, nil), save.Text("exp_avg_sq"), moments))
	return save.Dict(save.Text("state"), state, save.Text("param_groups"), dsList(save.Dict(save.Text("betas"), save.Tuple("G\x3f\xec\xcc\xcc\xcc\xcc\xcc\xcd", "G\x3f\xef\xf7\xce\xd9\x16\x87\x2b"), save.Text("params"), dsList(save.Int(0)))))
}

// dsTwo are the keys of a rank's partition in stage 2, dsThree in stage 3; storage 0 has the weights.
func dsTwo(name string, n int64) []string {
	return []string{
		save.Text("zero_stage"), dsStage(2), save.Text("partition_count"), dsList(save.Int(2)), save.Text("single_partition_of_fp32_groups"), dsList(dsRow("0", n, n)),
		save.Text("param_slice_mappings"), dsList(save.Dict(save.Text(name), dsAddress(0, n))), save.Text("base_optimizer_state"), dsAdam(dsRow("1", n, n)),
	}
}

var dsThree = []string{
	save.Text("zero_stage"), dsStage(3), save.Text("partition_count"), save.Int(2), save.Text("fp32_flat_groups"), dsList(dsRow("0", 4, 4)),
	save.Text("optimizer_state_dict"), dsAdam(dsRow("1", 4, 4)),
}

func dsModelFile(changes ...string) []byte { return dsFile(dsWith(dsTwoModel, changes...), 4, 3, 3) }

func dsFrozenFile(changes ...string) []byte { return dsFile(dsWith(dsThreeModel, changes...), 4, 3, 3) }

func dsOptimFile(changes ...string) []byte {
	return dsFile(save.Dict(save.Text("optimizer_state_dict"), dsWith(dsTwo("b", 3), changes...)), 3, 3, 1)
}

func dsPartsFile(changes ...string) []byte {
	return dsFile(save.Dict(save.Text("optimizer_state_dict"), dsWith(dsThree, changes...)), 4, 4, 1)
}

// dsWhole is the file of a whole parameter.
func dsWhole(value string) []byte { return dsFile(value, 4) }

var dsParam = save.Dict(save.Text("cat_dim"), save.Int(0), save.Text("param"), dsRow("0", 4, 2, 2))

// dsSound are the files of sound checkpoints, by their stages.
var dsSound = map[string]map[string][]byte{
	"two": {
		"mp_rank_00_model_states.pt":                     dsModelFile(),
		"bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt": dsFile(save.Dict(save.Text("optimizer_state_dict"), dsWith(dsTwo("a", 4))), 4, 4, 1),
		"bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt": dsOptimFile(),
	},
	"three": {
		"zero_pp_rank_0_mp_rank_00_model_states.pt": dsFrozenFile(), "zero_pp_rank_1_mp_rank_00_model_states.pt": dsFrozenFile(),
		"zero_pp_rank_0_mp_rank_00_optim_states.pt": dsPartsFile(), "zero_pp_rank_1_mp_rank_00_optim_states.pt": dsPartsFile(),
	},
	"universal": {
		"mp_rank_00_model_states.pt": dsModelFile(),
		"zero/a/fp32.pt":             dsWhole(dsParam), "zero/a/exp_avg_sq.pt": dsWhole(dsParam), "zero/b/fp32.pt": dsFile(dsRow("0", 3, 3), 3),
		"zero/optimizer_state.pt": dsFile(save.Dict(save.Text("param_groups"), dsList()), 0),
	},
}

var malformedDeepSpeed = []specimen{
	// The file.
	{name: "model-empty", bytes: nil, kind: format.KindTruncated},
	{name: "model-cut", bytes: dsModelFile()[:len(dsModelFile())-1], kind: format.KindTruncated},
	{name: "model-list", bytes: dsFile(dsList()), kind: format.KindType},
	{name: "model-calls-a-function", bytes: dsFile(save.Call(save.Name("posix", "getpid"), save.Tuple())), kind: format.KindForbidden},
	{name: "optim-of-another-class", bytes: dsOptimFile("loss_scaler", save.Name("deepspeed.runtime.engine", "DeepSpeedEngine")), kind: format.KindForbidden},
	{name: "optim-bare-pickle", bytes: save.Pickle(save.Dict()), kind: format.KindForeign},

	// Model states.
	{name: "model-shapes-dictionary", bytes: dsModelFile("param_shapes", save.Dict()), kind: format.KindType},
	{name: "model-shapes-none", bytes: dsModelFile("param_shapes", "N"), kind: format.KindKey},
	{name: "model-shapes-empty", bytes: dsModelFile("param_shapes", dsList()), kind: format.KindIndex},
	{name: "model-group-list", bytes: dsModelFile("param_shapes", dsList(dsList())), kind: format.KindType},
	{name: "model-name-number", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Int(1), dcpSize(2)))), kind: format.KindType},
	{name: "model-shape-none", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), "N"))), kind: format.KindShape, tensor: "a"},
	{name: "model-shape-negative", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), save.Ints(-1)))), kind: format.KindShape, tensor: "a"},
	{name: "model-shape-wraps", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), save.Ints(1<<40, 1<<40)))), kind: format.KindShape, tensor: "a"},
	{name: "model-shape-of-65-dimensions", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), save.Ints(ones(65)...)))), kind: format.KindShape, tensor: "a"},
	{name: "model-shape-larger", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), dcpSize(2, 2), save.Text("b"), dcpSize(4)))), kind: format.KindSize, tensor: "b"},
	{name: "model-shape-huge", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), dcpSize(1<<62), save.Text("b"), dcpSize(3)))), kind: format.KindSize, tensor: "a"},
	{name: "model-shapes-fewer", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), dcpSize(2, 2)))), kind: format.KindNames, tensor: "b"},
	{name: "model-shapes-of-another", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("b"), dcpSize(3), save.Text("a"), dcpSize(2, 2)))), kind: format.KindIndex, tensor: "b"},
	{name: "model-shape-transposed-sizes", bytes: dsModelFile("param_shapes", dsList(save.Dict(save.Text("a"), dcpSize(3), save.Text("b"), dcpSize(2, 2)))), kind: format.KindSize, tensor: "a"},
	{name: "model-parallel", bytes: dsModelFile("mp_world_size", save.Int(2)), kind: format.KindUnsupported},
	{name: "model-parallel-text", bytes: dsModelFile("mp_world_size", save.Text("2")), kind: format.KindType},
	{name: "model-pipeline", bytes: dsModelFile("checkpoint_parallel_dimensions", save.Dict(save.Text("pp_degree"), save.Int(2))), kind: format.KindUnsupported},
	{name: "model-experts", bytes: dsModelFile("ds_autoep_layers", dsList()), kind: format.KindUnsupported},
	{name: "model-buffers-text", bytes: dsModelFile("buffer_names", save.Text("c")), kind: format.KindType},
	{name: "model-buffer-number", bytes: dsModelFile("buffer_names", dsList(save.Int(1))), kind: format.KindType},
	{name: "model-buffer-twice", bytes: dsModelFile("buffer_names", dsList(save.Text("c"), save.Text("c"))), kind: format.KindDuplicate, tensor: "c"},
	{name: "model-buffer-of-a-parameter", bytes: dsModelFile("buffer_names", dsList(save.Text("a"))), kind: format.KindDuplicate, tensor: "a"},
	{name: "model-shared-list", bytes: dsModelFile("shared_params", dsList()), kind: format.KindType},
	{name: "model-shared-with-number", bytes: dsModelFile("shared_params", save.Dict(save.Text("e"), save.Int(1))), kind: format.KindType},
	{name: "model-shared-with-values", bytes: dsModelFile("shared_params", save.Dict(save.Text("b"), save.Text("a"))), kind: format.KindDuplicate, tensor: "b"},
	{name: "model-frozen-alone", bytes: dsModelFile("frozen_param_fragments", ""), kind: format.KindKey},
	{name: "model-frozen-missing", bytes: dsModelFile("frozen_param_fragments", save.Dict()), kind: format.KindMissing, tensor: "d"},
	{name: "model-frozen-larger", bytes: dsModelFile("frozen_param_shapes", save.Dict(save.Text("d"), dcpSize(4))), kind: format.KindShape, tensor: "d"},
	{name: "model-frozen-and-trained", bytes: dsModelFile("frozen_param_shapes", save.Dict(save.Text("b"), dcpSize(3)), "frozen_param_fragments", save.Dict(save.Text("b"), dsRow("2", 3, 3))), kind: format.KindDuplicate, tensor: "b"},
	{name: "model-tensor-beyond", bytes: dsModelFile("module", save.Dict(save.Text("c"), dsRow("0", 4, 5))), kind: format.KindSize, tensor: "c"},
	{name: "model-module-list", bytes: dsModelFile("module", dsList()), kind: format.KindType},

	// Partitions of stage 2.
	{name: "optim-without-state", bytes: dsFile(save.Dict(save.Text("ds_version"), save.Text("0.19.8"))), kind: format.KindKey},
	{name: "optim-without-partitions", bytes: dsOptimFile("single_partition_of_fp32_groups", ""), kind: format.KindKey},
	{name: "optim-partitions-tensor", bytes: dsOptimFile("single_partition_of_fp32_groups", dsRow("0", 3, 3)), kind: format.KindType},
	{name: "optim-partition-none", bytes: dsOptimFile("single_partition_of_fp32_groups", dsList("N")), kind: format.KindType, tensor: "single_partition_of_fp32_groups"},
	{name: "optim-partition-beyond", bytes: dsOptimFile("single_partition_of_fp32_groups", dsList(dsRow("0", 3, 4))), kind: format.KindSize, tensor: "single_partition_of_fp32_groups"},
	{name: "optim-partition-with-strides", bytes: dsOptimFile("single_partition_of_fp32_groups", dsList(save.Tensor(save.Storage("FloatStorage", "0", 3), 0, []int64{2}, []int64{2}))), kind: format.KindShape, tensor: "single_partition_of_fp32_groups"},
	{name: "optim-partition-of-integers", bytes: dsOptimFile("single_partition_of_fp32_groups", dsList(save.Tensor(save.Storage("IntStorage", "0", 3), 0, []int64{3}, []int64{1}))), kind: format.KindDType},
	{name: "optim-partition-without-storage", bytes: dsOptimFile("single_partition_of_fp32_groups", dsList(dsRow("9", 3, 3))), kind: format.KindMissing, tensor: "single_partition_of_fp32_groups"},
	{name: "optim-two-groups", bytes: dsOptimFile("single_partition_of_fp32_groups", dsList(dsRow("0", 3, 3), dsRow("0", 3, 3))), kind: format.KindIndex},
	{name: "optim-stage-4", bytes: dsOptimFile("zero_stage", dsStage(4)), kind: format.KindUnsupported},
	{name: "optim-stage-0", bytes: dsOptimFile("zero_stage", dsStage(0)), kind: format.KindUnsupported},
	{name: "optim-stage-1", bytes: dsOptimFile("zero_stage", dsStage(1)), kind: format.KindIndex},
	{name: "optim-stage-3", bytes: dsOptimFile("zero_stage", dsStage(3)), kind: format.KindIndex},
	{name: "optim-stage-text", bytes: dsOptimFile("zero_stage", save.Text("2")), kind: format.KindType},
	{name: "optim-stage-of-text", bytes: dsOptimFile("zero_stage", save.Call(save.Name("deepspeed.runtime.zero.config", "ZeroStageEnum"), save.Tuple(save.Text("2")))), kind: format.KindPickle},
	{name: "optim-count-3", bytes: dsOptimFile("partition_count", dsList(save.Int(3))), kind: format.KindMissing},
	{name: "optim-counts-of-experts", bytes: dsOptimFile("partition_count", dsList(save.Int(2), save.Int(1))), kind: format.KindMissing},
	{name: "optim-count-text", bytes: dsOptimFile("partition_count", save.Text("2")), kind: format.KindType},
	{name: "optim-count-negative", bytes: dsOptimFile("partition_count", dsList(save.Int(-2))), kind: format.KindType},
	{name: "optim-divided-experts", bytes: dsOptimFile("ds_zero_partition_groups", dsList()), kind: format.KindUnsupported},
	{name: "optim-mapping-none", bytes: dsOptimFile("param_slice_mappings", "N"), kind: format.KindKey},
	{name: "optim-mapping-text", bytes: dsOptimFile("param_slice_mappings", dsList(save.Text("b"))), kind: format.KindType},
	{name: "optim-mappings-of-no-group", bytes: dsOptimFile("param_slice_mappings", dsList()), kind: format.KindIndex},
	{name: "optim-mapping-beyond", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("b"), dsAddress(1, 3)))), kind: format.KindOffsets, tensor: "b"},
	{name: "optim-mapping-wraps", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("b"), dsAddress(1<<62, 1<<62)))), kind: format.KindOffsets, tensor: "b"},
	{name: "optim-mapping-negative", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("b"), dsAddress(-1, 3)))), kind: format.KindOffsets, tensor: "b"},
	{name: "optim-mapping-shorter", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("b"), dsAddress(0, 2)))), kind: format.KindSize, tensor: "b"},
	{name: "optim-mapping-overlaps", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("b"), dsAddress(0, 3), save.Text("a"), dsAddress(2, 1)))), kind: format.KindOverlap},
	{name: "optim-mapping-of-another", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("z"), dsAddress(0, 3)))), kind: format.KindNames, tensor: "z"},
	{name: "optim-mapping-of-another-class", bytes: dsOptimFile("param_slice_mappings", dsList(save.Dict(save.Text("b"), save.Tuple(save.Int(0), save.Int(3))))), kind: format.KindOffsets, tensor: "b"},

	// Its optimizer.
	{name: "optim-no-optimizer", bytes: dsOptimFile("base_optimizer_state", ""), kind: format.KindKey},
	{name: "optim-state-list-of-none", bytes: dsOptimFile("base_optimizer_state", dsList("N")), kind: format.KindIndex},
	{name: "optim-states-without-state", bytes: dsOptimFile("base_optimizer_state", save.Dict()), kind: format.KindKey},
	{name: "optim-moments-shorter", bytes: dsOptimFile("base_optimizer_state", dsAdam(dsRow("1", 3, 2))), kind: format.KindSize},
	{name: "optim-moments-text", bytes: dsOptimFile("base_optimizer_state", dsAdam(save.Text("1"))), kind: format.KindIndex},
	{name: "optim-state-of-group-1", bytes: dsOptimFile("base_optimizer_state", save.Dict(save.Text("state"), save.Dict(save.Int(1), save.Dict()))), kind: format.KindIndex},
	{name: "optim-group-of-number-7", bytes: dsOptimFile("base_optimizer_state", save.Dict(save.Text("state"), save.Dict(), save.Text("param_groups"), dsList(save.Dict(save.Text("params"), dsList(save.Int(7)))))), kind: format.KindIndex},
	{name: "optim-8-bit", bytes: dsOptimFile("base_optimizer_state", dsList(save.Dict(save.Text("qmap2"), "N"))), kind: format.KindUnsupported},

	{name: "optim-differences", bytes: dsOptimFile("base_optimizer_state", dsList(save.Dict(save.Text("exp_avg_sq"), dsRow("1", 3, 3), save.Text("exp_avg_diff"), dsRow("1", 3, 3)))), kind: format.KindUnsupported},

	// Partitions of stage 3.
	{name: "parts-shorter", bytes: dsPartsFile("fp32_flat_groups", dsList(dsRow("0", 4, 3))), kind: format.KindSize},
	{name: "parts-of-two-groups", bytes: dsPartsFile("fp32_flat_groups", dsList(dsRow("0", 4, 2), dsRow("0", 4, 2))), kind: format.KindIndex},
	{name: "parts-of-none", bytes: dsPartsFile("fp32_flat_groups", dsList()), kind: format.KindIndex},
	{name: "parts-count", bytes: dsPartsFile("partition_count", save.Int(4)), kind: format.KindMissing},
	{name: "parts-of-doubles", bytes: dsPartsFile("fp32_flat_groups", dsList(save.Tensor(save.Storage("DoubleStorage", "0", 2), 0, []int64{2}, []int64{1}))), kind: format.KindDType},
	{name: "parts-moments-longer", bytes: dsFile(save.Dict(save.Text("optimizer_state_dict"), dsWith(dsThree, "optimizer_state_dict", dsAdam(dsRow("1", 5, 5)))), 4, 5, 1), kind: format.KindSize},
	{name: "frozen-shorter", bytes: dsFrozenFile("frozen_param_fragments", save.Dict(save.Text("d"), dsRow("2", 3, 1))), kind: format.KindSize, tensor: "d"},
	{name: "frozen-missing", bytes: dsFrozenFile("frozen_param_fragments", save.Dict()), kind: format.KindType, tensor: "d"},
	{name: "frozen-of-integers", bytes: dsFrozenFile("frozen_param_fragments", save.Dict(save.Text("d"), save.Tensor(save.Storage("IntStorage", "2", 3), 0, []int64{2}, []int64{1}))), kind: format.KindDType, tensor: "d"},
	{name: "frozen-of-another-step", bytes: dsFrozenFile("global_steps", save.Int(2)), kind: format.KindIndex},
	{name: "frozen-of-another-model", bytes: dsFrozenFile("param_shapes", dsList(save.Dict(save.Text("a"), dcpSize(4), save.Text("b"), dcpSize(3)))), kind: format.KindIndex},

	// Whole parameters.
	{name: "whole-text", bytes: dsWhole(save.Text("a")), kind: format.KindType, tensor: "a"},
	{name: "whole-without-param", bytes: dsWhole(save.Dict(save.Text("cat_dim"), save.Int(0))), kind: format.KindKey, tensor: "a"},
	{name: "whole-param-none", bytes: dsWhole(save.Dict(save.Text("param"), "N")), kind: format.KindKey, tensor: "a"},
	{name: "whole-row-shorter", bytes: dsWhole(dsRow("0", 4, 3)), kind: format.KindSize, tensor: "a"},
	{name: "whole-beyond", bytes: dsWhole(save.Dict(save.Text("param"), dsRow("0", 3, 2, 2))), kind: format.KindSize, tensor: "a"},
	{name: "whole-of-another-shape", bytes: dsWhole(save.Dict(save.Text("param"), dsRow("0", 4, 2, 3))), kind: format.KindShape, tensor: "a"},
	{name: "whole-cut", bytes: dsWhole(dsParam)[:200], kind: format.KindTruncated},
	{name: "moment-text", bytes: dsWhole(save.Text("a")), kind: format.KindType, tensor: "a"},
	{name: "moment-row-shorter", bytes: dsWhole(dsRow("0", 4, 3)), kind: format.KindSize, tensor: "a"},
	{name: "common-list", bytes: dsFile(dsList()), kind: format.KindType},
	{name: "common-groups-text", bytes: dsFile(save.Dict(save.Text("param_groups"), save.Text("a"))), kind: format.KindType},
}

// dsOpeners open weights, and what an optimizer keeps.
var dsOpeners = []func(dir format.Folder, open deepspeed.Opener) (*torch.Checkpoint, error){
	deepspeed.Open,
	func(dir format.Folder, open deepspeed.Opener) (*torch.Checkpoint, error) {
		o, err := deepspeed.OpenOptimizer(dir, open)
		if err != nil {
			return nil, err
		}
		return o.Checkpoint, nil
	},
}

// openDeepSpeed opens a checkpoint of which a file is the specimen, in memory: its weights, then its optimizer.
func openDeepSpeed(path string, file []byte) error {
	word, _, _ := strings.Cut(filepath.Base(path), "-")
	for _, open := range dsOpeners {
		c, err := openDeepSpeedFolder(open, word, file)
		if err == nil {
			err = c.Close()
		}
		var fault *format.Error
		if errors.As(err, &fault) {
			return &format.Error{Path: path, Tensor: fault.Tensor, Kind: fault.Kind, Detail: strconv.Quote(err.Error())}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func openDeepSpeedFolder(open func(dir format.Folder, open deepspeed.Opener) (*torch.Checkpoint, error), role string, file []byte) (*torch.Checkpoint, error) {
	r, ok := dsRoles[role]
	if !ok {
		return nil, fmt.Errorf("no role %q", role)
	}
	files := make(fstest.MapFS)
	for name, data := range dsSound[r.stage] {
		files[name] = &fstest.MapFile{Data: data}
	}
	files[r.name] = &fstest.MapFile{Data: file}
	dir := format.FolderOf("x", files)
	return open(dir, func(name string) (torch.Source, error) {
		f, ok := files[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return &inMemory{Reader: bytes.NewReader(f.Data), path: dir.Join(name), data: f.Data}, nil
	})
}
