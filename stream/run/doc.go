// Package run walks over the tensors of a merge with a bounded number of workers and a bounded memory.
//
// It never knows what a recipe says, or what a container looks like.
package run
