// Package run walks over the tensors of a merge with a bounded number of workers in a bounded memory.
//
// A [Config] says all that a run needs: tensors with their operands, a method, how the memory is divided, and where
// progress is reported. A [Runner] takes it through the measuring passes and the pass that fuses:
//
//	runner := run.New(run.Config{Tensors: tensors, Method: method, Budget: budget, Progress: progress})
//	if err := runner.Measure(ctx); err != nil {
//		return err
//	}
//	sinks := []run.Sink{out} // whose headers are in place, now that every threshold is known
//	result, err := runner.Fuse(ctx, sinks)
//
// In each pass a scheduler hands out runs of tiles of one tensor, in the order of the output's bytes. A worker borrows
// views of the operands, has the method's stage work on them, and hands the result to the sinks. What is in flight is
// bounded by the budget, and nothing that is written depends on how many workers there are.
//
// The package knows tensors, stages and budgets. It never knows what a recipe says, what a container looks like,
// or what a method computes.
package run
