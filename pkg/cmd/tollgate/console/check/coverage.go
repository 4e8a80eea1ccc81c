package check

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	reconcileverb "tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/event"
	"tollgate/pkg/reconcile"
)

func coveragePages(a *verb.App) []console.Page {
	return []console.Page{{
		Path: "/coverage", Title: "Coverage", Nav: "Check/Coverage", Views: console.Parse(templates, "coverage.html"), Every: 10 * time.Second,
		Load: func(ctx context.Context, r *http.Request) (any, error) { return loadCoverage(ctx, a, r.URL.Query()) },
	}}
}

func backfillForm() job.Form {
	return job.Form{
		Path: "/coverage/backfill", Title: "Backfill", Name: "backfill", New: func() job.Verb { return &reconcileverb.Backfill{} },
		Flags: []string{"since", "until", "types", "account", "endpoint", "note"}, Bools: []string{"dry-run"},
	}
}

type coverageView struct {
	Days    int
	Report  reconcileverb.View
	Streams []stream
	Form    url.Values
}

// stream is one account in one mode, with a cell for each day, the oldest first.
type stream struct {
	Account, Mode string
	Excluded      string // why nothing of it is compared
	Endpoint      string
	Cells         []cell
}

// cell is a day, in UTC.
type cell struct {
	Day    time.Time
	State  string // covered, partial, gap, before, excluded
	Gap    time.Duration
	Errors int // events that could not be compared
}

func loadCoverage(ctx context.Context, a *verb.App, q url.Values) (v coverageView, err error) {
	v = coverageView{Days: 14, Form: q}
	if days := q.Get("days"); days != "" {
		if v.Days, err = strconv.Atoi(days); err != nil {
			return v, verb.Usage("days is a number from 1 to %d", reconcileverb.MaxDays)
		}
	}
	c := reconcileverb.Report{Days: v.Days}
	proof, broken, err := c.Prove(ctx, a)
	if err != nil {
		return v, err
	}
	v.Report = c.View(proof, broken)
	for _, s := range proof.Streams {
		v.Streams = append(v.Streams, streamOf(proof, s))
	}
	return v, nil
}

func streamOf(p reconcile.Proof, s reconcile.Stream) stream {
	out := stream{Account: s.Account, Mode: event.Mode(s.Livemode)}
	for _, e := range p.Excluded {
		if e.Stream() == s {
			out.Excluded, out.Endpoint = e.Excluded, e.Endpoint
		}
	}
	for day := p.From.UTC().Truncate(24 * time.Hour); day.Before(p.To); day = day.Add(24 * time.Hour) {
		out.Cells = append(out.Cells, cellOf(p, s, day, out.Excluded != ""))
	}
	return out
}

func cellOf(p reconcile.Proof, s reconcile.Stream, day time.Time, excluded bool) cell {
	end := day.Add(24 * time.Hour)
	c := cell{Day: day, State: "covered", Gap: overlap(p.Gaps, s, day, end)}
	for _, f := range p.Faulty {
		if f.Stream() == s && f.From.Before(end) && f.To.After(day) {
			c.Errors += f.Errors
		}
	}
	length := min(end.Sub(day), p.To.Sub(day), end.Sub(p.From))
	switch {
	case excluded:
		c.State = "excluded"
	case c.Gap >= length-time.Minute:
		c.State = "gap"
	case c.Gap > 0 || c.Errors > 0:
		c.State = "partial"
	case overlap(p.Before, s, day, end) > 0:
		c.State = "before"
	}
	return c
}

// overlap is how much of a day the gaps of a stream have.
func overlap(gaps []reconcile.Gap, s reconcile.Stream, from, to time.Time) (sum time.Duration) {
	for _, g := range gaps {
		if g.Account != s.Account || g.Livemode != s.Livemode {
			continue
		}
		begin, end := g.From, g.To.Add(time.Second) // both of a gap's seconds are in it
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}
