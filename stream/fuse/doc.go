// Package fuse holds the merge methods: what each needs measured, and how it
// combines tiles.
//
// A [Method] is driven by an engine that owns files and goroutines. The engine
// asks for measuring passes over the whole model until there are none left, then
// for the last pass, which fills the output. In every pass a tensor goes through a
// short chain of stages, one after the other; a [Stage] sees the tensor as spans,
// works on them tile by tile with the kernels of internal/vec, and is told when
// all of them are done.
//
// Tensors are combined in float32, or in float64 where a source is float64, and
// rounded once to the output's type. Sums over a tensor are kept per tile in
// float64 and combined in index order, so that no result depends on how spans
// were cut or who worked on them.
//
// Most methods merge each tensor by itself. [Local] drives those: each is a file of its
// own that reads like its formula, written as closures over tiles. Selective Task
// Arithmetic ranks over the whole model and has passes of its own. [Joint] has several
// methods share their walks.
//
// The package never knows files, formats' bytes beyond a tensor's elements, or
// goroutines; stages may be called from several at once and say so.
package fuse
