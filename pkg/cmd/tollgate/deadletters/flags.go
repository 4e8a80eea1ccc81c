package deadletters

import (
	"regexp"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/redrive"
)

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

// filter reads the flags.
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
