// Package planes codes blocks of elements without loss.
//
// The bits of a floating-point number differ in how much they tell: exponents of weights are much
// alike, mantissas are noise. A block is therefore split into planes, the same byte of every
// element, and each plane is coded by itself: with a Huffman code where that pays, else
// stored. Of exponents two are coded as one symbol, which is nearer to their entropy and twice as
// fast. Blocks of one value, sparse blocks, and blocks that differ little from those of
// another checkpoint have codings of their own. docs/format-pack.md describes all of them.
//
// The package knows bytes and how they are spread. It never knows files, or what a tensor is.
package planes
