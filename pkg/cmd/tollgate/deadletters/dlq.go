// Package deadletters has the verbs on the dead-letter queue: list, show, export, purge and
// redrive. They read flags, ask and print; the work is done by package redrive.
package deadletters

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/redrive"
)

// Commands are the verbs under dlq.
type Commands struct {
	List   List   `cmd:"" help:"List dead letters, grouped by cause."`
	Show   Show   `cmd:"" help:"Show one dead letter."`
	Export Export `cmd:"" help:"Write dead letters as JSON lines."`
	Purge  Purge  `cmd:"" help:"Export dead letters, then delete them."`
}

type work struct {
	*verb.App
	target verb.Target
	dlq    *redrive.DLQ
}

func open(ctx context.Context, a *verb.App, name string) (*work, error) {
	t, records, err := a.Reader(ctx)
	if err != nil {
		return nil, err
	}
	dlq, err := a.DeadLetters(t, records, name)
	return &work{a, t, dlq}, err
}

// plan reads the dead letters and selects some, and prints progress.
func (w *work) plan(ctx context.Context, s redrive.Selection) (*redrive.Plan, error) {
	s.OnRead = w.Counter("read", "dead letters").Add
	var next time.Time
	s.OnHidden = func(n int, timeout time.Duration) {
		if now := time.Now(); now.After(next) {
			next = now.Add(w.ProgressEvery())
			fmt.Fprintf(w.Err, "waiting up to %s for %s that another reader hides\n", timeout, verb.Plural(n, "dead letter", "dead letters"))
		}
	}
	p, err := w.dlq.Plan(ctx, s)
	if err != nil {
		return nil, verb.Locked(err)
	}
	if f := s.Filter; f.Reason != "" && p.Selected == 0 && !redrive.KnownReason(f.Reason) {
		return nil, verb.Hint(verb.Usage("--reason %s: no dead letter has this reason, and Tollgate has none of this name", f.Reason), hintNote)
	}
	return p, nil
}

// hintNote is the hint when --reason is not a dead letter's reason, but probably meant as a
// note.
const hintNote = "--reason selects dead letters by the reason that tollgate dlq list shows; use --note for why you change something"

// unseen returns an error if the plan could not read every message: some are hidden, or
// none was read and the queue may not be empty.
func (w *work) unseen(p *redrive.Plan) error {
	switch {
	case p.Hidden > 0:
		return verb.Hint(fmt.Errorf("%s hidden by another reader and left out, visible again within %s", verb.Plural(p.Hidden, "dead letter is", "dead letters are"), w.dlq.Visibility()),
			"--wait-hidden waits for them; the reader is another tool, or a command that died")
	case p.Read == 0 && !p.Certain:
		return verb.Hint(errors.New("no dead letter was received, but the queue may not be empty: its counts do not stay at zero"), "run it again in a minute")
	}
	return nil
}

// errOut is the same work with its output on stderr.
func (w *work) errOut() *verb.App {
	a := *w.App
	a.Out = a.Err
	return &a
}

// filterFlags select dead letters. All that are given must match.
type filterFlags struct {
	Type    string `help:"Dead letters of this event type, or of a pattern such as invoice.*" placeholder:"TYPE"`
	Error   string `help:"Dead letters with this error: the fingerprint that dlq list shows." placeholder:"FINGERPRINT"`
	Reason  string `help:"Dead letters with this reason, as dlq list shows it: handler, max_receives, …" placeholder:"REASON"`
	Account string `help:"Dead letters of this connected account." placeholder:"ACCT"`
	ID      string `help:"Dead letters of this event, or this one message." placeholder:"EVT"`
	Since   string `help:"Dead letters sent since: days such as 7d, a duration such as 2h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until   string `help:"Dead letters sent before; as --since." placeholder:"WHEN"`
}

// waitFlag is the flag of verbs that read dead letters.
type waitFlag struct {
	WaitHidden bool `name:"wait-hidden" help:"First wait for dead letters that another reader hides, up to twice the time for which this command hides one."`
}

// limitFlag bounds what a verb reads or changes.
type limitFlag struct {
	Limit int `default:"100000" help:"Dead letters processed at most (1 to 100000)."`
}

func (f limitFlag) check() error { return verb.Between("--limit", f.Limit, 1, redrive.MaxMessages) }

var (
	fingerprint = regexp.MustCompile(`^[0-9a-f]{12}$`)
	reason      = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
)

func (c filterFlags) filter(now time.Time) (f redrive.Filter, err error) {
	f = redrive.Filter{Type: c.Type, Fingerprint: c.Error, Reason: c.Reason, Account: c.Account, ID: c.ID}
	if c.Error != "" && !fingerprint.MatchString(c.Error) {
		return f, verb.Usage("--error %q is not a fingerprint: 12 hex digits, tollgate dlq list shows them", c.Error)
	}
	if c.Reason != "" && !reason.MatchString(c.Reason) {
		return f, verb.Hint(verb.Usage("--reason %q is not the reason of a dead letter, one word such as handler", c.Reason), hintNote)
	}
	if f.Since, err = verb.When("--since", c.Since, now); err != nil {
		return f, err
	}
	if f.Until, err = verb.When("--until", c.Until, now); err != nil {
		return f, err
	}
	if err := f.Validate(); err != nil {
		return f, verb.Usage("%v", err)
	}
	return f, nil
}
