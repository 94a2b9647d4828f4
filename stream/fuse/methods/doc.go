// Package methods holds the merge methods: one file for each method or family of methods. Files whose names begin with
// registry are none: they are the table of methods and what makes it.
//
// A method's file has everything that is the method's: name, summary and source, the parameters as fields of a struct
// with tags, the formula for people, and the formula as closures over tiles. It registers them as one value, from which
// recipes, flags, help, the tables of docs/methods.md and the tests over all methods come. docs/contributing.md shows how to add
// one.
//
// Formulas are written with the tools of [weld/stream/fuse] and the packages below it. One whose models are vectors on a
// sphere has weld/stream/fuse/sphere, one that drops elements has weld/stream/fuse/sparsify, and one that ranks over whole
// models has weld/stream/fuse/selective.
//
// A method never knows another one, files or goroutines.
package methods

//go:generate go test -run TestKeysAreDocumented -update .
