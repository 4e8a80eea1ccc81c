package ordering_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// accident interrupts the attempt at one place of an order, between its fetch and its completion.
type accident int

const (
	died           accident = iota // never continues; its message is received again when all others are done
	overtaken                      // the next event is handled first
	overtakenByAll                 // all others are handled first
	accidents
)

// run is one order of deliveries, each event in two copies.
type run struct {
	order []int
	place int // of the attempt with the accident; past the end for none
	what  accident
}

// player plays the runs of one story.
type player struct {
	*story
	mux  *dispatch.Mux
	flaw flaw

	*idempotencytest.Memory
	clock  time.Time
	state  int         // of the object at Stripe, -1 before it exists
	sent   []time.Time // when each event's message was sent, by step
	owners int
	shows  int // the row's last state
	stuck  *frozen
}

// flaw is a way to break the guard.
type flaw struct {
	blindly bool          // a swap holds whatever the row's version is
	early   time.Duration // messages are dated too early
}

// frozen is an interrupted attempt.
type frozen struct {
	i       int
	claim   *idempotency.Claim
	effects dispatch.Effects
	outcome idempotency.Outcome
}

// newPlayer uses the product's handlers, and adds rows for events without one.
func newPlayer(s *story) *player {
	p := &player{story: s}
	p.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: p, Rows: p})
	handlers.Register(p.mux)
	for _, typ := range []string{"charge.succeeded", "charge.updated"} {
		dispatch.OnCurrent(p.mux, typ, keepCharge)
	}
	return p
}

func keepCharge(_ context.Context, e dispatch.Current[stripe.Charge]) (dispatch.Effects, error) {
	c := &e.Object
	return dispatch.Effects{e.KeepRow(fields{
		"object": "charge", "status": string(c.Status), "amount": c.Amount, "amount_refunded": c.AmountRefunded, "refunded": c.Refunded,
	})}, nil
}

// FetchObject returns the object's current state.
func (p *player) FetchObject(context.Context, string, string, string) ([]byte, error) {
	return p.states[p.state], nil
}

// play plays one run and returns the first violation.
func (p *player) play(ctx context.Context, r run) error {
	p.Memory, p.clock, p.state, p.shows, p.stuck = idempotencytest.NewMemory(nil), time.Unix(start+60, 0), -1, -1, nil
	p.sent = make([]time.Time, len(p.steps))
	for place, i := range r.order {
		p.happen(i)
		if place == r.place {
			if err := p.freeze(ctx, i); err != nil {
				return err
			}
			continue
		}
		if err := p.deliver(ctx, i); err != nil {
			return err
		}
		if p.stuck != nil && r.what == overtaken {
			if err := p.thaw(ctx); err != nil {
				return err
			}
		}
		// The copy of the previous event arrives meanwhile.
		if place > 0 {
			if err := p.deliver(ctx, r.order[place-1]); err != nil {
				return err
			}
		}
	}
	if p.stuck != nil && r.what != died {
		if err := p.thaw(ctx); err != nil {
			return err
		}
	}
	if err := p.late(ctx, r); err != nil {
		return err
	}
	return p.end(ctx)
}

// happen moves Stripe's object to its state after step i: no event is delivered before it happens.
func (p *player) happen(i int) {
	for ; p.state < i; p.state++ {
		p.sent[p.state+1] = p.clock
	}
}

// late redelivers the dead attempt's event after its lease, then lets the dead attempt write.
func (p *player) late(ctx context.Context, r run) error {
	p.clock = p.clock.Add(time.Minute)
	last := r.order[len(r.order)-1]
	if err := p.deliver(ctx, last); err != nil || p.stuck == nil {
		return err
	}
	dead := p.stuck
	p.stuck = nil
	if err := p.deliver(ctx, dead.i); err != nil {
		return err
	}
	done, err := p.Complete(ctx, dead.claim, dead.outcome, dead.effects, p.clock)
	if err != nil || done.Verdict != idempotency.SupersededDone {
		return fmt.Errorf("a dead attempt's write came to %s, %w", done.Verdict, err)
	}
	return p.look(ctx)
}

// deliver handles one copy of event i.
func (p *player) deliver(ctx context.Context, i int) error {
	claim, err := p.claim(ctx, i)
	if err != nil || claim == nil {
		return err
	}
	outcome, effects, err := p.decide(ctx, i, claim)
	if err != nil {
		return err
	}
	return p.finish(ctx, &frozen{i, claim, effects, outcome})
}

// freeze begins an attempt and stops it after its fetch.
func (p *player) freeze(ctx context.Context, i int) error {
	claim, err := p.claim(ctx, i)
	if err != nil || claim == nil {
		return fmt.Errorf("event %d cannot be claimed first: %w", i, err)
	}
	outcome, effects, err := p.decide(ctx, i, claim)
	p.stuck = &frozen{i, claim, effects, outcome}
	return err
}

// thaw continues the stopped attempt.
func (p *player) thaw(ctx context.Context) error {
	f := p.stuck
	p.stuck = nil
	return p.finish(ctx, f)
}

// claim returns nil for a copy whose event is done or held by another attempt.
func (p *player) claim(ctx context.Context, i int) (*idempotency.Claim, error) {
	p.clock = p.clock.Add(2 * time.Second)
	p.owners++
	r, err := p.Claim(ctx, idempotency.ClaimRequest{
		Event: p.events[i], Owner: fmt.Sprintf("%032d", p.owners), Now: p.clock,
		Lease: p.clock.Add(50 * time.Second), LeaseExpiredBefore: p.clock.Add(-5 * time.Second), Receives: 1, ReceivesLeft: 15,
	})
	if err != nil {
		return nil, err
	}
	switch r.Verdict {
	case idempotency.Claimed:
		return r.Claim, nil
	case idempotency.Duplicate:
		return nil, nil
	case idempotency.Busy:
		if p.stuck != nil && p.stuck.i == i {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("claim of event %d: %s", i, r.Verdict)
}

// decide runs the event's handler.
func (p *player) decide(ctx context.Context, i int, c *idempotency.Claim) (idempotency.Outcome, dispatch.Effects, error) {
	if !p.mux.Handles(p.events[i]) {
		return idempotency.Ignored, nil, nil
	}
	in := dispatch.Input{
		Envelope: p.events[i], Attempt: c.Attempt, Generation: c.Generation, FirstAt: c.FirstAt, Now: p.clock, SentAt: p.sent[i].Add(-p.flaw.early),
		FirstReceived: p.clock, // of this copy, by the queue's clock
	}
	effects, err := p.mux.Dispatch(ctx, in)
	if errors.Is(err, dispatch.ErrNotShown) { // nor after ten minutes, as the object changed back
		in.Settle = -1
		effects, err = p.mux.Dispatch(ctx, in)
	}
	if errors.Is(err, dispatch.ErrCoalesced) {
		return idempotency.AlreadyApplied, nil, nil
	}
	return idempotency.Applied, effects, err
}

// finish completes an attempt, which runs again if its row changed.
func (p *player) finish(ctx context.Context, f *frozen) error {
	for range 5 {
		if err := p.force(ctx, f.effects); err != nil {
			return err
		}
		done, err := p.Complete(ctx, f.claim, f.outcome, f.effects, p.clock)
		if err != nil {
			return err
		}
		switch done.Verdict {
		case idempotency.Completed:
			return p.look(ctx)
		case idempotency.SwapRefused:
			if f.outcome, f.effects, err = p.decide(ctx, f.i, f.claim); err != nil {
				return err
			}
		default:
			return fmt.Errorf("completion of event %d: %s, %w", f.i, done.Verdict, done.Err)
		}
	}
	return fmt.Errorf("event %d found its row changed five times", f.i)
}

// force makes swaps hold if the flaw is that they always do.
func (p *player) force(ctx context.Context, effects dispatch.Effects) error {
	for i, e := range effects {
		if !p.flaw.blindly || e.Kind != dispatch.KindSwap {
			continue
		}
		row, _, err := p.Item(ctx, e.Key)
		if err != nil {
			return err
		}
		effects[i].Ver, _ = row["ver"].(int64)
	}
	return nil
}

// row reads the object's row, "" when there is none.
func (p *player) row(ctx context.Context) (said string, err error) {
	row, found, err := p.Item(ctx, dispatch.ObjectKey(p.events[0]))
	if err != nil || !found {
		return "", err
	}
	return saysRow(row), nil
}

// look checks that the row shows its previous state or a later one.
func (p *player) look(ctx context.Context) error {
	said, err := p.row(ctx)
	if err != nil || said == "" {
		return err
	}
	last := -1
	for n, s := range p.said {
		if s != said {
			continue
		}
		if last = n; n >= p.shows {
			p.shows = n
			return nil
		}
	}
	if last < 0 {
		return fmt.Errorf("the row shows what the object never was: %s", said)
	}
	return fmt.Errorf("the row went back from state %d to %d", p.shows, last)
}

// end checks that every event is done, the row shows the last state, and other items exist once.
func (p *player) end(ctx context.Context) error {
	for _, r := range p.Records() {
		if r.State != idempotency.Done {
			return fmt.Errorf("%s ends %s", r.ID, r.State)
		}
	}
	said, err := p.row(ctx)
	if err != nil {
		return err
	}
	if want := p.said[len(p.said)-1]; said != want {
		return fmt.Errorf("the row ends wrong: %s, want %s", said, want)
	}
	for prefix, want := range p.keeps {
		n := 0
		for _, key := range p.Keys() {
			if strings.HasPrefix(key, prefix) {
				n++
			}
		}
		if n < want.least || n > want.most {
			return fmt.Errorf("%d items %s…, want %d to %d", n, prefix, want.least, want.most)
		}
	}
	return nil
}
