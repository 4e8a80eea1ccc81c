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

// Some events change an object of which a row is kept, by handlers that coalesce. The object's
// state is the number of its latest event, so rows can be compared: a row never goes back, and it
// includes every done event, whatever the clocks show. Stripe may answer from a lagging copy: an
// event waits until the answer includes its change.

// rowShare is n where one in n plans has kept rows.
const rowShare = 3

const rowType = "customer.subscription.updated"

// rowPlan is the part of a plan for kept rows.
type rowPlan struct {
	on   bool
	rows []bool        // by event: it changes a kept object
	copy time.Duration // lag of the copy that Stripe answers from
}

// kept reports whether event i changes its object.
func (p rowPlan) kept(i int) bool { return p.on && p.rows[i] }

func newRowPlan(rng *rand.Rand, events int) rowPlan {
	p := rowPlan{on: true}
	for range events {
		p.rows = append(p.rows, rng.IntN(4) > 0)
	}
	return p
}

// subscriptions is the real mux with one coalescing handler.
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

// forEvent is the context key of the event that a call is for, which orders calls of one moment.
type forEvent struct{}

func eventOf(ctx context.Context) string {
	id, _ := ctx.Value(forEvent{}).(string)
	return id
}

// stripe is the transport to Stripe's API for objects: it answers with the state when the request
// arrives, late or not at all, or refuses an account that revoked access.
type stripe struct{ sc *scenario }

func newStripe(sc *scenario) *stripeapi.Client {
	c, err := stripeapi.New(stripeapi.Options{
		Key: func(context.Context) (string, error) { return "sk_test", nil }, Transport: stripe{sc},
		TryTimeout: sc.limits.StripeTry, Backoff: 1, // else its random waits change the seed's run
	})
	if err != nil {
		panic(err)
	}
	return c
}

// stripeTry is the time that a read at Stripe must be given: slow is not down.
const stripeTry = 6*time.Second - time.Millisecond

// reading counts the reads at Stripe of one run of a handler.
type reading struct {
	ctx    context.Context // of the handler
	tries  int
	failed int
	late   bool // a try failed too late for another
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
	s.sc.mu.Lock() // of the event's runs the last one counts
	delete(p.refusedAccount, eventOf(ctx))
	s.sc.mu.Unlock()
	if err != nil {
		run.failed++
		run.late = run.late || left(run.ctx) < stripeTry+100*time.Millisecond
		if took := time.Since(start); errors.Is(err, context.DeadlineExceeded) && took < stripeTry && run.ctx.Err() == nil {
			s.sc.report(p, "a read at Stripe is abandoned after %v", took)
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

// currently runs the handler of an event that changes a kept object. A read that is answered in
// time, or failed once and early, must not fail the run.
func (sc *scenario) currently(ctx context.Context, f *fact, in dispatch.Input) (dispatch.Effects, error) {
	run := &reading{ctx: ctx}
	ctx = context.WithValue(context.WithValue(ctx, forEvent{}, in.ID), readingKey{}, run)
	effects, err := sc.subscriptions().Dispatch(ctx, in)
	if _, is := errors.AsType[*stripeapi.UnavailableError](err); is && run.failed < 2 && !run.late && run.ctx.Err() == nil {
		sc.report(procOf(ctx), "%s fails after %d reads at Stripe, of which %d failed early: %v", f.id, run.tries, run.failed, err)
	}
	return effects, err
}

// revoke revokes our access to a connected account until the fix.
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

// shows returns the number of an object's latest event in a copy with a lag.
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

// rowOf returns the row of an event's object.
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

// checkShown: the row includes the change of a done event.
func (sc *scenario) checkShown(f *fact) {
	if got := num(sc.rowOf(f.env), "n"); got < int64(f.n) {
		sc.violate("%s: done while the row kept of its object shows %d, before its change %d", f.id, got, f.n)
	}
}
