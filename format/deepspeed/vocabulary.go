package deepspeed

import (
	"fmt"

	"weld/format/pickle"
)

// fragment is the class of what param_slice_mappings say of a parameter: where it begins in a partition, and how much of it is there.
var fragment = pickle.Global{Module: "deepspeed.utils.tensor_fragment", Name: "fragment_address"}

// more are the names that DeepSpeed's files have beyond torch's. Of instances of the others nothing is looked at.
func more() pickle.Vocabulary {
	v := pickle.Vocabulary{
		fragment: pickle.Instance(fragment),
		{Module: "deepspeed.runtime.zero.config", Name: "ZeroStageEnum"}: stage,
	}
	for _, g := range []pickle.Global{
		{Module: "deepspeed.runtime.fp16.loss_scaler", Name: "LossScaler"}, {Module: "deepspeed.runtime.fp16.loss_scaler", Name: "DynamicLossScaler"},
		{Module: "deepspeed.checkpoint.universal_checkpoint", Name: "SubparamShape"},
	} {
		v[g] = pickle.Instance(g)
	}
	return v
}

// stage is the number that a stage of ZeRO is.
func stage(args pickle.Tuple) (any, error) {
	if len(args) == 1 {
		if n, ok := args[0].(int64); ok {
			return n, nil
		}
	}
	return nil, fmt.Errorf("a stage of ZeRO made of %d arguments", len(args))
}
