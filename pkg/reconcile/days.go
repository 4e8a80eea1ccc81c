package reconcile

import "time"

// Day is how much of a day, in UTC, passes have compared with Stripe's list, summed over the accounts
// and modes. The first and the last day of a proof may be parts of one.
type Day struct {
	Date                  time.Time
	Compared, Gap, Before time.Duration // Before is where passes do not begin yet
}

// Days returns the proof by days, none without an account that is compared.
func (p Proof) Days() (all []Day) {
	streams := len(p.Streams) - len(p.Excluded)
	if streams <= 0 {
		return nil
	}
	for date := p.From.UTC().Truncate(24 * time.Hour); date.Before(p.To); date = date.AddDate(0, 0, 1) {
		end := date.AddDate(0, 0, 1)
		within := func(from, last time.Time) time.Duration { // last is the last second
			if from.Before(date) {
				from = date
			}
			return max(0, earlier(last.Add(time.Second), end).Sub(from))
		}
		d := Day{Date: date, Compared: time.Duration(streams) * within(p.From, p.To)}
		for _, g := range p.Gaps {
			d.Gap += within(g.From, g.To)
		}
		for _, g := range p.Before {
			d.Before += within(g.From, g.To)
		}
		d.Compared = max(0, d.Compared-d.Gap-d.Before)
		all = append(all, d)
	}
	return all
}
