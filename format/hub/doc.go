// Package hub knows how the Hugging Face Hub lays out a model: its cache on this
// machine, the small files that stand beside the weights, and what config.json says of
// types, layers and vocabulary. It never knows what the weights hold.
package hub
