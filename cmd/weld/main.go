// Command weld merges, scores and inspects neural-network checkpoints that are far
// larger than memory. Run it without arguments for help, or begin with
// "weld demo".
package main

import "os"

func main() {
	ctx := interruptible()
	os.Exit(within(ctx, patience, os.Stderr, func() int { return execute(ctx, os.Args, os.Stdout, os.Stderr) }))
}
