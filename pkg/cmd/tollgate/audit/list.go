// Package audit has the verb for the audit trail of changes.
package audit

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
)

// Commands are the verbs.
type Commands struct {
	List List `cmd:"" help:"List what operators changed, and why."`
}

// List lists entries of the audit trail.
type List struct {
	Since string `default:"7d" help:"Entries since: days such as 7d, a duration such as 2h, or a time (RFC 3339). Default: 7d, at most 400d." placeholder:"WHEN"`
	Verb  string `help:"Entries of this verb, for example redrive; dlq also means dlq purge." placeholder:"VERB"`
	Limit int    `default:"100" help:"Entries listed (1 to 10000)."`
}

func (List) Help() string {
	return `Each changing verb writes an entry when it begins and its outcome when it ends. An entry without an end belongs to a verb that is running or that died. Newest first; a new entry appears after a moment. Entries are never deleted.

  tollgate audit list --since 30d --verb "events replay"`
}

// View is an entry as JSON.
type View struct {
	ID        string  `json:"id"`
	Verb      string  `json:"verb"`
	By        string  `json:"by"`
	Why       string  `json:"why"`
	Detail    string  `json:"detail"`
	Target    string  `json:"target"`
	StartedAt *string `json:"started_at"`
	EndedAt   *string `json:"ended_at"` // null: running or died
	Outcome   string  `json:"outcome"`
}

// Found are entries, the newest first.
type Found struct {
	Entries []dynamostore.AuditEntry
	More    bool // there are others of that time
}

// Run lists entries. No entries is not a failure.
func (c *List) Run(ctx context.Context, a *verb.App) error {
	found, err := c.Load(ctx, a)
	if err != nil {
		return err
	}
	verb.List(a, found.Entries, viewOf, "No entries.", "began|took|verb|by|because|what|outcome", row)
	if found.More {
		fmt.Fprintf(a.Err, "there are more than %d (--limit)\n", c.Limit)
	}
	return nil
}

// Load reads entries.
func (c *List) Load(ctx context.Context, a *verb.App) (found Found, err error) {
	if c.Limit < 1 || c.Limit > 10_000 {
		return found, verb.Usage("--limit is 1 to 10000")
	}
	now := time.Now()
	since, err := verb.When("--since", c.Since, now)
	if err != nil {
		return found, err
	}
	if now.Sub(since) > 400*24*time.Hour || since.After(now) {
		return found, verb.Usage("--since is at most 400 days ago, and not in the future")
	}
	_, reader, err := a.Reader(ctx)
	if err != nil {
		return found, err
	}
	// The clock of another machine may be ahead.
	found.Entries, found.More, err = reader.Audit(ctx, dynamostore.AuditRequest{
		Since: since, Until: now.Add(time.Minute), Verb: c.Verb, Limit: c.Limit,
	})
	return found, err
}

func viewOf(e dynamostore.AuditEntry) any {
	return View{
		ID: e.ID, Verb: e.Verb, By: e.By, Why: e.Why, Detail: e.Detail, Target: e.Target,
		StartedAt: verb.Stamp(e.StartedAt), EndedAt: verb.Stamp(e.EndedAt), Outcome: e.Outcome,
	}
}

func row(e dynamostore.AuditEntry) []string {
	took, outcome := "-", "running or died"
	if !e.EndedAt.IsZero() {
		took, outcome = e.EndedAt.Sub(e.StartedAt).Round(100*time.Millisecond).String(), e.Outcome
	}
	return []string{
		verb.ShortTime(e.StartedAt, time.Now()), took, verb.Clip(e.Verb, 24), verb.Clip(e.By, 40), verb.Dash(verb.Clip(e.Why, 40)), verb.Dash(verb.Clip(e.Detail, 60)), verb.Dash(outcome),
	}
}
