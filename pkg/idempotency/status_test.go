package idempotency

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/limits"
)

func TestStatus(t *testing.T) {
	now, l := time.UnixMilli(1_700_000_000_123).UTC(), limits.AWS()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	failed := func(left int64, since time.Duration) Record {
		return Record{State: Failed, ReceivesLeft: left, Updated: ago(since)}
	}
	running := func(left int64, expired time.Duration) Record { // a lease of 32 s
		return Record{State: Running, ReceivesLeft: left, Updated: ago(expired + 32*time.Second), Lease: ago(expired)}
	}
	purged := failed(0, time.Hour)
	purged.Purged = ago(time.Minute)
	for _, c := range []struct {
		name   string
		record Record
		want   Status
	}{
		{"applied", Record{State: Done, Outcome: Applied, ReceivesLeft: -1}, Status{Name: StatusDone, Outcome: Applied, Where: AtDone}},
		{"ignored", Record{State: Done, Outcome: Ignored, ReceivesLeft: -1}, Status{Name: StatusDone, Outcome: Ignored, Where: AtDone}},
		{"already applied", Record{State: Done, Outcome: AlreadyApplied, ReceivesLeft: -1}, Status{Name: StatusDone, Outcome: AlreadyApplied, Where: AtDone}},
		{"done by a release that purged so", Record{State: Done, Outcome: Ignored, Purged: ago(time.Hour)}, Status{Name: StatusDone, Outcome: Ignored, Where: AtDone}},
		{"purged", purged, Status{Name: StatusPurged, Where: AtPurged}},
		{"cannot be read", Record{State: Done, Broken: "att"}, Status{Name: StatusBroken, Where: AtUnknown}},
		{"unknown state", Record{State: "ODD"}, Status{Name: StatusBroken, Where: AtUnknown}},

		{"runs", running(15, -time.Minute), Status{Name: StatusRunning, Where: InFlight}},
		{"runs, one receive left", running(1, -time.Minute), Status{Name: StatusRunning, Where: InFlight}},
		{"runs, last receive", running(0, -time.Minute), Status{Name: StatusDead, Where: InFlight}},
		{"lease expired, within the margin", running(15, 5*time.Second), Status{Name: StatusRunning, Where: InFlight}},
		{"lease expired", running(15, 6*time.Second), Status{Name: StatusRunning, Where: InQueue, Next: ago(38 * time.Second).Add(3 * time.Minute)}},
		{"lease expired, one receive left", running(1, time.Minute), Status{Name: StatusRunning, Where: InQueueOrDLQ, Next: ago(92 * time.Second).Add(3 * time.Minute)}},
		{"lease expired at the last receive", running(0, time.Minute), Status{Name: StatusDead, Where: InDLQ}},
		{"lease expired 2 h ago", running(15, 2*time.Hour), Status{Name: StatusRunning, Where: InQueueOrDLQ, Stuck: true}},

		{"failed once", failed(15, 10*time.Second), Status{Name: StatusRetrying, Where: InQueue, Next: now.Add(20 * time.Second)}},
		{"failed three times", failed(13, 10*time.Second), Status{Name: StatusRetrying, Where: InQueue, Next: now.Add(110 * time.Second)}},
		{"failed ten times, due", failed(6, time.Hour), Status{Name: StatusRetrying, Where: InQueue, Next: now}},
		{"one receive left", failed(1, time.Second), Status{Name: StatusRetrying, Where: InQueueOrDLQ, Next: now.Add(time.Hour - time.Second)}},
		{"failed 91 min ago", failed(3, 91*time.Minute), Status{Name: StatusRetrying, Where: InQueueOrDLQ, Stuck: true}},
		{"replay requested", failed(-1, time.Minute), Status{Name: StatusRetrying, Where: InQueue, Next: ago(time.Minute)}},
		{"dead", failed(0, 80*time.Minute), Status{Name: StatusDead, Where: InDLQ}},
		{"dead for 91 min", failed(0, 91*time.Minute), Status{Name: StatusDead, Where: InDLQ, Stuck: true}},
	} {
		got := c.record.Status(now, l)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		word := string(got.Name)
		if c.name == "ignored" || c.name == "done by a release that purged so" {
			word = "ignored"
		}
		settled := got.Where != InFlight && got.Where != InQueue && got.Where != InQueueOrDLQ
		if got.String() != word || got.Settled() != settled {
			t.Errorf("%s: reads %s, settled %v", c.name, got, got.Settled())
		}
	}
}

// TestStatusScaled: the target's own limits decide, not those of AWS.
func TestStatusScaled(t *testing.T) {
	now, l := time.UnixMilli(1_700_000_000_123).UTC(), limits.Scaled(60)
	l.MaxReceives = 4
	r := Record{State: Failed, ReceivesLeft: 1, Updated: now}
	if got, want := r.Status(now, l).Next, now.Add(2*time.Second); !got.Equal(want) {
		t.Errorf("next attempt after receive 3 of 4 is at %v, want %v", got, want)
	}
	if !r.Status(now.Add(2*time.Minute), l).Stuck {
		t.Error("unchanged for 2 min, which is 2 h at this scale, is not stuck")
	}
	r = Record{State: Running, ReceivesLeft: 1, Updated: now, Lease: now}
	if r.Held(now.Add(time.Second), l) {
		t.Error("a lease that expired 1 s ago, which is 60 s at this scale, is held")
	}
}
