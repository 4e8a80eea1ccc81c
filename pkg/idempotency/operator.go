package idempotency

import "time"

// GiveUpRequest marks an event as purged: an operator gives it up, and reconcile no longer
// sends it. It completes nothing and blocks no message: a copy that is still queued claims
// the record as before, which removes the mark.
type GiveUpRequest struct {
	EventID string
	Ident   string    // the identity that the operator saw, by [Ident]
	Attempt int64     // the attempt that the dead letter names, 0 for none
	Any     bool      // by the event's id: the record's receives and attempt do not matter
	By      string    // the operator
	Now     time.Time // written as purged and upd
	Cutoff  time.Time // a running record is given up when its lease ended before this
}

// GiveUpVerdict is the result of giving an event up.
type GiveUpVerdict string

const (
	GivenUp         GiveUpVerdict = "given_up"  // the record is marked
	GiveUpDone      GiveUpVerdict = "done"      // the event is done: its dead letter is a leftover
	GiveUpBusy      GiveUpVerdict = "busy"      // an attempt runs
	GiveUpWaiting   GiveUpVerdict = "waiting"   // another message or dead letter of the event is left
	GiveUpNoRecord  GiveUpVerdict = "no_record" // nothing to mark
	GiveUpOtherFact GiveUpVerdict = "corrupt"   // the record has another identity, or is broken
)

// ReadGiveUpRefusal returns the verdict on a give-up that the store refused, from the record
// that was there.
func ReadGiveUpRefusal(req GiveUpRequest, old *Record) GiveUpVerdict {
	switch {
	case old == nil:
		return GiveUpNoRecord
	case old.Ident != req.Ident || old.Check() != nil:
		return GiveUpOtherFact
	case old.State == Done:
		return GiveUpDone
	case old.State == Running && !over(old.Lease, req.Cutoff):
		return GiveUpBusy
	default:
		return GiveUpWaiting
	}
}

// over reports whether a lease ended before a time, in the milliseconds that records have.
func over(lease, cutoff time.Time) bool { return lease.UnixMilli() < cutoff.UnixMilli() }

// ReidentifyRequest gives a record another identity: that of the event as Stripe has it,
// where a message of another account made the record.
type ReidentifyRequest struct {
	EventID  string
	Old, New string // identities, by [Ident]
	Now      time.Time
	Cutoff   time.Time // a running record is changed when its lease ended before this
}

// ReidentifyVerdict is the result of a reidentification.
type ReidentifyVerdict string

const (
	Reidentified       ReidentifyVerdict = "reidentified" // the record has the new identity
	ReidentifyDone     ReidentifyVerdict = "done"         // the event is done, or was before a replay
	ReidentifyBusy     ReidentifyVerdict = "busy"         // an attempt runs
	ReidentifyNoRecord ReidentifyVerdict = "no_record"
	ReidentifyChanged  ReidentifyVerdict = "changed" // the identity is not the one that was seen, or the record is broken
)

// ReadReidentifyRefusal returns the verdict on a reidentification that the store refused.
func ReadReidentifyRefusal(req ReidentifyRequest, old *Record) ReidentifyVerdict {
	switch {
	case old == nil:
		return ReidentifyNoRecord
	case old.Ident == req.New:
		return Reidentified // an earlier try was applied and its answer lost
	case old.Ident != req.Old || old.Check() != nil:
		return ReidentifyChanged
	case old.State == Running && !over(old.Lease, req.Cutoff):
		return ReidentifyBusy
	default:
		return ReidentifyDone
	}
}
