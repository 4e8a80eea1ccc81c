package simulation

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/stripeapi"
)

// The handlers of some events write a message to the outbox with their effects. One that
// tells of an old state, or of one from before the system began, is held: whoever runs the
// event, and however late, the state's age when the event was received decides.

// mailShare: one plan in so many has handlers that write messages.
const mailShare = 4

const mailType = "invoice.paid"

// mailPlan says, by event, how old the state was of which its message tells when it
// happened; negative for an event without a message.
type mailPlan []time.Duration

func newMailPlan(rng *rand.Rand, events int) (p mailPlan) {
	for range events {
		p = append(p, []time.Duration{-1, 0, 0, 3 * 24 * time.Hour}[rng.IntN(4)])
	}
	return p
}

func (p mailPlan) has(i int) bool { return len(p) > 0 && p[i] >= 0 }

const heldKey, sentKey = "HELD#", "OUT#"

// mailer is the real mux with a handler that writes a message with the effects of other events.
func (b business) mailer(f *fact) *dispatch.Mux {
	var begins dispatch.Begins
	if b.sc.net != nil {
		begins = mailBegins(b)
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: b.sc.stripe, Rows: rows(b), Hold: dispatch.Hold{Begins: begins}})
	dispatch.On(mux, mailType, func(ctx context.Context, e dispatch.Event[stripego.Invoice]) (dispatch.Effects, error) {
		effects, err := b.effects(ctx, e.Input)
		return append(effects, dispatch.Message(sentKey+"FACT#"+f.id+"#receipt", f.since, nil)), err
	})
	return mux
}

// mailBegins reads from when on the system handles an account's events.
type mailBegins struct{ sc *scenario }

func (m mailBegins) Begin(ctx context.Context, live bool, account string) (at time.Time, found bool, err error) {
	err = do(m.sc, ctx, opGet, "begin for "+eventOf(ctx), func() error {
		at, found = m.sc.net.begun[reconcile.Stream{Livemode: live, Account: account}]
		return nil
	})
	return at, found, err
}

// mailed checks a message when it is written. received are the times at which the event's
// messages say that it was received.
func (sc *scenario) mailed(p *proc, key string, row item) {
	id, found := strings.CutPrefix(key, sentKey+"FACT#")
	if !found {
		return
	}
	f := sc.fact(strings.TrimSuffix(id, "#receipt"))
	held := strings.HasPrefix(row["lst"].Text, heldKey)
	sc.log("a message of %s, of a state of %s: held %v", f.id, f.since.Format(time.DateTime), held)
	sc.count(map[bool]string{true: "a message is held", false: "a message is to be sent"}[held])
	old := func(at time.Time) bool { return at.Sub(f.since) > dispatch.DefaultHoldAfter }
	before := sc.net != nil && f.since.Before(sc.net.begun[f.stream()])
	late := sc.net != nil && sc.net.begunAt >= p.started // a begin was put while the event ran
	switch {
	case held && !before && !old(f.lastReceived):
		sc.violate("%s: its message is held, and its state was news when it was received", f.id)
	case !held && (before && !late || old(f.firstReceived)):
		sc.violate("%s: its message is sent, and it tells of a state from %v", f.id, f.since)
	}
}

// receivedBy notes when an event was received, as its messages say it.
func (sc *scenario) receivedBy(e event.Envelope) {
	f := sc.fact(e.ID)
	if f.firstReceived.IsZero() || e.ReceivedAt.Before(f.firstReceived) {
		f.firstReceived = e.ReceivedAt
	}
	f.lastReceived = later(f.lastReceived, e.ReceivedAt)
}
