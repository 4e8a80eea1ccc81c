package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
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

// befall makes an event one that changes its object.
func (p rowPlan) kept(i int) bool { return p.on && p.rows[i] }

func newRowPlan(rng *rand.Rand, events int) rowPlan {
	p := rowPlan{on: true}
	for range events {
		p.rows = append(p.rows, rng.IntN(4) > 0)
	}
	return p
}

// subscriptions is the real mux with one coalescing handler, over the world's Stripe and
// table.
func (w *world) subscriptions() *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: objects{w}, Rows: rows{w}})
	dispatch.OnCurrent(mux, rowType, func(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
		n, err := strconv.ParseInt(e.Object.Metadata["n"], 10, 64)
		return dispatch.Effects{e.KeepRow(dispatch.Fields{"n": n})}, err
	}, dispatch.Coalesce, dispatch.Announces(func(now *stripe.Subscription, in dispatch.Input) bool {
		shown, err := strconv.Atoi(now.Metadata["n"])
		return err == nil && shown >= w.fact(in.ID).n
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

// objects is Stripe's answer to who asks for an object: its state at the moment at which
// the request arrives.
type objects struct{ w *world }

func (o objects) FetchObject(ctx context.Context, account, _, id string) (body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	err = do(o.w, ctx, opObject, id+" for "+eventOf(ctx), func() error {
		body = subscription(id, o.w.shows(id, account, o.w.plan.rows.copy))
		return nil
	})
	return body, err
}

func subscription(id string, n int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"subscription","metadata":{"n":"%d"}}`, id, n)
}

// shows is the number of the latest event of an object that a copy shows which lags.
func (w *world) shows(object, account string, lag time.Duration) (n int) {
	for _, f := range w.facts {
		if f.n > 0 && f.env.ObjectID == object && f.env.Account == account && !f.happened.After(time.Now().Add(-lag)) {
			n = max(n, f.n)
		}
	}
	return n
}

type rows struct{ w *world }

func (r rows) Item(ctx context.Context, key string) (map[string]any, bool, error) {
	row, err := r.w.table.read(ctx, key, eventOf(ctx))
	return row, len(row) > 0, err
}

// rowOf is the item that is kept of an event's object.
func (w *world) rowOf(e event.Envelope) item { return w.table.items[dispatch.ObjectKey(e)] }

// checkRow: a kept row never goes back.
func (w *world) checkRow(key string, old, fresh item) {
	if strings.HasPrefix(key, "OBJ#live#") || strings.HasPrefix(key, "OBJ#test#") {
		w.log("row %s: %d (was %d)", key, num(fresh, "n"), num(old, "n"))
		if num(fresh, "n") < num(old, "n") {
			w.violate("%s goes back from %d to %d", key, num(old, "n"), num(fresh, "n"))
		}
	}
}

// checkShown: the row shows what a done event changed.
func (w *world) checkShown(f *fact) {
	if got := num(w.rowOf(f.env), "n"); got < int64(f.n) {
		w.violate("%s: done while the row kept of its object shows %d, before its change %d", f.id, got, f.n)
	}
}
