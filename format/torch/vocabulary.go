package torch

import (
	"slices"

	"weld/format"
	"weld/format/pickle"
)

// Vocabulary is what names mean in a file that torch.save wrote. Whoever knows more of them adds to it: it is a new one at each call.
func Vocabulary() pickle.Vocabulary {
	v := pickle.Builtins()
	for _, d := range format.DTypes() {
		if name := d.Torch(); name != "" {
			v[pickle.Global{Module: "torch", Name: name}] = nil
		}
	}
	for name := range unknownTypes {
		v[pickle.Global{Module: "torch", Name: name}] = nil
	}
	for name := range storageClasses {
		v[pickle.Global{Module: "torch", Name: name}] = nil
		v[pickle.Global{Module: "torch.cuda", Name: name}] = nil
	}
	for _, g := range slices.Concat(plainClasses, untyped, quantisers) {
		v[g] = nil
	}
	for g, call := range builders(v) {
		v[g] = call
	}
	for _, g := range holders {
		v[g] = pickle.Instance(g)
	}
	addNumpy(v)
	return v
}

// plainClasses are those whose instances are plain dense tensors.
var plainClasses = []pickle.Global{
	{Module: "torch", Name: "Tensor"}, {Module: "torch._tensor", Name: "Tensor"},
	{Module: "torch.nn.parameter", Name: "Parameter"}, {Module: "torch.nn.parameter", Name: "Buffer"},
}

// quantisers are values that descriptions of quantised tensors name.
var quantisers = []pickle.Global{
	{Module: "torch", Name: "per_tensor_affine"}, {Module: "torch", Name: "per_channel_affine"},
	{Module: "torch", Name: "per_tensor_symmetric"}, {Module: "torch", Name: "per_channel_symmetric"}, {Module: "torch", Name: "per_channel_affine_float_qparams"},
}

// holders are classes of which trainers leave instances beside weights. What is in them is not looked at.
var holders = []pickle.Global{
	{Module: "argparse", Name: "Namespace"}, {Module: "types", Name: "SimpleNamespace"}, {Module: "typing", Name: "Any"},
	{Module: "pathlib", Name: "PosixPath"}, {Module: "pathlib", Name: "WindowsPath"}, {Module: "pathlib", Name: "PurePosixPath"}, {Module: "pathlib._local", Name: "PosixPath"},
	{Module: "datetime", Name: "datetime"}, {Module: "datetime", Name: "timedelta"}, {Module: "torch", Name: "device"},
	{Module: "omegaconf.dictconfig", Name: "DictConfig"}, {Module: "omegaconf.listconfig", Name: "ListConfig"},
	{Module: "omegaconf.base", Name: "ContainerMetadata"}, {Module: "omegaconf.base", Name: "Metadata"},
	{Module: "omegaconf.nodes", Name: "AnyNode"}, {Module: "omegaconf.nodes", Name: "StringNode"}, {Module: "omegaconf.nodes", Name: "IntegerNode"},
	{Module: "omegaconf.nodes", Name: "FloatNode"}, {Module: "omegaconf.nodes", Name: "BooleanNode"},
	{Module: "pytorch_lightning.callbacks.model_checkpoint", Name: "ModelCheckpoint"}, {Module: "pytorch_lightning.callbacks.early_stopping", Name: "EarlyStopping"},
	{Module: "pytorch_lightning.utilities.parsing", Name: "AttributeDict"}, {Module: "lightning_fabric.utilities.data", Name: "AttributeDict"},
	{Module: "lightning.fabric.utilities.data", Name: "AttributeDict"},
	{Module: "transformers.trainer_utils", Name: "IntervalStrategy"}, {Module: "transformers.trainer_utils", Name: "SchedulerType"},
	{Module: "transformers.trainer_utils", Name: "HubStrategy"}, {Module: "transformers.trainer_utils", Name: "SaveStrategy"},
	{Module: "transformers.training_args", Name: "TrainingArguments"}, {Module: "transformers.training_args", Name: "OptimizerNames"},
	{Module: "transformers.trainer_pt_utils", Name: "AcceleratorConfig"}, {Module: "accelerate.state", Name: "PartialState"},
	{Module: "accelerate.utils.dataclasses", Name: "DistributedType"},
}
