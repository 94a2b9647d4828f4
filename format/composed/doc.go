// Package composed shows the checkpoints of several components as one: a pipeline of diffusers, a model of sentence-transformers, whose components lie
// in containers of different kinds. The names of tensors begin with the directories of their components.
//
// The package knows parts and their names. It never knows containers.
package composed
