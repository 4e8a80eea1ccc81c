package limits

import "time"

// Reconcile are the times and counts of the reconcile function. Its windows are in Stripe's
// time, yet divided by TimeScale too, so that a test can cover a day.
type Reconcile struct {
	Timeout   time.Duration // the function's timeout
	StopAfter time.Duration // after this a pass starts no further slice
	Reserved  int           // concurrent processes: a pass, a run of the outbox and one of the comparison

	Frequent, Nightly, Weekly Tier

	SettleLag time.Duration // younger events are left to their delivery
	Late      time.Duration // frequent passes list a slice until this long after its end: Stripe's list may show events late
	Slice     time.Duration // long windows are listed in parts of this length
	StuckAge  time.Duration // an unfinished record unchanged for this long is enqueued again

	ListRate   int // requests of a pass to Stripe's list a second, times TimeScale
	MaxBacklog int // a pass sends while the queue has fewer messages
	MaxSends   int // messages that a pass sends at most

	OutboxEvery time.Duration // how often the outbox is sent
	OutboxTime  time.Duration // after this a run of the outbox starts no message
	// OutboxMinAge is the age from which a run sends messages that the consumer hands over itself.
	OutboxMinAge time.Duration

	Verify Verify
}

// Verify are the times and counts of the task that compares the kept rows with Stripe. A pass
// starts every Round and is continued every Every.
type Verify struct {
	Every    time.Duration
	Round    time.Duration
	Recent   time.Duration // rows written within this are compared first
	Recheck  time.Duration // a row that differs is compared again after this
	Time     time.Duration // after this a run starts no further batch
	Requests int           // the same after this many comparisons
	Rate     int           // requests to Stripe a second, times TimeScale
	MaxAge   time.Duration // the alarm's threshold: since the last whole pass over recent rows began
}

// Tier is how often reconcile runs and how far back it looks.
type Tier struct{ Every, Span time.Duration }

func scaledReconcile(t func(time.Duration) time.Duration) Reconcile {
	const day = 24 * time.Hour
	return Reconcile{
		Timeout:   t(15 * time.Minute),
		StopAfter: t(13 * time.Minute),
		Reserved:  3,

		Frequent: Tier{Every: t(15 * time.Minute), Span: t(3 * time.Hour)},
		Nightly:  Tier{Every: t(day), Span: t(75 * time.Hour)}, // Stripe retries a delivery for three days
		Weekly:   Tier{Every: t(7 * day), Span: t(29 * day)},   // Stripe lists events for 30 days

		SettleLag: t(5 * time.Minute),
		Late:      t(135 * time.Minute),
		Slice:     t(time.Hour),
		StuckAge:  t(90 * time.Minute),

		ListRate:   5,
		MaxBacklog: 1000,
		MaxSends:   5000,

		OutboxEvery: t(time.Minute),
		OutboxTime:  t(45 * time.Second),

		OutboxMinAge: t(2 * time.Minute),

		Verify: Verify{
			Every:    t(time.Hour),
			Round:    t(7 * day),
			Recent:   t(35 * day),
			Recheck:  t(2 * time.Minute),
			Time:     t(8 * time.Minute),
			Requests: 900,
			Rate:     2,
			MaxAge:   t(10 * day),
		},
	}
}

// Background returns a rate of reconcile's requests to Stripe. Passes under a time scale follow
// each other faster, yet stay within the account's rate, which they share with the handlers.
func (l Limits) Background(perSecond int) int {
	n := perSecond * max(l.TimeScale, 1)
	if l.StripeRate > 0 {
		n = min(n, l.StripeRate)
	}
	return n
}

func (l Limits) checkReconcile(f *faults) {
	r := l.Reconcile
	f.must(r.Timeout > 0 && r.StopAfter > 0 && r.Slice > 0 && r.SettleLag > 0 && r.OutboxTime > 0, "a time of reconcile is not over 0")
	f.must(r.Reserved >= 3, "reserved reconcile concurrency %d is under 3: a pass or a comparison would hold up the outbox", r.Reserved)
	f.must(r.Verify.Time+2*r.Verify.Recheck < r.StopAfter, "a comparison may start a batch until %v and compare it again after %v: with a timeout of %v it would be cut and repeated",
		r.Verify.Time, r.Verify.Recheck, r.Timeout)
	f.must(r.Timeout < r.Verify.Every, "a comparison may run for %v and is due every %v: runs would overlap", r.Timeout, r.Verify.Every)
	f.must(r.Verify.Requests >= 1 && r.Verify.Rate >= 1, "a comparison makes %d requests at %d a second", r.Verify.Requests, r.Verify.Rate)
	f.must(r.ListRate >= 1, "a pass makes %d requests a second", r.ListRate)
	f.must(r.Verify.MaxAge > r.Verify.Round+r.Verify.Round/7, "the alarm on the comparison's age pages after %v, a pass starts every %v", r.Verify.MaxAge, r.Verify.Round)
	f.must(r.OutboxTime < r.OutboxEvery, "a run of the outbox sends for %v and is due every %v: runs would overlap and send twice", r.OutboxTime, r.OutboxEvery)
	f.must(r.OutboxMinAge > l.ConsumerTimeout, "messages are sent again after %v, within the consumer's timeout %v: it may be handing them over", r.OutboxMinAge, l.ConsumerTimeout)
	f.must(r.StopAfter < r.Timeout, "reconcile stops after %v, its timeout is %v: a pass would be cut before it logs its result", r.StopAfter, r.Timeout)
	f.must(r.StopAfter >= r.Timeout || scaled(l, PatientCall) < r.Timeout-r.StopAfter,
		"a call of %d tries exceeds what reconcile's timeout %v leaves after %v", CallTries, r.Timeout, r.StopAfter)
	for _, t := range []struct {
		name string
		Tier
	}{{"frequent", r.Frequent}, {"nightly", r.Nightly}, {"weekly", r.Weekly}} {
		f.must(t.Every > 0 && t.Span >= 2*t.Every+r.SettleLag,
			"%s reconcile looks back %v every %v: windows with little overlap miss events that Stripe's list shows late", t.name, t.Span, t.Every)
	}
	f.must(r.Late > 0 && r.Late < r.Frequent.Span,
		"frequent reconcile lists a slice until %v after its end, and looks back %v: events that Stripe's list shows late would wait a day", r.Late, r.Frequent.Span)
	f.must(r.StuckAge > l.BackoffCap+l.Visibility+l.ConsumerTimeout,
		"a record counts as stuck after %v, within the longest wait between two receives %v: every waiting message would be enqueued again", r.StuckAge, l.BackoffCap+l.Visibility+l.ConsumerTimeout)
	f.must(r.MaxBacklog >= 1 && r.MaxSends >= 1, "reconcile sends nothing: at most %d messages while the queue holds under %d", r.MaxSends, r.MaxBacklog)
}
