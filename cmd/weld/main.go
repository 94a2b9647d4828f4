// Command weld merges, scores and inspects neural-network checkpoints that are far
// larger than memory. Run it without arguments for help, or begin with
// "weld demo".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}
