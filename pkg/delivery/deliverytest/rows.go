package deliverytest

import (
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/delivery"
)

func cases() []row {
	return slices.Concat(beginCases(), takeOverCases(), endCases(), reopenCases(), stateCases())
}

func beginCases() []row {
	return []row{
		{"begin/no row → attempt 1", func(b *bench) {
			req := b.request(0)
			s := b.started(req)
			want := delivery.Row{Status: delivery.Running, Attempt: 1, Owner: req.Owner, Lease: req.Lease, First: b.t0, Sequence: 1}
			b.equal("row", b.row(), want)
			b.equal("started", s, *want.Started(job()))
		}},
		{"begin/no row and no first receive → attempt 1 with a number", func(b *bench) {
			req := b.request(0)
			req.First = false
			s := b.started(req)
			b.equal("attempt and number", []int64{int64(s.Attempt), s.Sequence}, []int64{1, 1})
		}},
		{"begin/without an object → no number", func(b *bench) {
			for _, first := range []bool{true, false} {
				req := b.request(0)
				req.Object, req.First, req.Job.Message = "", first, fmt.Sprint("OUT#", first)
				b.equal("number", b.started(req).Sequence, int64(0))
			}
		}},
		{"begin/numbers rise for one object of one destination alone", func(b *bench) {
			number := func(message, destination, object string) int64 {
				req := b.request(0)
				req.Job, req.Object = delivery.Job{Message: message, Destination: destination}, object
				return b.started(req).Sequence
			}
			b.equal("numbers", []int64{
				number("OUT#a", "crm", object), number("OUT#b", "crm", object), number("OUT#a", "bus", object), number("OUT#c", "crm", "test#-#in_1"), number("OUT#d", "crm", object),
			}, []int64{1, 2, 1, 1, 3})
		}},
	}
}

func takeOverCases() []row {
	return []row{
		{"begin/by the same owner → the same attempt", func(b *bench) {
			req := b.request(0)
			first := b.started(req)
			b.refused(req, delivery.Begun{Started: &first})
		}},
		{"begin/running → busy until its lease can be taken over", func(b *bench) {
			b.started(b.request(0))
			for _, first := range []bool{true, false} {
				req := b.request(lease + margin) // the last moment inside the margin
				req.First = first
				b.refused(req, delivery.Begun{Busy: b.at(lease + margin + time.Millisecond)})
			}
		}},
		{"begin/lease over → next attempt, same number and first", func(b *bench) {
			b.started(b.request(0))
			req := b.request(lease + margin + time.Millisecond)
			s := b.started(req)
			b.equal("row", b.row(), delivery.Row{Status: delivery.Running, Attempt: 2, Owner: req.Owner, Lease: req.Lease, First: b.t0, Sequence: s.Sequence})
			b.equal("number", s.Sequence, int64(1))
		}},
		{"begin/waiting → busy until next", func(b *bench) {
			b.end(b.started(b.request(0)), delivery.Waiting, time.Second, time.Minute)
			b.refused(b.request(time.Minute-time.Millisecond), delivery.Begun{Busy: b.at(time.Minute)})
		}},
		{"begin/waited → next attempt with the history", func(b *bench) {
			b.end(b.started(b.request(0)), delivery.Waiting, time.Second, time.Minute)
			req := b.request(time.Minute)
			req.First = false
			s := b.started(req)
			want := []delivery.Attempt{{At: b.at(time.Second), Took: 120 * time.Millisecond, Status: 503, Err: "status 503"}}
			b.equal("history", s.History, want)
			b.equal("row", b.row(), delivery.Row{Status: delivery.Running, Attempt: 2, Owner: req.Owner, Lease: req.Lease, First: b.t0, Sequence: 1, History: want})
		}},
		{"begin/ended → over, whatever the time", func(b *bench) {
			for _, status := range []delivery.Status{delivery.Delivered, delivery.Failed, delivery.Disabled} {
				req := b.request(0)
				req.Job.Message = string("OUT#" + status)
				b.end(b.started(req), status, time.Second, 0)
				again := b.request(1000 * time.Hour)
				again.Job = req.Job
				b.equal("answer", b.begin(again), delivery.Begun{Over: status})
			}
		}},
		{"begin/race", race},
	}
}

func endCases() []row {
	return []row{
		{"end/recorded once, and again after a lost answer", func(b *bench) {
			s := b.started(b.request(0))
			for range 2 {
				if !b.end(s, delivery.Delivered, time.Second, 0) {
					b.Error("the end is not recorded")
				}
				b.equal("row", b.row(), delivery.Row{
					Status: delivery.Delivered, Attempt: 1, Owner: s.Owner, First: b.t0, Sequence: 1,
					History: []delivery.Attempt{{At: b.at(time.Second), Took: 120 * time.Millisecond, Status: 503, Err: "status 503"}},
				})
			}
		}},
		{"end/after a take-over → nothing changes", func(b *bench) {
			overtaken := b.started(b.request(0))
			for _, status := range []delivery.Status{delivery.Running, delivery.Waiting, delivery.Delivered} {
				if status == delivery.Running {
					b.started(b.request(time.Minute))
				} else {
					s := *b.row().Started(job())
					if s.Attempt == 2 && status == delivery.Delivered {
						s = b.started(b.request(2 * time.Minute))
					}
					b.end(s, status, 61*time.Second, 90*time.Second)
				}
				before := b.row()
				if b.end(overtaken, delivery.Delivered, 62*time.Second, 0) {
					b.Errorf("the end of an overtaken attempt is recorded over %s", status)
				}
				b.equal("row", b.row(), before)
			}
		}},
		{"end/the history keeps the last attempts", func(b *bench) {
			for n := range delivery.MaxHistory + 3 {
				after := time.Duration(n) * time.Minute
				b.end(b.started(b.request(after)), delivery.Waiting, after+time.Second, after+2*time.Second)
			}
			h := b.row().History
			if len(h) != delivery.MaxHistory || !h[0].At.Equal(b.at(3*time.Minute+time.Second)) {
				b.Errorf("%d attempts are kept, from %v", len(h), h[0].At)
			}
		}},
	}
}

func reopenCases() []row {
	return []row{
		{"reopen/failed, disabled and waiting → attempts and age begin anew", func(b *bench) {
			for i, status := range []delivery.Status{delivery.Failed, delivery.Disabled, delivery.Waiting} {
				after := time.Duration(i) * time.Hour
				b.end(b.started(b.request(after)), status, after, after+12*time.Hour)
				got, err := b.store.Reopen(b.Context(), job(), b.at(after+time.Minute))
				r := b.row()
				if err != nil || got != delivery.Waiting || !r.First.Equal(b.at(after+time.Minute)) || !r.Next.Equal(r.First) || r.Attempt != i+1 || r.Sequence != 1 {
					b.Errorf("reopened as %q, %v: %+v", got, err, r)
				}
			}
			b.equal("attempt", b.started(b.request(3*time.Hour)).Attempt, 4)
		}},
		{"reopen/anything else is unchanged", func(b *bench) {
			reopen := func(want delivery.Status) {
				b.Helper()
				if got, err := b.store.Reopen(b.Context(), job(), b.at(time.Hour)); err != nil || got != want {
					b.Errorf("reopen = %q, %v; want %q", got, err, want)
				}
			}
			reopen("")
			if _, found, _ := b.store.Row(b.Context(), job()); found {
				b.Error("reopen makes a row")
			}
			s := b.started(b.request(0))
			before := b.row()
			reopen(delivery.Running)
			b.equal("row", b.row(), before)
			b.end(s, delivery.Delivered, time.Second, 0)
			reopen(delivery.Delivered)
		}},
	}
}

func stateCases() []row {
	return []row{
		{"state/none", func(b *bench) { b.state(delivery.State{}) }},
		{"state/written, replaced, cleared", func(b *bench) {
			full := delivery.State{Since: b.t0, Seen: b.at(time.Hour), Open: b.at(2 * time.Hour), Off: b.at(3 * time.Hour), Why: "status 410", By: "a", Paused: b.at(4 * time.Hour), PausedBy: "ann"}
			b.swap(full, true)
			full.Ver = 1
			b.state(full)
			b.swap(delivery.State{Ver: 1, Off: b.t0, Why: "by hand", By: "b"}, true)
			b.state(delivery.State{Ver: 2, Off: b.t0, Why: "by hand", By: "b"})
			b.swap(delivery.State{Ver: 2, By: "c"}, true)
			b.state(delivery.State{Ver: 3, By: "c"})
		}},
		{"state/another write came first → not won, unchanged", func(b *bench) {
			b.swap(delivery.State{Since: b.t0, By: "a"}, true)
			for _, ver := range []int64{0, 2} {
				b.swap(delivery.State{Ver: ver, Since: b.at(time.Hour), By: "b"}, false)
			}
			b.state(delivery.State{Ver: 1, Since: b.t0, By: "a"})
		}},
		{"state/by the same writer → won again, once written", func(b *bench) {
			for range 2 {
				b.swap(delivery.State{Since: b.t0, By: "a"}, true)
			}
			b.state(delivery.State{Ver: 1, Since: b.t0, By: "a"})
		}},
	}
}
