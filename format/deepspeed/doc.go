// Package deepspeed reads the checkpoints of DeepSpeed: ZeRO of the stages 1, 2 and 3, what ds_to_universal makes of them, and those without ZeRO.
//
// A training saves into one directory. Its file latest names a directory in it (global_step500), in which there are
//
//	mp_rank_00_model_states.pt                               the model in 16 bits, shapes, buffers, frozen parameters (stages 0 to 2)
//	zero_pp_rank_R_mp_rank_00_model_states.pt                the same without the model, of each rank (stage 3)
//	[bf16_]zero_pp_rank_R_mp_rank_00_optim_states.pt         the partition of each rank: float32 weights and the optimizer's state
//	zero/PARAMETER/{fp32,exp_avg,exp_avg_sq,step}.pt         whole parameters (universal)
//
// What is shown is the weights that the optimizer has, mostly in float32, as DeepSpeed's zero_to_fp32 puts them together; buffers and frozen parameters
// have the type in which they are saved. Nothing is gathered when a checkpoint is opened: the parts of a parameter are found, and lent where they lie.
//
// # Partitions
//
// An optimizer has groups of parameters. In stages 1 and 2 the parameters of a group lie one behind the other in one row, which is cut into as many
// partitions as there are ranks. Where a parameter begins in each is in param_slice_mappings; files of before that have it follow from the sizes.
// In stage 3 each parameter is cut by itself: every rank has ⌈n / ranks⌉ elements of it, the last ones filled up, and the parts of all parameters
// lie one behind the other. Source: deepspeed/utils/zero_to_fp32.py and deepspeed/checkpoint/ds_to_universal.py of DeepSpeed 0.19.8.
//
// Refused: tensor and pipeline parallelism (files of several mp_rank), which ds_to_universal undoes; experts that lie in files of their own; shards that
// are missing, or are not of one checkpoint.
//
// The package knows partitions and DeepSpeed's keys. It never knows what a parameter is for.
package deepspeed
