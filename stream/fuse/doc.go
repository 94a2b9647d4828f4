// Package fuse is the contract between a merge method and the engine, and the tools that methods share.
//
// # The contract
//
// A [Method] is driven by an engine that owns files and goroutines. The engine
// asks for measuring passes over the whole model until there are none left, then
// for the last pass, which fills the output. In every pass a tensor goes through a
// short chain of stages, one after the other. A [Stage] sees the tensor as spans,
// works on them tile by tile with the kernels of internal/vec, and its End is called
// when all of them are done. A method is told of a tensor, a [Job], when it comes to it.
//
// Tensors are combined in float32, or in float64 where a source is float64, and
// rounded once to the output's type by [Encode]. Sums over a tensor are kept per tile in
// float64 and combined in index order ([InOrder]), so that no result depends on how spans
// were cut or who worked on them.
//
// # Formulas
//
// Most methods merge each tensor by itself. [Formula] drives those: stages are written as closures over [Operands], with
// [Measure] and [Produce]. [Joint] has several methods share their walks.
//
// # Tools
//
// [TopK] and [SearchTopK] select the k elements with the highest scores, [Quantiles] finds ranks, [Lines] are a tensor's
// vectors along its last dimension. More are in packages below: sparsify, sphere and selective. [DiffStage] compares two
// checkpoints, and is no method's.
//
// # What it knows
//
// The package never knows a method, a recipe, files, formats' bytes beyond a tensor's elements, or
// goroutines; stages may be called from several at once and say so.
package fuse
