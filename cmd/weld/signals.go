package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible is a context that ends when the process is told to: by Ctrl-C, SIGTERM, the end of its
// terminal (SIGHUP), or a reader of its output that has gone (SIGPIPE). A second Ctrl-C or
// SIGTERM ends the process at once. The others do not: a shell and its terminal say SIGHUP each, and
// every line of progress meets the broken pipe again, while the stage is still being removed.
// What the process was started to ignore (nohup, jobs in the background) stays ignored.
func interruptible() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	once, always := make(chan os.Signal, 1), make(chan os.Signal, 1)
	notify(once, os.Interrupt, syscall.SIGTERM)
	notify(always, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		select {
		case <-once:
		case <-always:
		}
		signal.Stop(once)
		cancel()
	}()
	return ctx
}

// notify is [signal.Notify] for signals that are not ignored.
func notify(to chan<- os.Signal, signals ...os.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(to, s)
		}
	}
}

// untilInterrupt runs what only reads, until it is done or ctx ends. It does not wait for a read that cannot be asked
// to stop, as from a file system that does not answer: nothing has to be cleaned up after it.
func untilInterrupt[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := do()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
