package idempotency

import "time"

// PurgeRequest marks an event as purged: reconcile no longer sends it. It completes nothing and
// blocks no message: a copy that is still queued claims the record, which removes the mark.
type PurgeRequest struct {
	EventID            string
	Identities         Identities // of the event, or what the operator saw
	Attempt            int64      // the attempt in the dead letter, 0 for none
	Any                bool       // by the event's id: the record's receives and attempt do not matter
	By                 string     // the operator
	Now                time.Time  // written as purged and upd
	LeaseExpiredBefore time.Time  // a running record is purged when its lease ended before this
}

// PurgeVerdict is the result of a purge.
type PurgeVerdict string

const (
	PurgeMarked        PurgeVerdict = "given_up"  // the record is marked
	PurgeDone          PurgeVerdict = "done"      // the event is done; its dead letter is a leftover
	PurgeBusy          PurgeVerdict = "busy"      // an attempt runs
	PurgeWaiting       PurgeVerdict = "waiting"   // another message or dead letter of the event is left
	PurgeNoRecord      PurgeVerdict = "no_record" // nothing to mark
	PurgeOtherIdentity PurgeVerdict = "corrupt"   // the record has another identity, or is broken
)

// ReadPurgeRefusal returns the verdict on a purge whose condition failed, from the record that
// was there.
func ReadPurgeRefusal(req PurgeRequest, old *Record) PurgeVerdict {
	switch {
	case old == nil:
		return PurgeNoRecord
	case !req.Identities.Has(old.Identity) || old.Check() != nil:
		return PurgeOtherIdentity
	case old.State == Done:
		return PurgeDone
	case old.State == Running && !over(old.Lease, req.LeaseExpiredBefore):
		return PurgeBusy
	default:
		return PurgeWaiting
	}
}

// over reports whether a lease ended before a time, to the millisecond as stored.
func over(lease, cutoff time.Time) bool { return lease.UnixMilli() < cutoff.UnixMilli() }

// ReidentifyRequest gives a record another identity: that of the event as Stripe has it,
// where a message of another account made the record.
type ReidentifyRequest struct {
	EventID            string
	Old, New           string // identities, by [Identity]
	Now                time.Time
	LeaseExpiredBefore time.Time // a running record is changed when its lease ended before this
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

// ReadReidentifyRefusal returns the verdict on a reidentification whose condition failed.
func ReadReidentifyRefusal(req ReidentifyRequest, old *Record) ReidentifyVerdict {
	switch {
	case old == nil:
		return ReidentifyNoRecord
	case old.Identity == req.New:
		return Reidentified // an earlier try was applied and its answer lost
	case old.Identity != req.Old || old.Check() != nil:
		return ReidentifyChanged
	case old.State == Running && !over(old.Lease, req.LeaseExpiredBefore):
		return ReidentifyBusy
	default:
		return ReidentifyDone
	}
}
