// Package recipe turns what a user asked for, a YAML file or flags, into one
// validated value.
//
// A [Schema] says which methods there are and which keys each takes. A [Draft] is
// what the user wrote, with the position of every word; [Schema.Parse] reads one from
// YAML in the form that mergekit's recipes have. [Schema.Resolve] checks a draft and
// fills in presets and defaults. Everything that is wrong is found at once and
// reported as [Problems], each with its line.
//
// The package knows keys, types and ranges. It never opens a checkpoint and never
// runs anything.
package recipe
