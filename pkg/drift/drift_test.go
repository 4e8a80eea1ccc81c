package drift_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
	"tollgate/pkg/event"
)

func check(t *testing.T, c *drift.Checker, keys ...string) []drift.Finding {
	t.Helper()
	found, err := c.Check(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// consume handles an event as the consumer does: it reads the row, fetches and swaps, again if
// it is refused.
func (w *world) consume(t *testing.T, id string) {
	t.Helper()
	for {
		r, err := w.mux().Refresh(t.Context(), dispatch.Input{Envelope: event.Envelope{ObjectID: id}, Now: time.Now()})
		if err != nil {
			t.Error(err)
			return
		}
		ver, _ := r.Before[row+id]["ver"].(int64)
		if done, err := w.Mend(t.Context(), r.Effects[:2], ver+1); err != nil || done {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestResults(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*world)
		key  string
		want drift.Result
	}{
		{"same", func(*world) {}, row + "in_1", drift.Same},
		{"an older row lacks a field that is zero", func(w *world) {
			w.objects["in_1"] = invoice("in_1", 0)
			delete(w.items[row+"in_1"], "amount")
			delete(w.items[ent+"in_1"], "until")
		}, row + "in_1", drift.Same},
		{"a newer row has a field more", func(w *world) { w.items[row+"in_1"]["new"] = "x" }, row + "in_1", drift.Same},
		{"another amount", func(w *world) { w.objects["in_1"] = invoice("in_1", 8) }, row + "in_1", drift.Drifted},
		{"an amount of another type", func(w *world) { w.items[row+"in_1"]["amount"] = "7" }, row + "in_1", drift.Drifted},
		{"a list that no handler gives", func(w *world) { w.items[row+"in_1"]["lst"] = "CUS#1" }, row + "in_1", drift.Drifted},
		{"no item", func(w *world) { delete(w.items, ent+"in_1") }, row + "in_1", drift.Drifted},
		{"an item of another version", func(w *world) { w.items[ent+"in_1"]["ver"] = int64(7) }, row + "in_1", drift.Drifted},
		{"an item without a row", func(w *world) { delete(w.items, row+"in_1") }, ent + "in_1", drift.Orphan},
		{"a row that is gone since it was listed", func(w *world) { delete(w.items, row+"in_1") }, row + "in_1", drift.Same},
		{"gone at Stripe", func(w *world) { w.objects["in_1"] = "gone" }, row + "in_1", drift.Gone},
		{"gone, and the row shows the end", func(w *world) { w.objects["in_1"] = "gone"; w.items[row+"in_1"]["status"] = "canceled" }, row + "in_1", drift.Same},
		{"a deleted customer", func(w *world) { w.objects["in_1"] = "gone"; w.items[row+"in_1"]["deleted"] = true }, row + "in_1", drift.Same},
		{"a revoked account", func(w *world) { w.objects["in_1"] = "revoked" }, row + "in_1", drift.Revoked},
		{"Stripe fails", func(w *world) { w.objects["in_1"] = "" }, row + "in_1", drift.Failed},
		{"a row without a kind", func(w *world) { delete(w.items[row+"in_1"], "object") }, row + "in_1", drift.Unreadable},
		{"an object that cannot be decoded", func(w *world) { w.objects["in_1"] = `{"id":"in_1","object":"invoice","amount_paid":"x"}` }, row + "in_1", drift.Unreadable},
		{"a kind without a keeper", func(w *world) { w.items[row+"in_1"]["object"] = "payout" }, row + "in_1", drift.Unknown},
		{"a key of another shape", func(*world) {}, "OBJ#in_1", drift.Unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.kept("in_1", 7, time.Unix(1, 0))
			w.kept("in_2", 7, time.Unix(1, 0))
			c.do(w)
			checker := w.checker()
			checker.Recheck = 0
			found := check(t, checker, c.key, row+"in_2")
			if found[0].Result != c.want || found[1].Result != drift.Same {
				t.Errorf("%+v, want %s and the other row same", found, c.want)
			}
		})
	}
}

// TestLagIsNoDrift: an object that changed a moment ago, whose event is handled meanwhile, is no
// drift, also if it keeps changing; one whose event never comes is.
func TestLagIsNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for _, id := range []string{"in_late", "in_busy", "in_lost"} {
			w.kept(id, 7, time.Unix(1, 0))
			w.objects[id] = invoice(id, 8)
		}
		ctx, stop := context.WithCancel(t.Context())
		var consumers sync.WaitGroup
		consumers.Go(func() {
			time.Sleep(30 * time.Second)
			w.consume(t, "in_late")
		})
		consumers.Go(func() {
			for n := int64(9); ctx.Err() == nil; n++ {
				w.consume(t, "in_busy")
				time.Sleep(25 * time.Second)
				w.mu.Lock()
				w.objects["in_busy"] = invoice("in_busy", n)
				w.mu.Unlock()
				time.Sleep(5 * time.Second)
			}
		})
		found := check(t, w.checker(), row+"in_late", row+"in_busy", row+"in_lost")
		stop()
		consumers.Wait()
		if found[0].Result != drift.Same || found[2].Result != drift.Drifted {
			t.Errorf("late %s, lost %s; want same and drift", found[0].Result, found[2].Result)
		}
		if found[1].Result.Drift() {
			t.Errorf("a row that handlers keep writing: %+v", found[1])
		}
	})
}

func TestStripeIsDown(t *testing.T) {
	w := newWorld()
	var keys []string
	for n := range 5 {
		id := fmt.Sprintf("in_%d", n)
		w.kept(id, 7, time.Unix(1, 0))
		keys = append(keys, row+id)
	}
	w.down = true
	if _, err := w.checker().Check(t.Context(), keys); !errors.Is(err, drift.ErrStripe) {
		t.Errorf("error %v, want %v", err, drift.ErrStripe)
	}
}

// TestRepairNextToAConsumer: a repair and a consumer work on one row while its object changes.
// The row never shows an older state than one that it showed before, and ends as Stripe shows it.
func TestRepairNextToAConsumer(t *testing.T) {
	for seed := range 50 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.kept("in_1", 1, time.Unix(1, 0))
			w.objects["in_1"] = invoice("in_1", 2)
			n := 0
			w.onFetch = func(string) { // the response is on its way for a while
				w.mu.Lock()
				n++
				d := time.Duration((n*7+seed*13)%11) * time.Millisecond
				w.mu.Unlock()
				time.Sleep(d)
			}
			var all sync.WaitGroup
			all.Go(func() {
				for amount := int64(3); amount < 8; amount++ {
					time.Sleep(time.Duration(seed%5+1) * time.Millisecond)
					w.mu.Lock()
					w.objects["in_1"] = invoice("in_1", amount)
					w.mu.Unlock()
					all.Go(func() { w.consume(t, "in_1") })
				}
			})
			all.Go(func() {
				for range 5 {
					if _, err := w.checker().Repair(t.Context(), w, row+"in_1"); err != nil {
						t.Error(err)
					}
				}
			})
			last, done := int64(0), make(chan struct{})
			go func() {
				defer close(done)
				for range 400 {
					time.Sleep(time.Millisecond / 2)
					w.mu.Lock()
					amount, _ := w.items[row+"in_1"]["amount"].(int64)
					w.mu.Unlock()
					if amount < last {
						t.Errorf("seed %d: the row goes back from %d to %d", seed, last, amount)
					}
					last = amount
				}
			}()
			all.Wait()
			<-done
			r, e := w.items[row+"in_1"], w.items[ent+"in_1"]
			if r["amount"] != int64(7) || e["until"] != int64(7) || r["ver"] != e["ver"] {
				t.Errorf("seed %d: row %v, item %v", seed, r, e)
			}
		})
	}
}

// TestRepair: rows are written under the versions that were read, also a missing item; messages
// stay as they were; what differs otherwise stays.
func TestRepair(t *testing.T) {
	w := newWorld()
	w.kept("in_1", 7, time.Unix(1, 0))
	w.kept("in_2", 7, time.Unix(1, 0))
	w.objects["in_1"], w.objects["in_2"] = invoice("in_1", 8), "gone"
	delete(w.items, ent+"in_1")
	f, err := w.checker().Repair(t.Context(), w, row+"in_1")
	if err != nil || !f.Repaired {
		t.Fatalf("%+v, %v", f, err)
	}
	r, e := w.items[row+"in_1"], w.items[ent+"in_1"]
	if r["amount"] != int64(8) || e["until"] != int64(8) || r["ver"] != int64(2) || e["ver"] != int64(2) {
		t.Errorf("row %v, item %v", r, e)
	}
	if named, _ := r["outbox"].([]any); len(named) != 1 || named[0] != "OUT#old" || len(w.items) != 4 {
		t.Errorf("messages %v, items %d", named, len(w.items))
	}
	if f, err := w.checker().Repair(t.Context(), w, row+"in_2"); err != nil || f.Repaired || f.Result != drift.Gone {
		t.Errorf("gone: %+v, %v", f, err)
	}
}

// TestRepairGivesWay: a row that changes at every try is not written.
func TestRepairGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.kept("in_1", 7, time.Unix(1, 0))
		w.objects["in_1"] = invoice("in_1", 8)
		w.onFetch = func(string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.put(row+"in_1", dispatch.Fields{"object": "invoice", "amount": int64(7)}, w.items[row+"in_1"]["ver"].(int64)+1)
		}
		if _, err := w.checker().Repair(t.Context(), w, row+"in_1"); err == nil {
			t.Error("no error")
		}
		if w.items[row+"in_1"]["amount"] != int64(7) {
			t.Error("the row was overwritten")
		}
	})
}
