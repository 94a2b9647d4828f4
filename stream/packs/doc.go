// Package packs puts the files of a checkpoint into a pack and takes them out again, byte for
// byte; it checks packs, and saves what is left of damaged ones.
//
// Everything runs through a bounded number of blocks, whatever the size of the checkpoint.
// The package knows files, pipes and workers. It never knows what a tensor is for.
package packs
