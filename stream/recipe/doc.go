// Package recipe turns what a user asked for, a YAML file or flags, into one
// validated value.
//
// A [Schema] says which methods there are and which keys each takes. The way from text to
// values has three steps:
//
//  1. Reading ([Schema.Parse], yaml.go and read*.go) makes a [Draft] of YAML in the form that
//     mergekit's recipes have: what the user wrote, with the position of every word. Flags make
//     a draft without it.
//  2. Resolving ([Schema.Resolve]) checks a draft and fills in presets and defaults. The result
//     is a [Recipe]: models.go, slices.go and modules.go are the three forms that it can have.
//     [Recipe.YAML] writes it in full.
//  3. Evaluating ([Recipe.At]) gives the values of the parameters for one tensor. Where several
//     scopes, filters and gradients say something of a key, the narrowest scope with a rule
//     that matches decides. [Coverage] finds filters that match no tensor, and tensors that no
//     filter matches.
//
// Everything that is wrong is found at once and reported as [Problems], each with its line.
//
// The package knows keys, types and ranges. It never opens a checkpoint and never
// runs anything.
package recipe
