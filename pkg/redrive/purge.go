package redrive

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Store makes the two writes of a purge; see package idempotency for their answers.
type Store interface {
	Claim(context.Context, idempotency.ClaimRequest) (idempotency.ClaimResult, error)
	Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, e dispatch.Effects, now time.Time) (idempotency.CompleteResult, error)
}

// Purge deletes dead letters for good. It keeps no copy: that is for the survey before.
type Purge struct {
	Queue   Queue   // required
	Deleter Deleter // required
	Store   Store   // required
	// Gone is told of letters as they are deleted. Default none.
	Gone func(n int)
}

// Purged is what a purge came to, also when it ended early.
type Purged struct {
	Deleted    int
	Ignored    int // of them, those whose events were completed as ignored
	Done       int // of them, leftovers of events that were done
	Unclaimed  int // of them, those that no record stands for: unreadable, or of another event than its record
	Busy       int // left where they are, as an attempt of their event runs
	Undeleted  int // given up in the table, and still in the queue
	Unreleased int // letters that stay hidden for up to Options.Visibility
}

// Run deletes the letters of a plan. An event that is not done is completed as ignored
// first, or else what looks for unfinished events would bring it back. It ends with
// the plan, when the queue shows no more, when a request fails, or between two batches
// when the context is cancelled, which is an error. What was not deleted is shown again
// and left in the plan.
func (u Purge) Run(ctx context.Context, p *Plan, o Options) (done Purged, err error) {
	o = o.withDefaults()
	if p.Left() == 0 {
		return done, nil
	}
	done.Unreleased, err = walk(ctx, u.Queue, o, func(h *hold, batch []Received) (bool, error) {
		err := u.batch(context.WithoutCancel(ctx), &done, p, h, batch)
		return p.Left() > 0, err
	})
	return done, ended(ctx, "purge", done.Deleted, err)
}

// fate is what becomes of a letter.
type fate byte

const (
	fateUnknown fate = iota // the table did not answer
	fateBusy
	fateIgnored
	fateDone
	fateUnclaimed
)

func (u Purge) batch(ctx context.Context, done *Purged, p *Plan, h *hold, batch []Received) error {
	var planned []Received
	for _, m := range batch {
		if p.has(m) {
			planned = append(planned, m)
		}
	}
	fates, failed := u.fates(ctx, planned)
	var gone []queue.Message
	for i, m := range planned {
		switch fates[i] {
		case fateUnknown:
			continue
		case fateBusy:
			done.Busy++
		case fateIgnored:
			done.Ignored++
		case fateDone:
			done.Done++
		case fateUnclaimed:
			done.Unclaimed++
		}
		p.take(m)
		if fates[i] != fateBusy {
			gone = append(gone, m.Message)
		}
	}
	kept, err := remove(ctx, u.Deleter, h, gone)
	done.Deleted += len(gone) - kept
	done.Undeleted += kept
	if u.Gone != nil {
		u.Gone(len(gone) - kept)
	}
	if failed != nil {
		return failed
	}
	return err
}

// fates settles the events of letters; letters of one event share its fate.
func (u Purge) fates(ctx context.Context, letters []Received) (fates []fate, err error) {
	fates = make([]fate, len(letters))
	first := map[string]int{} // by event id
	of := make([]int, len(letters))
	var distinct []int
	events := make([]*event.Envelope, len(letters))
	for i, m := range letters {
		of[i] = i
		if e, err := queue.Decode(m.Body); err == nil {
			e.Body = nil
			events[i] = &e
			if n, again := first[idempotency.Ident(e)]; again {
				of[i] = n
				continue
			}
			first[idempotency.Ident(e)] = i
		}
		distinct = append(distinct, i)
	}
	errs := make([]error, len(distinct))
	each(len(distinct), func(n int) {
		i := distinct[n]
		fates[i], errs[n] = u.settle(ctx, events[i])
	})
	for i := range letters {
		fates[i] = fates[of[i]]
	}
	for _, e := range errs {
		if e != nil { // one tells enough
			return fates, e
		}
	}
	return fates, nil
}

// purgeMark starts the owner of a purge's claim. A done record keeps its last owner, so it
// tells a purge from a run without a handler.
const purgeMark = "purge-"

// purgeOwner is as long as any owner, and as good as random.
func purgeOwner() string { return purgeMark + idempotency.NewOwner()[len(purgeMark):] }

// WasPurged reports whether a record is done because its dead letter was purged.
func WasPurged(r idempotency.Record) bool {
	return r.State == idempotency.Done && strings.HasPrefix(r.Own, purgeMark)
}

// settle makes sure that nothing will bring an event back: nil is none.
func (u Purge) settle(ctx context.Context, e *event.Envelope) (fate, error) {
	if e == nil {
		return fateUnclaimed, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	now := time.Now()
	claimed, err := u.Store.Claim(ctx, idempotency.ClaimRequest{
		Event: *e, Own: purgeOwner(), Now: now,
		Lease: now.Add(requestTimeout + limits.AWS().LeaseSlack), Cutoff: now.Add(-limits.AWS().TakeOverMargin),
		Receives: 2, // so that the index shows it if this ends here
	})
	if err != nil {
		return fateUnknown, fmt.Errorf("claim %s: %w", e.ID, err)
	}
	switch claimed.Verdict {
	case idempotency.Claimed:
	case idempotency.Duplicate:
		return fateDone, nil
	case idempotency.Corrupt:
		return fateUnclaimed, nil
	default:
		return fateBusy, nil
	}
	completed, err := u.Store.Complete(ctx, claimed.Claim, idempotency.Ignored, nil, time.Now())
	if err != nil {
		return fateUnknown, fmt.Errorf("complete %s: %w", e.ID, err)
	}
	switch completed.Verdict {
	case idempotency.Completed:
		return fateIgnored, nil
	case idempotency.SupersededDone:
		return fateDone, nil
	default:
		return fateBusy, nil
	}
}
