package run

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestWorkers(t *testing.T) {
	failed := errors.New("failed")
	var ran atomic.Int64
	if err := Workers(context.Background(), 3, func(error) { t.Error("aborted after success") }, func(context.Context) error {
		ran.Add(1)
		return nil
	}); err != nil || ran.Load() != 3 {
		t.Errorf("%v after %d workers", err, ran.Load())
	}
	// One fails; the others wait for the abort, and for the end of the context.
	aborted := make(chan error, 1)
	err := Workers(context.Background(), 3, func(cause error) { aborted <- cause }, func(ctx context.Context) error {
		if ran.Add(1) == 4 {
			return failed
		}
		<-ctx.Done()
		return nil
	})
	if err != failed || <-aborted != failed {
		t.Errorf("%v, want %v", err, failed)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	err = Workers(ctx, 2, nil, func(ctx context.Context) error {
		cancel(failed)
		<-ctx.Done()
		return nil
	})
	if err != failed {
		t.Errorf("%v, want the cause of the context", err)
	}
}
