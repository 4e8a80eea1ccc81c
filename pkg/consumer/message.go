package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// attempt is one run of one message, claimed or not.
type attempt struct {
	*batch
	m     queue.Message
	env   event.Envelope
	claim *idempotency.Claim

	opened    bool // env was checked against its body
	written   bool // the record shows the attempt; an unclaimed one has no number before
	coalesced bool // the run ended without a fetch: the object's row shows the event's change, or there is none

	ran  bool          // of the handler
	took time.Duration // all its runs, with what they fetched
}

// message handles one message: decode, policy, pause, claim if one is needed, run, complete.
func (b *batch) message(m queue.Message) result {
	env, err := queue.Decode(m.Body)
	if errors.Is(err, queue.ErrNewer) {
		return b.newer(m, env, err)
	}
	if err != nil {
		return b.deadLetterUnclaimed(m, env, dispatch.ReasonUndecodable, err)
	}
	if b.c.cfg.Handlers.Handles(env) {
		if v := b.c.cfg.Policies[env.Endpoint].Judge(env); v.Action != policy.Accept {
			return b.excluded(m, env, v)
		}
	}
	if r, stop := b.held(m, env); stop {
		return r
	}
	if r, stop := b.stops(m, env); stop {
		return r
	}
	if b.needsNoClaim(m, env) {
		a := &attempt{batch: b, m: m, env: env, claim: idempotency.WithoutClaim(b.request(m, env))}
		return a.run()
	}
	return b.claimAndRun(m, env)
}

// stops reports whether the batch begins nothing more, or has no time for another run.
func (b *batch) stops(m queue.Message, env event.Envelope) (result, bool) {
	switch {
	case b.storeDown.Load():
		return b.c.storeDown(m, env, idempotency.ErrStoreDown), true
	case b.stuck.Load() || b.left() < b.c.cfg.Limits.HandlerBudget+b.c.cfg.Limits.RecordBudget:
		return b.c.noTime(m, env), true
	}
	return result{}, false
}

// needsNoClaim reports whether the message's run may begin without a claim. From the second
// receive on the claim is what shows a message whose event kills the process; without a receive
// left such a message would get into the dead-letter queue without a record. A replayed event
// has a record.
func (b *batch) needsNoClaim(m queue.Message, env event.Envelope) bool {
	h := b.c.cfg.Handlers
	return m.Receives == 1 && b.receivesLeft(m) > 0 && env.Source != event.Replay && (!h.Handles(env) || h.Pure(env))
}

func (b *batch) claimAndRun(m queue.Message, env event.Envelope) result {
	ctx, cancel := b.detachedContext()
	claimed, err := b.c.cfg.Store.Claim(ctx, b.request(m, env))
	cancel()
	if err != nil {
		return b.storeFault(m, env, err)
	}
	switch claimed.Verdict {
	case idempotency.Claimed:
		a := &attempt{batch: b, m: m, env: env, claim: claimed.Claim}
		return a.run()
	case idempotency.Duplicate:
		return b.c.duplicate(m, env, claimed)
	case idempotency.Busy:
		return result{env: env, outcome: outcomeBusy, delay: b.c.untilLease(claimed.Lease)}
	default:
		return b.deadLetterUnclaimed(m, env, dispatch.ReasonCorrupt, cmp.Or(claimed.Err, idempotency.ErrIdentity))
	}
}

func (b *batch) request(m queue.Message, env event.Envelope) idempotency.ClaimRequest {
	l, now := b.c.cfg.Limits, b.c.cfg.Now()
	return idempotency.ClaimRequest{
		Event: env, Owner: b.c.cfg.Owner(), Now: now,
		Lease:              b.deadline.Add(l.LeaseSlack),
		LeaseExpiredBefore: now.Add(-l.TakeOverMargin),
		Receives:           m.Receives,
		ReceivesLeft:       b.receivesLeft(m),
	}
}

// superseded is the result of an attempt whose record another one holds, until a lease. A run
// without a claim is forgotten, and its message handled again under a claim.
func (a *attempt) superseded(lease time.Time, err error) result {
	r := result{delay: a.c.untilLease(lease), err: err, stuck: errors.Is(err, ErrStuck)}
	if a.claim.Unclaimed == nil || r.stuck {
		return a.result(outcomeSuperseded, r)
	}
	env := a.claim.Unclaimed.Event
	if r, stop := a.stops(a.m, env); stop {
		return r
	}
	return a.claimAndRun(a.m, env)
}

func (b *batch) receivesLeft(m queue.Message) int {
	return max(0, b.c.cfg.Limits.MaxReceives-m.Receives)
}

// run calls the handler and completes the record, again while a swap is refused.
func (a *attempt) run() result {
	if !a.c.cfg.Handlers.Handles(a.env) {
		r, _ := a.complete(idempotency.Ignored, nil) // nothing to swap
		return r
	}
	// The handler's budget starts now and leaves time to write the record.
	l := a.c.cfg.Limits
	end := a.c.cfg.Now().Add(min(l.HandlerBudget, a.left()-l.RecordBudget-l.HandlerGrace))
	ctx, cancel := context.WithTimeout(a.ctx, end.Sub(a.c.cfg.Now()))
	defer cancel()

	for n := range l.HandlerRuns {
		if n > 0 && !a.backoffBetweenRuns(ctx, n) {
			break
		}
		begun := a.c.cfg.Now()
		outcome, effects, err := a.decide(ctx)
		a.ran, a.took = true, a.took+max(0, a.c.cfg.Now().Sub(begun))
		if err != nil {
			return a.failed(err)
		}
		r, again := a.complete(outcome, effects)
		if !again {
			return r
		}
	}
	return a.failed(errors.New("an item changed under every run of the handler"))
}

// swapWait bounds the wait before the second run; it doubles with each further one.
const swapWait = 50 * time.Millisecond

// backoffBetweenRuns waits a random time before run n, so that attempts which swap the same
// item do not collide again. It returns false when the handler's time is over.
func (a *attempt) backoffBetweenRuns(ctx context.Context, n int) bool {
	wait := time.NewTimer(time.Duration(a.c.cfg.Rand() * float64(swapWait<<n)))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
		return ctx.Err() == nil
	}
}

// decide returns the outcome: what the handler returned, or already applied when the object
// was fetched and stored since for another event.
func (a *attempt) decide(ctx context.Context) (idempotency.Outcome, dispatch.Effects, error) {
	if err := a.open(ctx); err != nil {
		return "", nil, err
	}
	effects, err := a.handle(ctx)
	if a.coalesced = errors.Is(err, dispatch.ErrCoalesced); a.coalesced {
		return idempotency.AlreadyApplied, effects, nil
	}
	return idempotency.Applied, effects, err
}

// open fetches the body of an id-only event and checks it against the message header, by
// which policy and record were decided. A fetched body is in the account's API version, so
// attributes that do not identify the event are taken from it.
func (a *attempt) open(ctx context.Context) error {
	if a.opened {
		return nil
	}
	body, carried := a.env.Body, a.env.Body != nil
	if !carried {
		var err error
		if body, err = a.c.cfg.Fetcher.FetchEvent(ctx, a.env.Account, a.env.ID, a.env.Thin()); err != nil {
			return fmt.Errorf("fetch event: %w", err)
		}
	}
	inside, err := event.Parse(body)
	if err != nil {
		return dispatch.Park(dispatch.ReasonCorrupt, fmt.Errorf("read event: %w", err))
	}
	if a.env.Account == "" && inside.AccountFrom == event.FromContext {
		if err := a.adopt(inside); err != nil {
			return err
		}
	}
	same := inside.SameFact(a.env) && inside.Livemode == a.env.Livemode &&
		(inside.Account == "" || inside.Account == a.env.Account)
	if carried {
		same = same && inside.Object == a.env.Object && inside.APIVersion == a.env.APIVersion && inside.ObjectID == a.env.ObjectID
	}
	if !same {
		return dispatch.Park(dispatch.ReasonCorrupt, errors.New("event body does not match the message header"))
	}
	// Account, endpoint and source are known from the message alone.
	inside.Account, inside.AccountFrom, inside.Endpoint = a.env.Account, a.env.AccountFrom, a.env.Endpoint
	inside.Source, inside.ReceivedAt = a.env.Source, a.env.ReceivedAt
	inside.Body = body
	a.env, a.opened = inside, true
	return nil
}

// adopt takes the account from the body of an id-only message by a release that ignored
// context. Its endpoint's policy could not be asked about that account before.
func (a *attempt) adopt(inside event.Envelope) error {
	inside.Endpoint = a.env.Endpoint
	if v := a.c.cfg.Policies[inside.Endpoint].Judge(inside); v.Action != policy.Accept {
		return dispatch.Park(v.Reason, errors.New(v.Text))
	}
	a.env.Account, a.env.AccountFrom = inside.Account, event.FromBody
	return nil
}

// handle runs the handler, and returns ErrStuck a grace after its context ended.
func (a *attempt) handle(ctx context.Context) (dispatch.Effects, error) {
	type outcome struct {
		effects dispatch.Effects
		err     error
	}
	in := dispatch.Input{
		Envelope: a.env, Attempt: a.number(), Generation: a.claim.Generation,
		FirstAt: a.claim.FirstAt, Now: a.c.cfg.Now(), SentAt: a.m.SentAt, FirstReceived: a.m.FirstReceivedAt,
		Settle: a.c.cfg.Limits.Settle,
	}
	done := make(chan outcome, 1)
	go func() {
		effects, err := a.c.cfg.Handlers.Dispatch(ctx, in)
		done <- outcome{effects, err}
	}()
	select {
	case o := <-done:
		return o.effects, o.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(a.c.cfg.Limits.HandlerGrace)
	defer grace.Stop()
	select {
	case o := <-done:
		return o.effects, o.err
	case <-grace.C:
		return nil, ErrStuck
	}
}

// complete commits the record with the effects. again asks for another run of the handler.
func (a *attempt) complete(o idempotency.Outcome, effects dispatch.Effects) (r result, again bool) {
	ctx, cancel := a.detachedContext()
	defer cancel()
	done, err := a.c.cfg.Store.Complete(ctx, a.claim, o, effects, a.c.cfg.Now())
	if errors.Is(err, idempotency.ErrStoreDown) {
		return a.c.storeDown(a.m, a.env, err), false
	}
	if err != nil {
		r := result{delay: a.c.untilLease(a.claim.Lease), infra: true, err: err}
		if a.claim.Unclaimed != nil {
			r.delay = a.c.backoff(a.m) // there is no lease
		}
		return a.result(outcomeUnknown, r), false
	}
	switch done.Verdict {
	case idempotency.Completed:
		a.written = true
		a.handOver(effects, done.Written)
		r := result{ack: true, effects: len(effects)}
		if a.claim.Source == event.Reconcile && a.env.Source == event.Reconcile {
			r.ack, r.delay = a.c.watchForWebhook(a.m)
		}
		return a.result(string(done.Outcome), r), false
	case idempotency.SupersededDone:
		return a.doneByAnother(nil), false
	case idempotency.Superseded:
		return a.superseded(done.Lease, nil), false
	case idempotency.SwapRefused:
		return result{}, true
	case idempotency.CheckRefused:
		return a.failed(done.Err), false
	default:
		return a.failed(dispatch.Park(dispatch.ReasonRejected, done.Err)), false
	}
}

// handOver passes on the messages that this attempt has just written and that are not held. What
// fails, or has no time, is left to the outbox's schedule.
func (a *attempt) handOver(effects dispatch.Effects, written []string) {
	if a.c.cfg.HandOver == nil {
		return
	}
	due := slices.DeleteFunc(slices.Clone(effects), func(e dispatch.Effect) bool {
		return !e.ToSend() || !slices.Contains(written, e.Key)
	})
	budget := min(a.c.cfg.Limits.RecordBudget, a.left()-a.c.cfg.Limits.HandlerGrace)
	if len(due) == 0 || budget <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), budget)
	defer cancel()
	if err := a.c.cfg.HandOver(ctx, due); err != nil {
		a.c.cfg.Logger.WarnContext(ctx, "hand over messages failed", "event_id", a.env.ID, "error", limits.Cut(err.Error(), limits.MaxErrorText))
	}
}

// doneByAnother is the result of an attempt whose event another one has done.
func (a *attempt) doneByAnother(err error) result {
	outcome := outcomeSuperseded
	if a.claim.Unclaimed != nil {
		outcome = outcomeDuplicate
	}
	return a.result(outcome, result{ack: true, err: err, stuck: errors.Is(err, ErrStuck)})
}

// number is the attempt's number, 0 for an unclaimed one that no record shows.
func (a *attempt) number() int64 {
	if a.claim.Unclaimed != nil && !a.written {
		return 0
	}
	return a.claim.Attempt
}

func (a *attempt) result(outcome string, r result) result {
	r.env, r.outcome, r.attempt, r.coalesced = a.env, outcome, a.number(), a.coalesced
	r.ran, r.took = a.ran, a.took
	return r
}
