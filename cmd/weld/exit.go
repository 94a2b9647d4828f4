package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"weld/format"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/importance"
	"weld/stream/recipe"
)

// Exit codes. Every command's help lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDamaged     = 3
	exitInterrupted = 130
)

// usageError is the error of a command line that cannot be understood.
type usageError struct{ error }

func usagef(text string, args ...any) error { return usageError{fmt.Errorf(text, args...)} }

// damageError is the error of a command that found damage and has said so.
type damageError struct{ error }

// report prints an error and chooses the exit code: the only place that does.
func report(ctx context.Context, stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitInterrupted // whoever read the output has gone, and wants no message
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "weld: interrupted; nothing is left half done")
		return exitInterrupted
	}
	lines(stderr, "weld: ", err.Error())
	var (
		usage     usageError
		problems  recipe.Problems
		name      *destination.NameError
		damaged   *format.Error
		found     damageError
		fault     *mmapio.FaultError
		changed   *mmapio.ChangedError
		irregular *mmapio.NotRegularError
		unusable  *importance.UnusableError
	)
	switch {
	case errors.As(err, &usage), errors.As(err, &problems), errors.As(err, &name):
		return exitUsage
	case errors.As(err, &found), errors.As(err, &damaged), errors.As(err, &fault), errors.As(err, &changed), errors.As(err, &irregular), errors.As(err, &unusable):
		return exitDamaged
	}
	return exitFailed
}

// patience is how long a command that was interrupted may take to clean up.
const patience = 20 * time.Second

// within runs a command and returns its exit code. The first Ctrl-C ends it in any case: one that waits for what
// cannot be asked to stop, as a file system that does not answer, is left. What it had staged stays behind
// as after a kill, and is cleared away by the next run.
func within(ctx context.Context, patience time.Duration, stderr io.Writer, command func() int) int {
	done := make(chan int, 1)
	go func() { done <- command() }()
	select {
	case code := <-done:
		return code
	case <-ctx.Done():
	}
	select {
	case code := <-done:
		return code
	case <-time.After(patience):
		say(stderr, "weld: interrupted; what it was waiting for did not end within %s\n", patience)
		return exitInterrupted
	}
}
