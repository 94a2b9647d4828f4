// Package selective merges task vectors by what their elements matter: it scores every element, ranks scores over whole
// models, keeps the best, and adds what is left to the base. [Options] say what is scored, ranked, kept and added.
//
// Unlike what [fuse.Formula] drives, it has passes of its own over the model: a sample says where the thresholds lie, sums
// say what scores are divided by, and histograms find the thresholds exactly.
//
// It never knows recipes, files or goroutines.
package selective
