package idempotency

import (
	"errors"
	"strconv"
	"time"

	"tollgate/pkg/event"
)

var (
	// ErrStoreDown: the store cannot be used now. It says nothing about the event, and never
	// means "duplicate".
	ErrStoreDown = errors.New("idempotency store is down")
	// ErrThrottled accompanies ErrStoreDown when the store throttles the record of one event.
	ErrThrottled = errors.New("its item is throttled")
	// ErrUnknown: a completion may or may not have been applied; nothing more may be written.
	ErrUnknown = errors.New("completion is unknown")
	// ErrNoLongerDone: the record of a replay is not, or no longer, done in the given generation.
	ErrNoLongerDone = errors.New("event is no longer done")
)

// ClaimRequest asks for the right to run one attempt.
type ClaimRequest struct {
	Event              event.Envelope
	Owner              string    // from NewOwner; the same for every try of this request
	Now                time.Time // written as upd, and first_at at the first claim
	Lease              time.Time // until when the claim holds without being finished
	LeaseExpiredBefore time.Time // a running record may be taken over when its lease ended before this
	Receives           int       // of the message; the index names the record from the second on
	ReceivesLeft       int       // receives that the message has left after this one, at least 0
}

// ClaimVerdict is the result of a claim.
type ClaimVerdict string

const (
	Claimed   ClaimVerdict = "claimed"   // the attempt may run
	Duplicate ClaimVerdict = "duplicate" // the event is done
	Busy      ClaimVerdict = "busy"      // another attempt holds the claim
	Corrupt   ClaimVerdict = "corrupt"   // the record has another identity, or is broken
)

// ClaimResult is a verdict with its details.
type ClaimResult struct {
	Verdict ClaimVerdict
	Claim   *Claim    // for Claimed
	Lease   time.Time // for Busy: when the other attempt's lease ends; zero when unknown
	// For Duplicate: when the event was done, and the source of the message that wrote its
	// record first, webhook or eventbridge once a delivery by Stripe was seen.
	DoneAt time.Time
	Source event.Source
	Err    error // for Corrupt: what is wrong
}

// ErrIdentity: the record of this id was made under another identity.
var ErrIdentity = errors.New("this id was seen before with another type, time, mode, account or object")

// Claim is the right to run one attempt. It is for one goroutine at a time.
type Claim struct {
	EventID    string
	Owner      string
	Attempt    int64
	Generation int64
	Lease      time.Time
	FirstAt    time.Time
	Source     event.Source // of the message that wrote the record first; see ClaimResult
	Start      time.Time    // of the attempt
	History    []Attempt    // of the attempts before that failed

	// Unclaimed is what would have been claimed, for a run that begins without a claim: its
	// completion or failure writes the record, only if there is none. Nil for a claimed run.
	Unclaimed *ClaimRequest
	rounds    int
}

// WithoutClaim returns the right to run one attempt that is not claimed. It holds only at a
// message's first receive, for a handler that changes nothing outside the effects.
func WithoutClaim(req ClaimRequest) *Claim {
	return &Claim{
		EventID: req.Event.ID, Owner: req.Owner, Attempt: 1, Generation: 1, FirstAt: req.Now, Source: req.Event.Source,
		Start:     req.Now,
		Unclaimed: &req,
	}
}

// settledBy reports whether the done record that refused a write settles its message. For a
// run without a claim a broken record, another identity, and a record that reconcile's message
// wrote, in which a delivery by Stripe leaves a note, are for its claim to judge.
func (c *Claim) settledBy(old *Record) bool {
	if old.State != Done || c.Unclaimed == nil {
		return old.State == Done
	}
	e := c.Unclaimed.Event
	noted := old.Source == string(event.Reconcile) && e.Source.Delivered()
	return old.Check() == nil && (old.Identity == "" || IdentitiesOf(e).Has(old.Identity)) && !noted
}

// NextToken returns a client request token that is unique over all attempts: the random owner
// and a round. A retry of the same bytes keeps its token, a rebuilt transaction takes the
// next; DynamoDB's bound is 36 characters.
func (c *Claim) NextToken() string {
	c.rounds++
	return c.Owner + "-" + strconv.Itoa(c.rounds)
}

// ClaimOf returns the claim that a record shows, for the attempt that holds it.
func ClaimOf(r Record) *Claim {
	return &Claim{
		EventID: r.ID, Owner: r.Owner, Attempt: r.Attempt, Generation: r.Generation, Lease: r.Lease,
		FirstAt: r.FirstAt, Source: event.Source(r.Source), Start: r.Updated, History: r.History,
	}
}

// ReadClaimRefusal returns the result of a claim whose condition failed, from the record that
// was there. ok is false when the record does not explain it (it is absent or has failed): the
// claim lost a race and is retried once.
func ReadClaimRefusal(req ClaimRequest, old *Record) (result ClaimResult, ok bool) {
	switch {
	case old == nil:
		return ClaimResult{}, false
	case old.Check() != nil:
		return ClaimResult{Verdict: Corrupt, Err: old.Check()}, true
	case old.State == Running && old.Owner == req.Owner:
		// Our first try was applied and its response lost. A purge may have changed upd since.
		old.Updated = req.Now
		return ClaimResult{Verdict: Claimed, Claim: ClaimOf(*old)}, true
	case old.Identity != "" && !IdentitiesOf(req.Event).Has(old.Identity):
		return ClaimResult{Verdict: Corrupt, Err: ErrIdentity}, true
	case old.State == Done:
		return ClaimResult{Verdict: Duplicate, DoneAt: old.DoneAt, Source: event.Source(old.Source)}, true
	case old.State == Running:
		return ClaimResult{Verdict: Busy, Lease: old.Lease}, true
	default:
		return ClaimResult{}, false
	}
}

// CompleteVerdict is the result of a completion.
type CompleteVerdict string

const (
	Completed      CompleteVerdict = "completed"       // the record is done by this attempt, with its effects
	SupersededDone CompleteVerdict = "superseded_done" // another attempt has the record, and it is done
	Superseded     CompleteVerdict = "superseded"      // another attempt has the record; a run without a claim claims it
	SwapRefused    CompleteVerdict = "swap_refused"    // an item changed since the handler read it: run again
	CheckRefused   CompleteVerdict = "check_refused"   // a condition of the handler's does not hold
	Rejected       CompleteVerdict = "rejected"        // the store will never take these effects
)

// CompleteResult is a verdict with its details.
type CompleteResult struct {
	Verdict CompleteVerdict
	Outcome Outcome   // for Completed: AlreadyApplied when every effect had been there before
	Err     error     // for CheckRefused the handler's own error, for Rejected the store's
	Lease   time.Time // for Superseded: when the later claim's lease ends; zero when unknown
	// Written is, for Completed, the keys of the items that it wrote: not those of inserts that
	// were dropped. Nil when unknown, as after a lost response.
	Written []string
}

// ReadCompleteRefusal returns the result of a completion whose condition on the record failed.
func ReadCompleteRefusal(c *Claim, old *Record) CompleteResult {
	switch {
	case old == nil:
		return CompleteResult{Verdict: Superseded}
	case old.State == Done && old.Owner == c.Owner && old.Attempt == c.Attempt:
		return CompleteResult{Verdict: Completed, Outcome: old.Outcome}
	case c.settledBy(old):
		return CompleteResult{Verdict: SupersededDone}
	default:
		return CompleteResult{Verdict: Superseded, Lease: old.Lease}
	}
}

// Failure is what a failed attempt writes into its record.
type Failure struct {
	Now          time.Time
	Err          string // cut to limits.MaxErrorText by the store
	Reason       string // "" for a transient failure
	ReceivesLeft int    // 0: a dead letter exists, or is about to
	Fingerprint  string // of the error, for the history
	Frame        string // where the attempt failed, for the history; "" if unknown
}

// FailVerdict is the result of writing a failure.
type FailVerdict string

const (
	FailWritten    FailVerdict = "written"    // the record shows this attempt's failure
	FailDone       FailVerdict = "done"       // the event is done: nothing to fail
	FailSuperseded FailVerdict = "superseded" // another attempt has the record; a run without a claim claims it
)

// FailResult is a verdict with its details.
type FailResult struct {
	Verdict FailVerdict
	Lease   time.Time // for FailSuperseded: when the later claim's lease ends; zero when unknown
}

// ReadFailRefusal returns the result of a failure whose condition failed.
func ReadFailRefusal(c *Claim, old *Record) FailResult {
	switch {
	case old == nil, old.Check() != nil: // a broken row affects only this event: its next receive finds it
		return FailResult{Verdict: FailSuperseded}
	case old.State == Failed && old.Owner == c.Owner && old.Attempt == c.Attempt:
		return FailResult{Verdict: FailWritten}
	case c.settledBy(old):
		return FailResult{Verdict: FailDone}
	default:
		return FailResult{Verdict: FailSuperseded, Lease: old.Lease}
	}
}

// ReplayRequest asks to run a done event again.
type ReplayRequest struct {
	EventID    string
	Generation int64 // the generation that was seen done
	Now        time.Time
	By, Why    string
}

// ReadReplayRefusal returns nil when an earlier try of this request was applied, else
// ErrNoLongerDone.
func ReadReplayRefusal(req ReplayRequest, old *Record) error {
	if old != nil && old.State == Failed && old.Generation == req.Generation+1 && old.ReplayBy == req.By {
		return nil
	}
	return ErrNoLongerDone
}
