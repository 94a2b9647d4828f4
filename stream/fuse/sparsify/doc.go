// Package sparsify chooses which elements of a task vector are kept: the largest, those between outliers and noise, at
// random, or at random by rank.
//
// A [sparsifier] says in stages what it has to find out, and then sets to 0 what is dropped, tile by tile. How many
// elements are kept is exact; of equal ones those of the lower index are. Random choices come from a sequence in which
// seed, model, tensor and element name each number.
//
// The package never knows a method, files or goroutines.
package sparsify
