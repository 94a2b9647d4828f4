// Package names finds which tensor of a checkpoint is which of another, where the two have other names for
// them.
//
// The same parameter is called model.language_model.layers.0.mlp.experts.gate_up_proj in memory,
// language_model.model.layers.0.mlp.experts.7.gate_proj.weight on the disk, and module.model.… in a
// process that trains it on several devices. [Meet] compares the names of two checkpoints by rules that become
// coarser step by step; what one rule has matched, no later one looks at:
//
//  1. the names as they are;
//  2. without what wrappers add: module, _orig_mod, _fsdp_wrapped_module, base_model.model, base_layer, …;
//  3. without what says only that a model is inside another, before the first number: model, language_model, …;
//  4. with one word for each kind of module: vision_tower and visual, mlp and block_sparse_moe, w1 and gate_proj, …;
//  5. the one matrix of tied embeddings, under the name of either end;
//  6. tensors that one side has in pieces: experts one by one or in one tensor, gate and up apart or stacked;
//  7. a run of leading parts that all remaining names of one side have more.
//
// A rule matches a name where exactly one tensor on either side has it then; where there are more, nothing
// is chosen and both are named. No step looks at shapes to guess a name: the last part of a module's
// name is never replaced by another but by the words of step 4, which are those of the conversions of
// transformers 5.23 (conversion_mapping.py). All of it takes time that is linear in the number of names.
//
// [Substitution] is the other way to names: those that a user asks for. [Wrapped] proposes some.
//
// The package knows names and shapes. It never knows files, values, or what the tensors are wanted for.
package names
