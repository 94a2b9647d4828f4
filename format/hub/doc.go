// Package hub knows how the Hugging Face Hub lays out a model: its cache on this
// machine, and the small files that stand beside the weights. It never knows what
// the weights hold.
package hub
