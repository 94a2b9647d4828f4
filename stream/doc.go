// Package stream has the verbs: merge, score, sweep, convert and diff. Each is one short function that reads
//
//	plan → run → commit
//
// [Prepare] plans a merge with package plan, which reads headers only and finds everything that can be found wrong
// before a tensor is read, and divides the memory. [Prepared.Merge] runs it: package run walks the tensors tile by
// tile, in measuring passes until every threshold is known and in the pass that fuses, and a writer puts each tile where
// the plan placed it. Then the output is committed: at any moment there is the old one or the new one.
//
// The package brings plans, runs and outputs together. It never knows flags, terminals, the bytes of a container, or
// what a method computes.
package stream
