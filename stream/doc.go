// Package stream is the engine: it turns a recipe into a plan, and walks the
// checkpoints tile by tile until the merged one is on the disk.
//
//	recipe → plan → measuring passes → thresholds → fuse pass → commit
//
// [NewPlan] reads headers only and finds everything that can be found wrong
// before a tensor is read. [Plan.Merge] is the line above as a function. In each
// pass a scheduler hands out spans, runs of tiles of one tensor, in the order of the
// output's bytes; each worker borrows mapped views of the operands, runs the
// method's kernels over them, and writes the span where the plan placed it. What is in
// flight is bounded by a byte budget, and nothing depends on how many workers there
// are.
//
// The package knows plans, passes and budgets. It never knows flags, terminals, the
// bytes of a container, or what a method computes.
package stream
