package run

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Workers runs n goroutines of work until all have returned. The first error ends the context that
// the others see, and is what Workers returns; else it is the cause for which ctx ended. Where abort is given, it
// is called with that cause as soon as it is known, so that calls that wait for each other return.
func Workers(ctx context.Context, n int, abort func(cause error), work func(ctx context.Context) error) error {
	// Not errgroup.WithContext: that ends its context after success too, and an output
	// must not be aborted when it is complete.
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if abort != nil {
		defer context.AfterFunc(inner, func() { abort(context.Cause(inner)) })()
	}
	var group errgroup.Group
	for range n {
		group.Go(func() error {
			err := work(inner)
			if err != nil {
				stop(err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}
