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
// # How a threshold is found, and why it is exact
//
// A threshold is the k-th largest of all scores of a model. Scores are never sorted and never
// approximated.
//
// A search keeps an interval of bits that holds the k-th largest. A pass over all scores
// counts those above it, and those in each of its bins. The bin that holds the k-th is the
// next interval. From all scores that takes two passes.
//
// In a large model a sample comes first: 256 blocks of 256 neighbours from each tensor, about
// a thousandth of the bytes. It narrows the interval to a bracket that holds the k-th all but
// certainly. Sixteen parts of the sample, each normalised by its own divisors, give sixteen
// thresholds. Their spread says how wide the bracket must be: clusters, rows that differ and
// uncertain divisors are all in it.
//
// Then one pass sums the scores up and counts them. A tensor's divisor is known only at its
// end, so its raw scores are counted meanwhile, with a bin for every float32 value around
// where the threshold will fall. The margin is the error of the divisor that the sample leaves
// open, 3.5 standard deviations of the blocks' means. When the divisor is known, each bin is
// normalised as its scores would have been. Scores that are products of 16-bit numbers leave
// trailing bits unused, which the sample notices: two bfloat16 leave 8, and a bin stands for
// 256 values of which 255 never occur.
//
// The sample may mislead: a value occurs that should not, the divisor lies outside, or the
// table does not fit the memory. Then that tensor's scores are counted in a second walk. If
// the interval misses, all are. Counts are of all scores and of single values, so the
// threshold is exact whatever the sample says. A sample that misleads costs time only.
//
// The largest and the smallest score cannot be guessed from a sample. They are measured in a
// pass of their own before.
//
// The division by a tensor's divisor is monotone in the score, also when rounded. So each
// tensor's bounds are translated into raw scores once, and elements are compared with those.
//
// # What it knows
//
// The package is pure functions on tiles and the small state of a quantile. It
// never knows files, goroutines or how elements are merged.
package scoring
