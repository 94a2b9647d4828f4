// Package scoring decides which elements of a task vector matter.
//
// A [Score] turns a tile's values into importance scores, with the [Statistic]
// that says what an importance file holds; the first-order Taylor term |θ·g| of
// Selective Task Arithmetic (arXiv 2411.16139) is the default. A [Normalization]
// makes the scores of different tensors comparable.
//
// A [Quantile] finds the exact k-th largest score of any number of tiles in two passes and fixed
// memory; [Find] finds that of scores in memory. The [Threshold] that follows from it is the
// mask. Two things save passes: a [RawHistogram] counts scores before their divisor is known, and
// [Candidates] keep the scores inside a [Bracket] that a sample gave.
//
// All scores are float32, finite and at least 0; their order is then the order of
// their bits, which is what the histograms count.
//
// The package is pure functions on tiles and the small state of a quantile. It
// never knows files, goroutines or how elements are merged.
package scoring
