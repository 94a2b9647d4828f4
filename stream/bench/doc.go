// Package bench measures the engine against the bytes that it has to move.
//
// [Set.Make] writes checkpoints of a given size: a base, fine-tuned models and their
// importance files, in the shape of a small Llama. [Floor] reads inputs once through
// the same views as the engine, writes as many bytes as the output has, and
// computes nothing: no merge of these inputs can be faster than that. [Set.Run] times whole merges, plan and commit
// included. [Set.RunCold] has programs merge inputs that were dropped from the page cache, and counts what is read from devices.
//
// The package knows checkpoints and clocks. It never knows how a method computes, or
// who reads the figures.
package bench
