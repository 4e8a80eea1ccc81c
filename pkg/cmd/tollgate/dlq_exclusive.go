package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// exclusive runs work while no other operator works on the target's dead letters. The
// claim of a process of this machine that is gone, killed for example, does not stop it.
func (a *app) exclusive(ctx context.Context, t target, what string, work func(context.Context) error) error {
	claims, err := t.writer()
	if err != nil {
		return err
	}
	err = redrive.Exclusive(ctx, claims, operator(), what, work)
	held, ok := errors.AsType[*redrive.HeldError](err)
	if ok && diedHere(held.Claim.By) {
		fmt.Fprintf(a.err, "%s by %s ended without a word: going on in its place\n", held.Claim.What, held.Claim.By)
		if err := claims.ReleaseDLQ(ctx, held.Claim.Owner); err != nil {
			return err
		}
		err = redrive.Exclusive(ctx, claims, operator(), what, work)
		held, ok = errors.AsType[*redrive.HeldError](err)
	}
	if ok {
		return hint(err, "try again when it is done; a process that died gives way at %s", held.Claim.Until.Local().Format(time.TimeOnly))
	}
	return err
}

// diedHere reports whether an operator, as [operator] names one, was a process of the
// same user on this machine and is no more.
func diedHere(by string) bool {
	var pid int
	_, last, _ := strings.Cut(by, " (process ")
	if _, err := fmt.Sscanf(last, "%d)", &pid); err != nil || pid < 1 || by != operatorAs(pid) {
		return false
	}
	p, err := os.FindProcess(pid)
	return err == nil && errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// deadLetters reads the target's dead letters, moves them to its queue and deletes them.
func (t target) deadLetters() *sqsqueue.DeadLetters {
	return sqsqueue.New(sqs.NewFromConfig(t.aws), t.queueURL, t.dlqURL, t.limits()).DeadLetters()
}

// How long a letter is hidden at a time: that long it stays hidden if the command dies.
// A local system whose times are scaled down need not wait as long.
const (
	holdFor      = 2 * time.Minute
	leastHoldFor = 10 * time.Second
)

// pass is a pass over at most limit dead letters of the target.
func (t target) pass(limit int) redrive.Options {
	return redrive.Options{Limit: limit, Visibility: t.holdFor()}
}

func (t target) holdFor() time.Duration {
	return max(holdFor/time.Duration(max(t.timeScale, 1)), leastHoldFor)
}

// unreleased says what could not be given back.
func (a *app) unreleased(n int) {
	if n > 0 {
		fmt.Fprintf(a.err, "%d dead letters could not be given back at once; the queue shows them again within two minutes\n", n)
	}
}
