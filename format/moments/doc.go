// Package moments shows the second moments of an optimizer's gradients, which a trainer left in a checkpoint, as importance: one tensor
// for each parameter, under the parameter's name, of float32, corrected for its bias where the number of steps is known: v / (1 − β₂^t); of Adagrad's
// sums the mean.
//
// A parameter's state is found by its names: [….]state.PARAMETER.exp_avg_sq, wherever the file has it. It is read as it is
// (Adam and its kin, RMSprop), from the codes of bitsandbytes (8-bit optimizers, blocks of values), or from Adafactor's factors, whose product it
// is: r·cᵀ / mean(r) (Shazeer and Stern, arXiv 1804.04235, algorithm 4). Nothing of the size of a tensor is held.
//
// The Trainer of transformers saves no names. Its parameters are numbers in the order in which the model has them, those with weight decay first.
// That order is rebuilt from the model that lies beside the states: see [order]. It is refused where a model's order is not known, or where
// the states do not fit it.
//
// The package knows optimizers and the order of parameters. It never knows what importance is used for.
package moments
