package main

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/dynamostore"
)

// auditCmds read the audit trail.
type auditCmds struct {
	List auditListCmd `cmd:"" help:"List what operators changed, and why."`
}

// auditListCmd lists entries.
type auditListCmd struct {
	Since string `default:"7d" help:"Entries since: days such as 7d, a duration such as 2h, or a time (RFC 3339). Default: 7d, at most 400d." placeholder:"WHEN"`
	Verb  string `help:"Entries of this verb, for example redrive; dlq also means dlq purge." placeholder:"VERB"`
	Limit int    `default:"100" help:"Entries listed (1 to 10000)."`
}

// Help returns the text that --help prints with the flags.
func (auditListCmd) Help() string {
	return `Each changing verb writes an entry when it begins and its outcome when it ends. An entry without an end is of a verb that runs, or of one that died: then look at what it was doing. Newest first; an entry shows up a moment after it was written. Entries are kept for good.

  tollgate audit list --since 30d --verb "events replay"`
}

// auditView is an entry for machines.
type auditView struct {
	ID        string  `json:"id"`
	Verb      string  `json:"verb"`
	By        string  `json:"by"`
	Why       string  `json:"why"`
	Detail    string  `json:"detail"`
	Target    string  `json:"target"`
	StartedAt *string `json:"started_at"`
	EndedAt   *string `json:"ended_at"` // null: no end is known
	Outcome   string  `json:"outcome"`
}

// Run lists entries; none is no failure.
func (c *auditListCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return usage("--limit is 1 to 10000")
	}
	now := time.Now()
	since, err := whenOf("--since", c.Since, now)
	if err != nil {
		return err
	}
	if now.Sub(since) > 400*24*time.Hour || since.After(now) {
		return usage("--since is at most 400 days ago, and not in the future")
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	reader, err := t.reader()
	if err != nil {
		return err
	}
	// What begins at another machine's clock may begin a little later than now.
	entries, more, err := reader.Audit(ctx, dynamostore.AuditRequest{
		Since: since, Until: now.Add(time.Minute), Verb: c.Verb, Limit: c.Limit,
	})
	if err != nil {
		return err
	}
	a.entries(entries, now)
	if more {
		fmt.Fprintf(a.err, "there are more than %d (--limit)\n", c.Limit)
	}
	return nil
}

func (a *app) entries(entries []dynamostore.AuditEntry, now time.Time) {
	if a.json {
		for _, e := range entries {
			a.object(auditView{
				ID: e.ID, Verb: e.Verb, By: e.By, Why: e.Why, Detail: e.Detail, Target: e.Target,
				StartedAt: stamp(e.StartedAt), EndedAt: stamp(e.EndedAt), Outcome: e.Outcome,
			})
		}
		return
	}
	if len(entries) == 0 {
		fmt.Fprintln(a.out, "No entries: nobody changed anything in this time.")
		return
	}
	rows := make([][]string, len(entries))
	for i, e := range entries {
		took, outcome := "-", "no end known"
		if !e.EndedAt.IsZero() {
			took, outcome = e.EndedAt.Sub(e.StartedAt).Round(100*time.Millisecond).String(), e.Outcome
		}
		rows[i] = []string{
			shortTime(e.StartedAt, now), took, clip(e.Verb, 24), clip(e.By, 40), dash(clip(e.Why, 40)), dash(clip(e.Detail, 60)), dash(clip(outcome, 80)),
		}
	}
	a.table([]string{"began", "took", "verb", "by", "because", "what", "outcome"}, rows)
}
