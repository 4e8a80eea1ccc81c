package main

import (
	"context"
	"regexp"
	"strings"
	"time"

	"tollgate/pkg/redrive"
)

// letterFilter are the flags that select dead letters. All that are given must hold.
type letterFilter struct {
	Type    string `help:"Letters of this event type, or of a pattern such as invoice.*" placeholder:"TYPE"`
	Error   string `help:"Letters of this error: the fingerprint that dlq list shows." placeholder:"FINGERPRINT"`
	Cause   string `help:"Letters that gave up for this reason, as dlq list shows it: handler, max_receives, …" placeholder:"REASON"`
	Account string `help:"Letters of this connected account." placeholder:"ACCT"`
	ID      string `help:"Letters of this event, or this one message." placeholder:"EVT"`
	Since   string `help:"Letters sent since: days such as 7d, a duration such as 2h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until   string `help:"Letters sent before; as --since." placeholder:"WHEN"`
}

var fingerprint = regexp.MustCompile(`^[0-9a-f]{12}$`)

// filter reads the flags.
func (c letterFilter) filter(now time.Time) (f redrive.Filter, err error) {
	f = redrive.Filter{Type: c.Type, Fingerprint: c.Error, Reason: c.Cause, Account: c.Account, ID: c.ID}
	if c.Error != "" && !fingerprint.MatchString(c.Error) {
		return f, usage("--error %q is no fingerprint: 12 hex digits, tollgate dlq list shows them", c.Error)
	}
	if strings.ContainsAny(c.Cause, " \t") {
		return f, usage("%q is no reason as tollgate dlq list shows it, one word such as handler", c.Cause)
	}
	if f.Since, err = whenOf("--since", c.Since, now); err != nil {
		return f, err
	}
	if f.Until, err = whenOf("--until", c.Until, now); err != nil {
		return f, err
	}
	if err := f.Validate(); err != nil {
		return f, usage("%v", err)
	}
	return f, nil
}

// survey reads the target's dead letters and plans to take those that are selected.
func (a *app) survey(ctx context.Context, t target, what string, s redrive.Selection, wait waitHidden) (p *redrive.Plan, rest redrive.Rest, err error) {
	reader, err := t.reader()
	if err != nil {
		return nil, rest, err
	}
	err = a.exclusive(ctx, t, what, func(ctx context.Context) error {
		watch, err := wait.begin(ctx, a, t)
		if err != nil {
			return err
		}
		progress := a.counter("read", "dead letters")
		s.Seen = progress.add
		var unreleased int
		p, unreleased, err = redrive.Survey(ctx, t.deadLetters(), reader, s, t.pass(redrive.MaxLetters))
		a.unreleased(unreleased)
		if err != nil {
			return err
		}
		rest, err = watch.Rest(ctx, redrive.Seen{Letters: p.Read, Unreleased: unreleased, More: p.More})
		return err
	})
	return p, rest, err
}

// aside is the same app with its output on stderr.
func (a *app) aside() *app {
	b := *a
	b.out = a.err
	return &b
}
