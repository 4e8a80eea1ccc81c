package simulation

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/stripeapi"
)

// Some handlers write a message to the outbox with their effects. A message about an old state, or
// one from before the system's start or the end of a table's restore, is held. The state's age when the event was received decides,
// however late the event runs.

// mailShare is n where one in n plans has handlers that write messages.
const mailShare = 4

const mailType = "invoice.paid"

// mailPlan holds, by event, the age of its message's state when the event happened; negative for
// events without a message. The table was restored until a time after the scenario's start, 0 for
// never.
type mailPlan struct {
	ages     []time.Duration
	restored time.Duration
}

func newMailPlan(rng *rand.Rand, events int) (p mailPlan) {
	for range events {
		p.ages = append(p.ages, []time.Duration{-1, 0, 0, 3 * 24 * time.Hour}[rng.IntN(4)])
	}
	p.restored = []time.Duration{0, 0, time.Second, time.Minute}[rng.IntN(4)]
	return p
}

func (p mailPlan) has(i int) bool { return len(p.ages) > 0 && p.ages[i] >= 0 }

// restoredFrom returns the end of the table's restore, zero for none.
func (p mailPlan) restoredFrom(start time.Time) (end time.Time) {
	if p.restored > 0 {
		end = start.Add(p.restored)
	}
	return end
}

const heldKey, sentKey = "HELD#", "OUT#"

// mailer is the real mux with a handler that adds a message to the usual effects.
func (b business) mailer(f *fact) *dispatch.Mux {
	var begins dispatch.Begins
	if b.sc.reconciler != nil {
		begins = mailBegins(b)
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: b.sc.stripe, Rows: rows(b), Hold: dispatch.Hold{Begins: begins, Before: b.sc.restored}})
	dispatch.On(mux, mailType, func(ctx context.Context, e dispatch.Event[stripego.Invoice]) (dispatch.Effects, error) {
		effects, err := b.effects(ctx, e.Input)
		return append(effects, dispatch.Message(sentKey+"FACT#"+f.id+"#receipt", f.since, nil)), err
	})
	return mux
}

// mailBegins reads the begin of an account's history.
type mailBegins struct{ sc *scenario }

func (m mailBegins) Begin(ctx context.Context, live bool, account string) (at time.Time, found bool, err error) {
	err = do(m.sc, ctx, opGet, "begin for "+eventOf(ctx), func() error {
		at, found = m.sc.reconciler.begun[reconcile.Stream{Livemode: live, Account: account}]
		return nil
	})
	return at, found, err
}

// mailed checks a message when it is written.
func (sc *scenario) mailed(p *proc, key string, row item) {
	id, found := strings.CutPrefix(key, sentKey+"FACT#")
	if !found {
		return
	}
	f := sc.fact(strings.TrimSuffix(id, "#receipt"))
	held := strings.HasPrefix(row["lst"].Text, heldKey)
	sc.log("a message of %s, of a state of %s: held %v", f.id, f.since.Format(time.DateTime), held)
	sc.count(map[bool]string{true: "a message is held", false: "a message is to be sent"}[held])
	old := func(at time.Time) bool { return at.Sub(f.since) > limits.HoldAfter }
	before := sc.reconciler != nil && f.since.Before(sc.reconciler.begun[f.stream()])
	forgotten := f.since.Before(sc.restored)
	if held && forgotten {
		sc.count("a message from before a restore's end is held")
	}
	late := sc.reconciler != nil && sc.reconciler.begunAt >= p.started // a begin was written while the event ran
	switch {
	case held && !before && !forgotten && !old(f.lastReceived):
		sc.violate("%s: its message is held, and its state was news when it was received", f.id)
	case !held && (forgotten || before && !late || old(f.firstReceived)):
		sc.violate("%s: its message is sent, and it tells of a state from %v", f.id, f.since)
	}
}

// receivedBy records an event's times of receipt, as its messages carry them.
func (sc *scenario) receivedBy(e event.Envelope) {
	f := sc.fact(e.ID)
	if f.firstReceived.IsZero() || e.ReceivedAt.Before(f.firstReceived) {
		f.firstReceived = e.ReceivedAt
	}
	f.lastReceived = later(f.lastReceived, e.ReceivedAt)
}
