package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/stripeapi"
)

// Some events change an object of which a row is kept, with handlers that coalesce. The
// object's state is the number of its latest event, so what a row shows can be compared:
// it never goes back, and an event that is done is in it, whatever the clocks say. Each
// consumer has a clock of its own, which may jump, and the queue has another. Stripe may
// answer from a copy that lags: an event waits until the answer shows what it announced.

// rowShare: one plan in so many has kept rows.
const rowShare = 3

const rowType = "customer.subscription.updated"

// rowPlan is the part of a plan that is about kept rows.
type rowPlan struct {
	on   bool
	rows []bool        // by event: it changes a kept object
	copy time.Duration // how far the copy lags that Stripe answers from
}

// draw makes an event one that changes its object.
func (p rowPlan) kept(i int) bool { return p.on && p.rows[i] }

func newRowPlan(rng *rand.Rand, events int) rowPlan {
	p := rowPlan{on: true}
	for range events {
		p.rows = append(p.rows, rng.IntN(4) > 0)
	}
	return p
}

// subscriptions is the real mux with one coalescing handler, over the scenario's Stripe and
// table.
func (sc *scenario) subscriptions() *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: sc.stripe, Rows: rows{sc}})
	dispatch.OnCurrent(mux, rowType, func(_ context.Context, e dispatch.Current[stripego.Subscription]) (dispatch.Effects, error) {
		n, err := strconv.ParseInt(e.Object.Metadata["n"], 10, 64)
		return dispatch.Effects{e.KeepRow(dispatch.Fields{"n": n})}, err
	}, dispatch.Coalesce, dispatch.Announces(func(now *stripego.Subscription, in dispatch.Input) bool {
		shown, err := strconv.Atoi(now.Metadata["n"])
		return err == nil && shown >= sc.fact(in.ID).n
	}))
	return mux
}

// forEvent says in a context which event a call is for: calls at one moment are told
// apart by it.
type forEvent struct{}

func eventOf(ctx context.Context) string {
	id, _ := ctx.Value(forEvent{}).(string)
	return id
}

// stripe is Stripe's API to who asks for an object: it shows the state of the moment at which
// the request arrives, late or not at all, or refuses an account that revoked its access.
type stripe struct{ sc *scenario }

func newStripe(sc *scenario) *stripeapi.Client {
	c, err := stripeapi.New(stripeapi.Options{
		Key: func(context.Context) (string, error) { return "sk_test", nil }, Transport: stripe{sc},
		TryTimeout: sc.limits.StripeTry, Backoff: 1, // whose random waits would make a seed differ
	})
	if err != nil {
		panic(err)
	}
	return c
}

// stripeTry is the shortest time that a read at Stripe is given: it is slow, and not down.
const stripeTry = 6*time.Second - time.Millisecond

// reading is what one run of a handler reads at Stripe.
type reading struct {
	ctx    context.Context // the handler's
	tries  int
	failed int
	late   bool // a try failed when there was no time left for another
}

type readingKey struct{}

// RoundTrip implements http.RoundTripper.
func (s stripe) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, p := r.Context(), procOf(r.Context())
	run, _ := ctx.Value(readingKey{}).(*reading)
	if run.tries++; run.tries > 1 && left(run.ctx) < stripeTry {
		s.sc.report(p, "a read at Stripe is repeated with %v left", left(run.ctx))
	}
	id, account := path.Base(r.URL.Path), r.Header.Get("Stripe-Account")
	answer, start := httptest.NewRecorder(), time.Now()
	err := do(s.sc, ctx, opObject, id+" for "+eventOf(ctx), func() error {
		if account != "" && s.sc.revoked[account] {
			s.sc.count("Stripe refuses a revoked account")
			answer.WriteHeader(http.StatusForbidden)
			_, _ = answer.WriteString(`{"error":{"code":"account_invalid"}}`)
			return nil
		}
		_, _ = answer.Write(subscription(id, s.sc.shows(id, account, s.sc.plan.rows.copy)))
		return nil
	})
	if err != nil {
		run.failed++
		run.late = run.late || left(run.ctx) < stripeTry+100*time.Millisecond
		if took := time.Since(start); errors.Is(err, context.DeadlineExceeded) && took < stripeTry && run.ctx.Err() == nil {
			s.sc.report(p, "a read at Stripe is given up after %v", took)
		}
		return nil, err
	}
	if answer.Code == http.StatusForbidden {
		s.sc.mu.Lock()
		p.refusedAccount = noted(p.refusedAccount, eventOf(ctx))
		s.sc.mu.Unlock()
	}
	return answer.Result(), nil
}

func left(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return time.Until(end)
}

// currently runs the handler of an event that changes a kept object. A read that Stripe
// answers in time, or that failed once and early, does not fail the run.
func (sc *scenario) currently(ctx context.Context, f *fact, in dispatch.Input) (dispatch.Effects, error) {
	run := &reading{ctx: ctx}
	ctx = context.WithValue(context.WithValue(ctx, forEvent{}, in.ID), readingKey{}, run)
	effects, err := sc.subscriptions().Dispatch(ctx, in)
	if _, is := errors.AsType[*stripeapi.UnavailableError](err); is && run.failed < 2 && !run.late && run.ctx.Err() == nil {
		sc.report(procOf(ctx), "%s fails after %d reads at Stripe, of which %d failed early: %v", f.id, run.tries, run.failed, err)
	}
	return effects, err
}

// revoke ends our access to a connected account until the fix.
func (sc *scenario) revoke() {
	if sc.plan.policies.on && !sc.deployed {
		account := []string{"acct_eu", "acct_us"}[sc.rng.IntN(2)]
		sc.revoked[account] = true
		sc.log("access to %s is revoked", account)
	}
}

func subscription(id string, n int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"subscription","metadata":{"n":"%d"}}`, id, n)
}

// shows is the number of the latest event of an object that a copy shows which lags.
func (sc *scenario) shows(object, account string, lag time.Duration) (n int) {
	for _, f := range sc.facts {
		if f.n > 0 && f.env.ObjectID == object && f.env.Account == account && !f.happened.After(time.Now().Add(-lag)) {
			n = max(n, f.n)
		}
	}
	return n
}

type rows struct{ sc *scenario }

func (r rows) Item(ctx context.Context, key string) (map[string]any, bool, error) {
	row, err := r.sc.table.read(ctx, key, eventOf(ctx))
	return row, len(row) > 0, err
}

// rowOf is the item that is kept of an event's object.
func (sc *scenario) rowOf(e event.Envelope) item { return sc.table.items[dispatch.ObjectKey(e)] }

// checkRow: a kept row never goes back.
func (sc *scenario) checkRow(key string, old, fresh item) {
	if strings.HasPrefix(key, "OBJ#live#") || strings.HasPrefix(key, "OBJ#test#") {
		sc.log("row %s: %d (was %d)", key, num(fresh, "n"), num(old, "n"))
		if num(fresh, "n") < num(old, "n") {
			sc.violate("%s goes back from %d to %d", key, num(old, "n"), num(fresh, "n"))
		}
	}
}

// checkShown: the row shows what a done event changed.
func (sc *scenario) checkShown(f *fact) {
	if got := num(sc.rowOf(f.env), "n"); got < int64(f.n) {
		sc.violate("%s: done while the row kept of its object shows %d, before its change %d", f.id, got, f.n)
	}
}
