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
	WaitHidden bool `name:"wait-hidden" help:"First wait for dead letters that another reader hides, twice as long as a reader of this command hides one at most."`
}

// begin watches for letters that another reader hides, and waits for them if asked to.
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

// unseen is the error of a pass that read some letters and could not see the rest, nil when
// nothing is hidden and, if it read none, there is none for certain.
func (t target) unseen(read int, rest redrive.Rest) error {
	switch {
	case rest.Hidden > 0:
		return hint(fmt.Errorf("%s hidden by another reader, back within %s", plural(rest.Hidden, "dead letter is", "dead letters are"), t.holdFor()),
			"--wait-hidden waits for them; the reader is another tool, or a command that died")
	case read == 0 && !rest.Certain:
		return hint(errors.New("no dead letter was found, and that there is none is not certain: the queue's counts do not stay at zero"), "run it again in a minute")
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
	line, _ := json.Marshal(struct { // of numbers and a bool: cannot fail
		Read    int  `json:"read"`
		Hidden  int  `json:"hidden"`
		Certain bool `json:"certain"`
	}{read, rest.Hidden, rest.Certain})
	fmt.Fprintf(a.err, "%s\n", line)
}
