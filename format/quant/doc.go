// Package quant knows how checkpoints store values in a scheme: as codes, and beside them the scales (zero
// points, indices, codebooks) that make values of them. It recognises schemes by what is declared in config.json or
// hf_quant_config.json, and by the names and types of tensors. Nothing of a tensor
// but that is looked at, except where one says how others are stored: their shape, the order of their columns.
//
// The two witnesses are asked together. Codes with their companions beside them are a scheme, declared or not; a
// declared scheme is one as soon as a tensor has the type of codes or the name of a companion. A declaration over
// plain floating tensors alone is stale: somebody decoded the model and left it there.
//
// [Show] shows a checkpoint as what its values stand for, for the schemes that weld decodes: a family of them has a file, which
// finds its weights among the tensors and says how their values are restored. What no family decodes is left for [Recognize].
//
// The way back: an [Encoding] says how values become codes and scales, as a view has a weight ([Decoded.Encoding]) or in a scheme by its name
// ([Named]), whose configuration is declared, too. A [Writer] takes values, and passes codes on.
//
// The package never knows what merging is, or what is done with a checkpoint that it recognised.
package quant
