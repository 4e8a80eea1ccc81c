package reconcile

import (
	"time"

	"tollgate/pkg/limits"
)

// Names of the tiers, as stored with coverage. They must not change.
const (
	Frequent = "quarter"
	Nightly  = "nightly"
	Weekly   = "weekly"
	Backfill = "backfill" // by hand
)

// Tier is one scheduled kind of pass.
type Tier struct {
	Name  string
	Every time.Duration // how often
	Span  time.Duration // how far
	Lag   time.Duration // younger events are left to their webhook
	Slice time.Duration // the window's parts
	// Sweep sends every event that is not done, however full the queue is: the last resort
	// when dead letters expired or were purged.
	Sweep bool
}

// Tiers are the scheduled ones.
func Tiers(l limits.Reconcile) []Tier {
	slice := whole(l.Slice)
	return []Tier{
		{Name: Frequent, Every: l.Frequent.Every, Span: l.Frequent.Span, Lag: l.SettleLag, Slice: min(slice, whole(4*l.Frequent.Every))},
		{Name: Nightly, Every: l.Nightly.Every, Span: l.Nightly.Span, Lag: l.SettleLag, Slice: slice},
		{Name: Weekly, Every: l.Weekly.Every, Span: l.Weekly.Span, Lag: l.SettleLag, Slice: slice, Sweep: true},
	}
}

// Window is a range of creation times in whole seconds, both inclusive.
type Window struct{ From, To time.Time }

// windows are the tier's slices at a moment, the newest first. Each begins at a whole
// slice, the oldest a little before the span, so that a slice has one name in every pass.
func (t Tier) windows(now time.Time) []Window {
	return cut(sliceStart(now.Add(-t.Span), t.Slice), seconds(now.Add(-t.Lag)), t.Slice)
}

// since leaves out what was created before a time; false when nothing is left.
func (w Window) since(begin time.Time) (Window, bool) {
	if w.From.Before(begin) {
		w.From = seconds(begin)
	}
	return w, !w.To.Before(w.From)
}

// cut divides a window at whole slices, none for 0; the newest part comes first.
func cut(from, to time.Time, slice time.Duration) []Window {
	if to.Before(from) {
		return nil
	}
	if slice <= 0 {
		return []Window{{from, to}}
	}
	var all []Window
	for end := to; !end.Before(from); {
		start := sliceStart(end, slice)
		if start.Before(from) {
			start = from
		}
		all = append(all, Window{start, end})
		end = start.Add(-time.Second)
	}
	return all
}

// whole rounds a length to what Stripe's clock can tell, whole seconds and at least one.
func whole(d time.Duration) time.Duration { return max(d.Round(time.Second), time.Second) }

func seconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// sliceStart is the whole slice, counted from 1970, that a second is in.
func sliceStart(t time.Time, slice time.Duration) time.Time {
	length := int64(slice / time.Second)
	return time.Unix(t.Unix()/length*length, 0).UTC()
}
