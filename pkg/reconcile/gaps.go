package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Gap is a period of one account in one mode whose events were never compared.
type Gap struct {
	Livemode bool
	Account  string // "" for the platform's own
	From, To time.Time
	Endpoint string // of the account, in Before only
}

// Proof is the coverage of a period.
type Proof struct {
	From, To time.Time
	Streams  []Stream  // accounts and modes that were or will be compared, in order
	Gaps     []Gap     // the oldest first within a stream
	Before   []Gap     // like Gaps, for the time before an account's begin: no pass will compare it
	Excluded []Covered // notes of accounts that their endpoint's policy excludes; they have no gaps
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

// Whole reports whether all events since the begin of each account were compared: at least
// one account is compared, there is no gap, and no slice had an event that could not be read
// or compared.
func (p Proof) Whole() bool {
	return len(p.Streams) > len(p.Excluded) && len(p.Gaps) == 0 && len(p.Faulty) == 0
}

// settled is the age from which an event must be covered.
func settled(l limits.Reconcile) time.Duration { return l.SettleLag + 2*l.Frequent.Every }

// Prove looks for gaps in the period before now, except the last moments, which the next
// passes cover. Notes of any tier count; a configured account that was never compared has
// one gap, the whole period. The newest note of how passes treat an account decides the
// time from which it is compared, and whether a policy excludes it.
func Prove(notes []Covered, l limits.Reconcile, now time.Time, back time.Duration) Proof {
	p := Proof{From: seconds(now.Add(-back)), To: seconds(now.Add(-settled(l)))}
	by, treated := map[Stream][]Covered{}, Treated(notes)
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
	p.Streams = slices.SortedFunc(maps.Keys(by), Stream.Compare)
	slices.SortFunc(p.Faulty, func(a, b Covered) int { return a.From.Compare(b.From) })
	for _, s := range p.Streams {
		if treated[s].Excluded != "" {
			p.Excluded = append(p.Excluded, treated[s])
			continue
		}
		begin := p.From
		if since := treated[s].Since; since.After(begin) {
			begin = since
			for _, g := range holes(s, by[s], p.From, earlier(since.Add(-time.Second), p.To)) {
				g.Endpoint = treated[s].Endpoint
				p.Before = append(p.Before, g)
			}
		}
		p.Gaps = append(p.Gaps, holes(s, by[s], begin, p.To)...)
	}
	return p
}

// Treated returns the newest note of how passes treat each account.
func Treated(notes []Covered) map[Stream]Covered {
	newest := map[Stream]Covered{}
	for _, c := range notes {
		if s := c.Stream(); c.Tier == Configured && c.DoneAt.After(newest[s].DoneAt) {
			newest[s] = c
		}
	}
	return newest
}

// ExcludedBy returns the newest note of each account that its endpoint's policy excludes,
// in order.
func ExcludedBy(notes []Covered) []Covered {
	all := slices.DeleteFunc(slices.Collect(maps.Values(Treated(notes))), func(c Covered) bool { return c.Excluded == "" })
	slices.SortFunc(all, func(a, b Covered) int { return a.Stream().Compare(b.Stream()) })
	return all
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// holes are the parts of [from, to] that no note covers, merged where adjacent.
func holes(s Stream, notes []Covered, from, to time.Time) (all []Gap) {
	slices.SortFunc(notes, func(a, b Covered) int { return a.From.Compare(b.From) })
	next := from // the first second that is not known to be covered
	for _, c := range notes {
		if c.From.After(to) {
			break
		}
		if c.From.After(next) {
			all = append(all, Gap{Livemode: s.Livemode, Account: s.Account, From: next, To: c.From.Add(-time.Second)})
		}
		if !c.To.Before(next) {
			next = c.To.Add(time.Second)
		}
	}
	if !next.After(to) {
		all = append(all, Gap{Livemode: s.Livemode, Account: s.Account, From: next, To: to})
	}
	return all
}
