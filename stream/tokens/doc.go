// Package tokens makes models of different vocabularies mergeable. It reads the
// tokenizer files beside the models (tokenizer.json of the tokenizers library, and what
// tokenizer_config.json and added_tokens.json add to it), decides on one vocabulary for
// the output ([Build]), and shows each checkpoint with the rows of its embeddings in the
// order of that vocabulary ([Vocabulary.Wrap]).
//
// It knows tokenizer files and rows. It never knows merge methods, plans, goroutines or
// flags, and it does not parse sentencepiece models.
//
// # Rows
//
// A token that a model has keeps the model's own row, unless its row is forced. A row
// that is missing comes from where [Spec.Tokens] says, or else from the only model that
// has the token, or is zero if none has it, or comes from the base if that has it, or is
// the mean over the models that have it. Only models whose checkpoint holds the tensor
// take part in this. A row without a token, which padding and holes in the ids make, is
// the model's own row of that id if no token of the model uses it, or else the mean of
// all rows of the new tensor that have a token.
package tokens
