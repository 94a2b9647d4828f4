// Package plan decides what becomes of every tensor of a merge.
//
//	recipe + opened inputs → Plan
//
// [New] opens the inputs and reads their headers. A [Plan] says for each tensor of the output where it comes from, the
// parameters that hold for it, its type, and where its bytes go; what lies beside the weights; notes; costs. All that
// is wrong comes back at once, before a tensor is read. A plan is a value: it can be printed, digested, compared, and cut
// into parts of the output, and running it needs nothing that it does not say.
//
// The way through the package: inputs are opened (inputs.go), the schemes of their values are recognised (schemes.go),
// their names (meet.go) and vocabularies (vocabulary.go) are brought together, the tensors of the output are listed and
// found in each input (match.go; stack.go and modules.go where layers or modules are put together), it is decided how each
// is stored (encode.go as the reference has it, named.go and gguf_types.go as the recipe says), and the output is laid out
// (layout.go, files.go; gguf.go for GGUF). What is known of importance files is in importance.go; what becomes of a model
// that goes from GGUF to the Hub, or back, in hub_form.go; what is read in the order of its codes, in as_stored.go.
//
// The package knows recipes, checkpoints and names. It never knows workers, goroutines, or how a method computes.
package plan
