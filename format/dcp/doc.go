// Package dcp reads checkpoints of torch.distributed.checkpoint: a directory with a file .metadata and files *.distcp, as FSDP2,
// torchtitan, Accelerate and Megatron-LM (torch_dist) write them.
//
// .metadata is a pickle. It lists what was saved: for each tensor its type, its shape, and the boxes (chunks) that ranks have written of
// it; and for each box the file and the bytes in which it lies. Those bytes are a whole file of torch.save, with one tensor. The boxes of
// a tensor are put together where they lie, and have to fill it: none may be missing, no two may overlap. Source:
// torch/distributed/checkpoint/metadata.py, filesystem.py and _nested_dict.py of torch 2.15.
//
// State dicts are nested when they are saved, and flattened to names that dots join. The tree is rebuilt from what the planner wrote of
// it, and one state dict found in it as in a file of torch.save ([torch.State]): path#model. Values that are no tensors are not read.
//
// Safetensors that each rank wrote by itself (HuggingFaceStorageWriter) have no .metadata: the header of each says where its boxes begin, and a tensor
// is as large as its boxes reach.
//
// Nothing is executed, as in package torch. Refused: boxes that went through a transform (compression); checkpoints of which each rank
// has metadata of its own; tensors that Megatron-LM has written in another shape than they have.
//
// The package knows boxes and where they lie. It never knows what a tensor is for.
package dcp
