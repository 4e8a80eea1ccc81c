package doctor

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/policy"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/registration"
)

// Stripe calls Stripe's API with the system's key.
type Stripe interface {
	// Livemode reports the key's mode.
	Livemode(ctx context.Context) (bool, error)
	// OfOrganisation reports whether the key is an organisation's, which has no own account.
	OfOrganisation(ctx context.Context) (bool, error)
	// ListEvents returns a page of Stripe's list.
	ListEvents(ctx context.Context, q reconcile.Query) (reconcile.Page, error)
}

// CheckStripe checks that the key works. missing is the reason why there is none, or nil;
// refused reports whether Stripe answered, and said no.
func CheckStripe(c Stripe, missing error, refused func(error) bool, s Target, now func() time.Time) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "stripe"}
		if missing != nil {
			return f.warn("put a key into the system's secret, or set STRIPE_API_KEY", "not asked: %v", missing)
		}
		live, err := c.Livemode(ctx)
		organisation := false
		if err == nil {
			organisation, err = c.OfOrganisation(ctx)
		}
		if err == nil && !organisation { // the permission that the system always needs
			_, err = c.ListEvents(ctx, reconcile.Query{From: now().Add(-time.Minute), To: now()})
		}
		if err != nil && !refused(err) {
			return f.warn("can Stripe be reached from here? https://status.stripe.com; run it again", "could not be checked: %v", err)
		}
		if err != nil {
			return f.fail("put a working key into the secret: aws secretsmanager put-secret-value (infra/README.md, first deploy)", "%v", err)
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
			return f.warn("tollgate endpoint status", "could not be checked: %v", err)
		}
		// No endpoint, a disabled one or an invalid URL: nothing is delivered. A type that
		// the endpoint lacks comes late, by reconcile.
		add := f.warn
		lacks := len(p.Add) > 0 && !slices.Contains(p.Remove, "*")
		if p.Action == registration.ActionCreate || p.Action == registration.ActionRefuse || p.Enable || lacks {
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
		last, newest := lastPasses(notes, l.StopAfter)
		never := neverPassed(notes, last, at.Add(-late))
		const do = "does the reconcile function run? Look at its alarms and its log; tollgate reconcile report names the gaps. After a first deploy, wait for 15 minutes"
		gone := f.fail // a lost delivery stays lost
		if s.Local {
			gone = f.warn // it may have been off until now
		}
		switch {
		case len(last)+len(never)+len(f.list) == 0 && s.Local:
			return []Finding{{f.name, Skipped, "no pass has run here", ""}}
		case len(last)+len(never)+len(excluded) == 0 && !begin.IsZero():
			return f.or("nothing is compared before %s, where passes begin", begin.UTC().Format(time.RFC3339))
		case len(last)+len(never)+len(excluded) == 0:
			gone(do, "no pass within a day: missed deliveries are not noticed")
		}
		for _, stream := range never {
			gone(do, "no pass over %s within a day, though it is configured", streamWords(stream))
		}
		for _, stream := range slices.SortedFunc(maps.Keys(last), reconcile.Stream.Compare) {
			n, of := last[stream], streamWords(stream)
			switch ago := at.Sub(n.DoneAt); {
			case ago > 4*l.Frequent.Every: // as the alarm reconcile-incomplete
				gone(do, "the last pass over %s ended %s ago, want one every %s", of, ago.Round(time.Second), l.Frequent.Every)
			case ago > late:
				f.warn(do, "the last pass over %s ended %s ago, want one every %s", of, ago.Round(time.Second), l.Frequent.Every)
			case n.Errors > 0:
				f.warn("tollgate reconcile report", "the last pass could not read or compare %d events of %s", n.Errors, of)
			}
		}
		return f.or("the last pass ended %s ago, listed %d, enqueued %d", at.Sub(newest.DoneAt).Round(time.Second), newest.Listed, newest.Enqueued)
	}
}

// lastPasses are the last quarter-hourly pass over each account, and the last of all, whose
// slices have a note each.
func lastPasses(notes []reconcile.Covered, long time.Duration) (last map[reconcile.Stream]reconcile.Covered, newest reconcile.Covered) {
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
	for _, n := range notes {
		if n.Tier != reconcile.Frequent {
			continue
		}
		if of := last[n.Stream()]; !n.DoneAt.Equal(of.DoneAt) && n.DoneAt.After(of.DoneAt.Add(-long)) {
			of.Listed, of.Enqueued, of.Errors = of.Listed+n.Listed, of.Enqueued+n.Enqueued, of.Errors+n.Errors
			last[n.Stream()] = of
		}
	}
	return last, last[newest.Stream()]
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

// Accounts is the functions' configuration of accounts and endpoints.
type Accounts struct {
	Reconciled map[string]string        // the endpoint by account that reconcile lists, "" for the key's own
	Reconcile  map[string]policy.Policy // by endpoint, as reconcile reads them
	Consumer   map[string]policy.Policy // as the consumer does
}

// ErrConfiguration: a function's variables are invalid.
var ErrConfiguration = errors.New("the configuration cannot be read")

// AccountOwner asks Stripe's API about the system's key.
type AccountOwner interface {
	// OwnAccount returns the id of the key's account.
	OwnAccount(ctx context.Context) (string, error)
	// OfOrganisation reports whether the key is an organisation's, which has no own account.
	OfOrganisation(ctx context.Context) (bool, error)
	// Livemode reports the key's mode.
	Livemode(ctx context.Context) (bool, error)
}

const accountsVariable = "TOLLGATE_RECONCILE"

// CheckAccounts checks that reconcile lists accounts under the identity that their webhooks
// have, and under endpoints that accept them. The error of read wraps [ErrConfiguration] when
// the variables are invalid. missing is the reason why there is no key, or nil.
func CheckAccounts(read func(context.Context) (Accounts, error), stripe AccountOwner, missing error) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "accounts"}
		a, err := read(ctx)
		if errors.Is(err, ErrConfiguration) {
			return f.fail("correct the stack's options endpoints and reconcile, and deploy again", "%v", err)
		}
		if err != nil {
			return unknown(f.name, err, "lambda:GetFunctionConfiguration, of functions whose environment can be read")
		}
		if len(a.Reconcile)+len(a.Consumer) > 0 && !reflect.DeepEqual(a.Reconcile, a.Consumer) {
			f.fail(redeploy, "reconcile and consumer have different endpoints: every pass sends again what the consumer excludes")
		}
		if missing != nil {
			return f.warn("put a key into the system's secret, or set STRIPE_API_KEY", "the key's own account and mode are not known: %v", missing)
		}
		ownAccount(ctx, &f, a, stripe)
		live, err := stripe.Livemode(ctx)
		if err != nil {
			return f.warn("is the key the right one?", "its mode is not known: %v", err)
		}
		for _, e := range reconcile.Excluded(a.Reconciled, a.Reconcile, live) {
			f.fail("let the endpoint take the account, or give the account another endpoint in "+accountsVariable,
				"%s, under which %s lists it: an event whose delivery is lost is never recovered", e.Text, accountsVariable)
		}
		return f.or("%d listed, each under an endpoint that takes it", len(a.Reconciled))
	}
}

// ownAccount fails if the map names the key's own account by its id: its webhooks carry no
// account, so one event would get two identities. A key of an organisation has none.
func ownAccount(ctx context.Context, f *findings, a Accounts, stripe AccountOwner) {
	if of, err := stripe.OfOrganisation(ctx); err == nil && of {
		if _, own := a.Reconciled[""]; own {
			f.fail("name each account of the organisation instead", `%s lists "-", and the key is an organisation's, which has no account of its own`, accountsVariable)
		}
		return
	}
	named := slices.DeleteFunc(slices.Sorted(maps.Keys(a.Reconciled)), func(account string) bool { return account == "" })
	if len(named) == 0 {
		return
	}
	own, err := stripe.OwnAccount(ctx)
	if err != nil {
		f.warn("give the key the permission to read its account, or compare by hand", "%s names accounts by id, and whether one is the key's own is not known: %v", accountsVariable, err)
		return
	}
	if slices.Contains(named, own) {
		f.fail(`write "-" for it; tollgate events reidentify corrects records that were made under it`,
			"%s names %s, which is the key's own account: its webhooks carry no account, so an event that arrives by both paths is corrupt and never handled", accountsVariable, own)
	}
}
