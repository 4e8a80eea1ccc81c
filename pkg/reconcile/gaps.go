package reconcile

import (
	"cmp"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Gap is a time of one account in one mode whose events nothing has compared.
type Gap struct {
	Livemode bool
	Account  string // "" for the platform's own
	From, To time.Time
}

// Proof is what coverage says of a time.
type Proof struct {
	From, To time.Time
	Streams  []Stream // accounts and modes that were compared or are to be, in order
	Gaps     []Gap    // the oldest first within a stream
	Faulty   []Covered
}

// Stream is one account in one mode.
type Stream struct {
	Livemode bool
	Account  string
}

// Compare orders streams by account, and of one account the live one first.
func (s Stream) Compare(o Stream) int {
	return cmp.Or(cmp.Compare(s.Account, o.Account), cmp.Compare(event.Mode(s.Livemode), event.Mode(o.Livemode)))
}

// Whole reports whether all events of the time were compared: some were noted, nothing
// lacks, and no slice had an event that could not be read or compared.
func (p Proof) Whole() bool { return len(p.Streams) > 0 && len(p.Gaps) == 0 && len(p.Faulty) == 0 }

// settled is how long after an event it is not yet to be covered.
func settled(l limits.Reconcile) time.Duration { return l.SettleLag + 2*l.Quarter.Every }

// Prove looks for gaps in the time before now, but for the last moments, which the next
// passes are for. Notes of any tier count; an account that is to be compared and never
// was has one gap, the whole time.
func Prove(notes []Covered, l limits.Reconcile, now time.Time, back time.Duration) Proof {
	p := Proof{From: seconds(now.Add(-back)), To: seconds(now.Add(-settled(l)))}
	by := map[Stream][]Covered{}
	for _, c := range notes {
		s := c.Stream()
		own := by[s]
		if c.Tier != Configured {
			own = append(own, c)
		}
		by[s] = own
		if c.Errors > 0 && !c.To.Before(p.From) && !c.From.After(p.To) {
			p.Faulty = append(p.Faulty, c)
		}
	}
	for s := range by {
		p.Streams = append(p.Streams, s)
	}
	slices.SortFunc(p.Streams, Stream.Compare)
	slices.SortFunc(p.Faulty, func(a, b Covered) int { return a.From.Compare(b.From) })
	for _, s := range p.Streams {
		p.Gaps = append(p.Gaps, holes(s, by[s], p.From, p.To)...)
	}
	return p
}

// holes are the parts of [from, to] that no note has, joined where they touch.
func holes(s Stream, notes []Covered, from, to time.Time) (all []Gap) {
	slices.SortFunc(notes, func(a, b Covered) int { return a.From.Compare(b.From) })
	next := from // the first second that is not known to be covered
	for _, c := range notes {
		if c.From.After(to) {
			break
		}
		if c.From.After(next) {
			all = append(all, Gap{s.Livemode, s.Account, next, c.From.Add(-time.Second)})
		}
		if !c.To.Before(next) {
			next = c.To.Add(time.Second)
		}
	}
	if !next.After(to) {
		all = append(all, Gap{s.Livemode, s.Account, next, to})
	}
	return all
}
