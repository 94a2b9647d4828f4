// Package torch reads what torch.save writes: pytorch_model.bin, *.pt, *.pth, *.ckpt, sharded or not, and the consolidated.NN.pth of
// Llama's own releases, whose pieces are put together.
//
// Such a file is a zip archive of entries that are stored as they are: data.pkl, which describes what was saved, and one entry for
// each storage, whose bytes are lent where they lie. Source: torch/serialization.py and caffe2/serialize/inline_container.cc of
// torch 2.15. [Read] reads one, also where it is a part of a file, as in a *.distcp.
//
// # Nothing is executed
//
// data.pkl is a pickle, and Python runs what a pickle names. Here a name stands for what [Vocabulary] has for it, which is Go. Names
// are of three kinds:
//
//   - Those that tensors, state dicts and numbers are made of. Their arguments are checked.
//   - Classes of which trainers are known to leave instances beside weights, such as argparse.Namespace. An instance is kept as its
//     name, its arguments and its state. Nobody looks into it.
//   - All others. The file is refused, whole, and the message has the name: it may be harmless, but only a list can be certain.
//
// A tensor that is no plain dense one (quantised, sparse, a subclass, of a type that format lacks) is refused by its name where it is
// wanted, and before any work.
//
// # State dicts
//
// What was saved is often more than weights. The one state dict in it is found; where several could be meant they are listed, and
// path#key says which. See [State].
//
// The package knows zip, storages, strides and state dicts. It never knows what a tensor is for, but for the names by which Llama's own
// releases are put together.
package torch
