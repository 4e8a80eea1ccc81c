package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/registration"
)

// Stripe calls Stripe's API with the system's key.
type Stripe interface {
	// Livemode reports the key's mode.
	Livemode(ctx context.Context) (bool, error)
	// ListEvents returns a page of Stripe's list.
	ListEvents(ctx context.Context, q reconcile.Query) (reconcile.Page, error)
}

// CheckStripe checks that the key works. missing is the reason why there is none, or nil.
func CheckStripe(c Stripe, missing error, s Target, now func() time.Time) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "stripe"}
		if missing != nil {
			f.warn("put a key into the system's secret, or set STRIPE_API_KEY", "not asked: %v", missing)
			return f.list
		}
		live, err := c.Livemode(ctx)
		if err == nil { // the permission that the system always needs
			_, err = c.ListEvents(ctx, reconcile.Query{From: now().Add(-time.Minute), To: now()})
		}
		if err != nil {
			f.fail("is the key the right one, and not revoked? Can Stripe be reached from here?", "%v", err)
			return f.list
		}
		if s.Known && s.Live != live {
			f.fail("give the key of the other mode", "a %s key, and the system has the other mode", event.Mode(live))
		}
		return f.or("the key works, in %s mode", event.Mode(live))
	}
}

// CheckEndpoint checks that the endpoint delivers the types that have handlers, in the API
// version that handlers read. plan compares the endpoint at Stripe with what handlers want.
func CheckEndpoint(plan func(context.Context) (registration.Plan, error)) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "endpoint"}
		p, err := plan(ctx)
		if err != nil {
			f.warn("tollgate endpoint status", "not known: %v", err)
			return f.list
		}
		// No endpoint, a disabled one or an invalid URL: nothing is delivered.
		add := f.warn
		if p.Action == registration.ActionCreate || p.Action == registration.ActionRefuse || p.Enable {
			add = f.fail
		}
		for _, t := range p.Findings {
			if t.Level == registration.Problem {
				add(t.Fix, "%s", strings.TrimSpace(t.Endpoint+" "+t.What))
			}
		}
		if len(f.list) == 0 && !p.UpToDate() {
			add("tollgate endpoint plan, then tollgate endpoint apply", "the registration differs from what handlers need (%s)", p.Action)
		}
		return f.or("%s takes %d types in API version %s", p.Endpoint, len(p.Wanted.Events), p.Wanted.APIVersion)
	}
}

// Coverage returns the notes of slices of Stripe's list that were compared and begin in
// [from, to), and the keys of those that cannot be read.
type Coverage func(ctx context.Context, from, to time.Time) (notes []reconcile.Covered, broken []string, err error)

// CheckReconcile checks that a pass of the last 45 minutes compared each configured account,
// and that no policy excludes one.
func CheckReconcile(covered Coverage, s Target, now func() time.Time) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "reconcile"}
		l := s.Limits.Reconcile
		late := 3 * l.Frequent.Every
		at := now()
		// A note is stored under the beginning of its window.
		notes, broken, err := covered(ctx, at.Add(-l.Frequent.Span-l.SettleLag-24*time.Hour), at)
		if err != nil {
			return unknown(f.name, err, "dynamodb:Query on the table's index list")
		}
		for _, key := range broken {
			f.warn("delete the item: a pass compares its slice again", "the note %s of a finished slice cannot be read", key)
		}
		excluded := reconcile.ExcludedBy(notes)
		for _, n := range excluded {
			f.warn("change endpoints or reconcile in the stack's configuration: an event of it whose delivery is lost is never recovered",
				"%s is not compared: the policy of endpoint %s excludes it (%s)", streamWords(n.Stream()), n.Endpoint, n.Excluded)
		}
		var begin time.Time // of an account whose first pass is not due yet
		treated := reconcile.Treated(notes)
		notes = slices.DeleteFunc(notes, func(n reconcile.Covered) bool {
			how := treated[n.Stream()]
			if how.Excluded == "" && how.Since.After(at.Add(-late)) && n.From.Before(how.Since) {
				begin = how.Since
				return true
			}
			return how.Excluded != ""
		})
		last, newest := lastPasses(notes)
		never := neverPassed(notes, last, at.Add(-late))
		const do = "does the reconcile function run? Look at its alarms and its log; tollgate reconcile report names the gaps"
		switch {
		case len(last)+len(never)+len(f.list) == 0 && s.Local:
			return []Finding{{f.name, Skipped, "no pass has run here", ""}}
		case len(last)+len(never)+len(excluded) == 0 && !begin.IsZero():
			return f.or("nothing is compared before %s, where passes begin", begin.UTC().Format(time.RFC3339))
		case len(last)+len(never)+len(excluded) == 0:
			f.warn(do, "no pass within a day: missed deliveries are not noticed")
		}
		for _, stream := range never {
			f.warn(do, "no pass over %s within a day, though it is configured", streamWords(stream))
		}
		for _, stream := range slices.SortedFunc(maps.Keys(last), reconcile.Stream.Compare) {
			n, of := last[stream], streamWords(stream)
			switch ago := at.Sub(n.DoneAt); {
			case ago > late:
				f.warn(do, "the last pass over %s ended %s ago, want one every %s", of, ago.Round(time.Second), l.Frequent.Every)
			case n.Errors > 0:
				f.warn("tollgate reconcile report", "the last pass could not read or compare %d events of %s", n.Errors, of)
			}
		}
		return f.or("the last pass ended %s ago, listed %d, enqueued %d", at.Sub(newest.DoneAt).Round(time.Second), newest.Listed, newest.Enqueued)
	}
}

// lastPasses are the last quarter-hourly pass over each account, and the last of all.
func lastPasses(notes []reconcile.Covered) (last map[reconcile.Stream]reconcile.Covered, newest reconcile.Covered) {
	last = map[reconcile.Stream]reconcile.Covered{}
	for _, n := range notes {
		if n.Tier != reconcile.Frequent {
			continue
		}
		if of := n.Stream(); n.DoneAt.After(last[of].DoneAt) {
			last[of] = n
		}
		if n.DoneAt.After(newest.DoneAt) {
			newest = n
		}
	}
	return last, newest
}

// neverPassed are the accounts that no pass has compared, though one was due.
func neverPassed(notes []reconcile.Covered, last map[reconcile.Stream]reconcile.Covered, by time.Time) (never []reconcile.Stream) {
	for _, n := range notes {
		of := n.Stream()
		if _, passed := last[of]; n.Tier == reconcile.Configured && n.Excluded == "" && n.DoneAt.Before(by) && !passed && !slices.Contains(never, of) {
			never = append(never, of)
		}
	}
	slices.SortFunc(never, reconcile.Stream.Compare)
	return never
}

func streamWords(s reconcile.Stream) string {
	account := "the key's own account"
	if s.Account != "" {
		account = "account " + s.Account
	}
	return account + " in " + event.Mode(s.Livemode) + " mode"
}
