// Command tollgate runs the local system and operates a deployed one.
//
// Every verb prints a table for people or, with --json, one object (one per line for
// lists) on stdout; progress and errors go to stderr. Exit code 0 means done, 1 failed,
// 2 wrong use.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends a verb that is slow to stop
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, streams{os.Stdin, os.Stdout, os.Stderr}))
}
