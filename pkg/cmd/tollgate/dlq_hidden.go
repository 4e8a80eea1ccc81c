package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/redrive"
)

// waitHidden is the flag of verbs that read dead letters.
type waitHidden struct {
	WaitHidden bool `name:"wait-hidden" help:"First wait for dead letters that another reader hides, up to twice the time for which this command hides one."`
}

// begin counts letters that another reader hides, and waits for them if asked to.
func (w waitHidden) begin(ctx context.Context, a *app, t target) (*redrive.Watch, error) {
	watch := &redrive.Watch{Counter: t.deadLetters(), Every: readEvery / time.Duration(max(t.timeScale, 1))}
	timeout := time.Duration(0)
	if w.WaitHidden {
		timeout = 2 * t.holdFor()
	}
	var next time.Time
	return watch, watch.Begin(ctx, timeout, func(hidden int) {
		if now := time.Now(); w.WaitHidden && now.After(next) {
			next = now.Add(progressEvery)
			fmt.Fprintf(a.err, "waiting for %s that another reader hides, at most %s\n", plural(hidden, "dead letter", "dead letters"), timeout)
		}
	})
}

// readEvery is the time between two readings of the queue's counts.
const readEvery = 2 * time.Second

// unseen is the error of a pass that did not see every letter: some are hidden, or it read
// none and the queue may not be empty. Otherwise nil.
func (t target) unseen(read int, rest redrive.Rest) error {
	switch {
	case rest.Hidden > 0:
		return hint(fmt.Errorf("%s hidden by another reader, back within %s", plural(rest.Hidden, "dead letter is", "dead letters are"), t.holdFor()),
			"--wait-hidden waits for them; the reader is another tool, or a command that died")
	case read == 0 && !rest.Certain:
		return hint(errors.New("no dead letter was found, but the queue may not be empty: its counts do not stay at zero"), "run it again in a minute")
	}
	return nil
}

// unsent is the error of a verb whose plan could not see all letters, nil if it could.
func (t target) unsent(hidden int) error {
	if hidden == 0 {
		return nil
	}
	return hint(fmt.Errorf("%s hidden by another reader and left out, back within %s", plural(hidden, "more dead letter was", "more dead letters were"), t.holdFor()),
		"run it again with --wait-hidden")
}

// seen prints the result of a list for machines.
func (a *app) seen(read int, rest redrive.Rest) {
	if !a.json {
		return
	}
	line, _ := json.Marshal(struct { // numbers and a bool cannot fail
		Read    int  `json:"read"`
		Hidden  int  `json:"hidden"`
		Certain bool `json:"certain"`
	}{read, rest.Hidden, rest.Certain})
	fmt.Fprintf(a.err, "%s\n", line)
}
