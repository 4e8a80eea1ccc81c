package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
	"tollgate/pkg/queue"
)

func TestDelivered(t *testing.T) {
	bubble(t, func(f *fixture) {
		if ack, _ := f.handle(received(1, 1)); !ack {
			t.Fatal("not acknowledged")
		}
		want := delivery.Delivery{ID: delivery.ID(message(1).Key), Message: message(1), Sequence: 1, Attempt: 1}
		if diff := cmp.Diff([]delivery.Delivery{want}, f.target.got); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if r := f.row(1); r.Status != delivery.Delivered || len(r.History) != 1 || r.History[0].Status != 200 {
			t.Errorf("row %+v", r)
		}
		if ack, _ := f.handle(received(1, 1)); !ack || len(f.target.got) != 1 {
			t.Errorf("a duplicate: acknowledged %v, sent %d times", ack, len(f.target.got))
		}
	})
}

// TestLines: one line for each job, without payload, address, secret and query.
func TestLines(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Retry, Status: 429, Err: "status 429", RetryAfter: time.Minute})
		f.handle(received(1, 1))
		var got map[string]any
		if err := json.Unmarshal(f.lines.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, f.lines)
		}
		delete(got, "time")
		want := map[string]any{
			"level": "WARN", "msg": "send", "destination": "crm", "outcome": "retry", "key": message(1).Key, "webhook_id": delivery.ID(message(1).Key),
			"attempt": 1.0, "receives": 1.0, "message_id": "m1", "status": 429.0, "took_ms": 0.0, "age_ms": 0.0, "retry_in_ms": 60000.0, "error": "status 429",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
		f.lines.Reset()
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Stop, Status: 400, Err: strings.Repeat("x", 500)})
		f.handle(received(2, 1))
		if strings.Contains(f.lines.String(), strings.Repeat("x", delivery.MaxErr+1)) || len(f.row(2).History[0].Err) > delivery.MaxErr {
			t.Error("a long error text is kept")
		}
		for _, secret := range []string{"example.com", "query", "tollgate/crm", "500,"} {
			if strings.Contains(f.lines.String(), secret) {
				t.Errorf("the lines have %q:\n%s", secret, f.lines)
			}
		}
	})
}

// TestBackoff: attempts follow after 5 s × 3^(n−1), and after three days no more.
func TestBackoff(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.target.answer = answers(unavailable())
		start, lim := time.Now(), limits.AWS().Sender
		for receives := 1; ; receives++ {
			ack, delay := f.handle(received(1, receives))
			if ack {
				break
			}
			if receives > 40 {
				t.Fatal("never exhausted")
			}
			time.Sleep(delay)
		}
		want := []time.Duration{0}
		for d, at := 5*time.Second, time.Duration(0); at < 72*time.Hour; d *= 3 {
			at = min(at+min(d, lim.BackoffCap), 72*time.Hour)
			want = append(want, at)
		}
		var got []time.Duration
		for _, at := range f.target.at {
			got = append(got, at.Sub(start))
		}
		for i := range want {
			if i >= len(got) || got[i] < want[i] || got[i] > want[i]+10*time.Minute {
				t.Fatalf("attempts after %v, want %v", got, want)
			}
		}
		if r := f.row(1); r.Status != delivery.Failed || len(r.History) != delivery.MaxHistory || r.Attempt != len(got) {
			t.Errorf("row %+v", r)
		}
		if len(f.queue.dead) != 1 || f.queue.dead[0].Reason != "exhausted" || f.queue.dead[0].Destination != "crm" {
			t.Errorf("dead letters %+v", f.queue.dead)
		}
		ids := map[string]bool{}
		for _, d := range f.target.got {
			ids[d.ID] = true
		}
		if len(ids) != 1 {
			t.Errorf("ids %v", ids)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	bubble(t, func(f *fixture) {
		for asked, want := range map[time.Duration]time.Duration{
			0: 5 * time.Second, time.Second: 5 * time.Second, time.Hour: time.Hour, 300 * time.Hour: limits.AWS().Sender.BackoffCap,
		} {
			n := int(asked / time.Hour % 39)
			if asked == time.Second {
				n = 39
			}
			f.target.answer = answers(delivery.Answer{Verdict: delivery.Retry, Status: 429, RetryAfter: asked})
			if _, delay := f.handle(received(n, 1)); delay != want {
				t.Errorf("Retry-After %v: the job comes back after %v, want %v", asked, delay, want)
			}
			sent := len(f.target.got)
			time.Sleep(want / 2)
			if _, delay := f.handle(received(n, 1)); len(f.target.got) != sent || delay != want-want/2 {
				t.Errorf("a copy of the job: sent %v, back after %v", len(f.target.got) != sent, delay)
			}
		}
	})
}

// TestFinalAnswers: a copy is stored, then the job is acknowledged; without the copy it stays.
func TestFinalAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		verdict delivery.Verdict
		status  delivery.Status
		reason  string
		why     string
	}{
		"stop":    {delivery.Stop, delivery.Failed, "stopped", ""},
		"disable": {delivery.Disable, delivery.Disabled, "disabled", "status 410"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.target.answer = answers(delivery.Answer{Verdict: c.verdict, Status: 410, Err: "status 410"})
				f.queue.err = errBroken
				if ack, _ := f.handle(received(1, 1)); ack || f.row(1).Status != c.status {
					t.Errorf("acknowledged %v without a copy; row %+v", ack, f.row(1))
				}
				f.queue.err = nil
				if ack, _ := f.handle(received(1, 2)); !ack || len(f.queue.dead) != 1 || len(f.target.got) != 1 {
					t.Errorf("acknowledged %v with dead letters %+v, sent %d times", ack, f.queue.dead, len(f.target.got))
				}
				f.handle(received(2, 1))
				if disabled := c.verdict == delivery.Disable; disabled != (len(f.target.got) == 1) || disabled != !f.state().Off.IsZero() {
					t.Errorf("the next message: sent %d times, state %+v", len(f.target.got), f.state())
				}
				if got := f.queue.dead[1].Error; c.verdict == delivery.Stop && got != "status 410" {
					t.Errorf("its error is %q", got)
				}
				if got := f.queue.dead[1].Reason; got != c.reason {
					t.Errorf("its reason is %q, want %q", got, c.reason)
				}
				if got := f.state().Why; got != c.why {
					t.Errorf("the destination is disabled because of %q, want %q", got, c.why)
				}
			})
		})
	}
}

// TestJobsThatCannotBeSent are kept in the dead-letter queue.
func TestJobsThatCannotBeSent(t *testing.T) {
	bubble(t, func(f *fixture) {
		early := queue.Message{ID: "m", Receipt: "m", Body: delivery.Job{Message: message(1).Key, Destination: "gone"}.Encode(), Receives: 5}
		if ack, delay := f.handle(early); ack || delay < time.Minute || len(f.queue.dead) > 0 {
			t.Errorf("a destination of the next release: acknowledged %v, back after %v", ack, delay)
		}
		for body, reason := range map[string]string{
			`{`: "undecodable", `{"v":2,"message":"a","destination":"crm"}`: "undecodable", `{"v":1,"message":"","destination":"crm"}`: "undecodable",
			delivery.Job{Message: message(1).Key, Destination: "gone"}.Encode(): "unknown_destination",
			delivery.Job{Message: "OUT#none", Destination: "crm"}.Encode():      "no_message",
		} {
			f.queue.dead = nil
			ack, _ := f.handle(queue.Message{ID: "m", Receipt: "m", Body: body, Receives: 6})
			if !ack || len(f.queue.dead) != 1 || f.queue.dead[0].Reason != reason {
				t.Errorf("%s: acknowledged %v, dead letters %+v, want %s", body, ack, f.queue.dead, reason)
			}
		}
		if len(f.target.got) > 0 {
			t.Errorf("sent %+v", f.target.got)
		}
	})
}

// TestLostAnswersOfTheStore: no answer of the store loses a delivery or acknowledges it early.
func TestLostAnswersOfTheStore(t *testing.T) {
	for _, call := range []string{"State", "Message", "Begin", "End"} {
		for _, applied := range []bool{false, true} {
			t.Run(call, func(t *testing.T) {
				bubble(t, func(f *fixture) {
					f.store.Fault = func(name string) (error, error) {
						switch {
						case name != call:
							return nil, nil
						case applied:
							return nil, errBroken
						}
						return errBroken, nil
					}
					ack, delay := f.handle(received(1, 1))
					if ack || delay > time.Minute {
						t.Fatalf("acknowledged %v, back after %v", ack, delay)
					}
					f.store.Fault = nil
					for receives := 2; !ack; receives++ {
						if receives > 4 {
							t.Fatal("not delivered")
						}
						time.Sleep(delay)
						ack, delay = f.handle(received(1, receives))
					}
					if want := 1; call == "End" && !applied && len(f.target.got) != 2 || (call != "End" || applied) && len(f.target.got) != want {
						t.Errorf("sent %d times", len(f.target.got))
					}
					if f.row(1).Status != delivery.Delivered {
						t.Errorf("row %+v", f.row(1))
					}
				})
			})
		}
	}
}

// TestPausedSender: a process that was frozen after the begin of its attempt does not send any more.
func TestPausedSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		f := newFixture(t, func(c *delivery.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		f.store.Fault = func(call string) (error, error) {
			if call == "Begin" {
				ahead.Add(int64(6 * time.Second)) // more than the slack
			}
			return nil, nil
		}
		if ack, _ := f.handle(received(1, 1)); ack || len(f.target.got) > 0 {
			t.Errorf("acknowledged %v, sent %d times", ack, len(f.target.got))
		}
		if f.row(1).Status != delivery.Waiting || !f.state().Since.IsZero() {
			t.Errorf("row %+v, state %+v: the destination has not failed", f.row(1), f.state())
		}
	})
}

// TestOvertakenAttempt: an attempt that another took over records nothing and keeps its job.
func TestOvertakenAttempt(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.target.answer = func(delivery.Delivery) delivery.Answer {
			begun, err := f.store.Begin(context.Background(), delivery.BeginRequest{Job: jobOf(1), Owner: "other", Now: time.Now(), Lease: time.Now().Add(time.Hour), Cutoff: time.Now().Add(time.Hour)})
			if err != nil || begun.Started == nil {
				t.Errorf("take-over: %+v, %v", begun, err)
			}
			return delivery.Answer{Verdict: delivery.Done}
		}
		if ack, _ := f.handle(received(1, 1)); ack || f.row(1).Owner != "other" || f.row(1).Status != delivery.Running {
			t.Errorf("acknowledged %v, row %+v", ack, f.row(1))
		}
	})
}

// TestBatch: a panic, a slow answer and a failure leave the other jobs alone.
func TestBatch(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.target.answer = func(d delivery.Delivery) delivery.Answer {
			switch d.Message.Key {
			case message(3).Key:
				panic("a bug")
			case message(4).Key:
				time.Sleep(20 * time.Second)
				return unavailable()
			}
			return delivery.Answer{Verdict: delivery.Done}
		}
		var in []queue.Message
		for n := range 10 {
			in = append(in, received(n, 1))
		}
		failed, err := f.sender.Handle(context.Background(), in)
		if diff := cmp.Diff([]string{"m3", "m4"}, failed); diff != "" || err != nil {
			t.Errorf("failed jobs (-want +got), %v:\n%s", err, diff)
		}
		if r := f.row(3); r.Status != delivery.Waiting || r.History[0].Err != "target panicked" {
			t.Errorf("after a panic: %+v", r)
		}
		if h := f.row(4).History; len(h) != 1 || h[0].Took != 20*time.Second {
			t.Errorf("history %+v", h)
		}
	})
}

// TestConcurrencyAndRate: a destination's bounds hold, and what does not fit comes back.
func TestConcurrencyAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *delivery.Config) {
			d := c.Destinations["crm"]
			d.Concurrency, d.Rate = 2, 1
			c.Destinations["crm"] = d
		})
		var now, most atomic.Int32
		f.target.answer = func(delivery.Delivery) delivery.Answer {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(10 * time.Second)
			now.Add(-1)
			return delivery.Answer{Verdict: delivery.Done}
		}
		var in []queue.Message
		for n := range 20 {
			in = append(in, received(n, 1))
		}
		start := time.Now()
		failed, err := f.sender.Handle(context.Background(), in)
		if took := time.Since(start); err != nil || most.Load() != 2 || len(failed) != 20-len(f.target.got) || len(f.target.got) < 4 || took > time.Minute {
			t.Errorf("%d at once, %d sent, %d come back, in %v: %v", most.Load(), len(f.target.got), len(failed), took, err)
		}
		f.target.at, f.target.answer = nil, answers(delivery.Answer{Verdict: delivery.Done})
		f.sender.Handle(context.Background(), in)
		for i := 3; i < len(f.target.at); i++ {
			if gap := f.target.at[i].Sub(f.target.at[i-1]); gap < 900*time.Millisecond {
				t.Errorf("two sends within %v", gap)
			}
		}
	})
}

// TestWholeEvents: the event is fetched at sending, before the attempt begins.
func TestWholeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched string
		fetchErr, body := error(nil), []byte(fmt.Sprintf(stripeEvent, "evt_2", "invoice.paid"))
		f := newFixture(t, func(c *delivery.Config) {
			d := c.Destinations["crm"]
			d.Whole = true
			c.Destinations["crm"] = d
			c.Events = fetch(func(account, id string, thin bool) ([]byte, error) {
				fetched = account + " " + id
				return body, fetchErr
			})
			m := outbox.Message{Key: "OUT#EVENT#test#acct_1#evt_1#stripe.invoice.paid", Name: "stripe.invoice.paid", Fields: map[string]any{"event": "evt_1", "type": "invoice.paid", "object": "in_1"}}
			c.Store = withMessage{c.Store, m}
		})
		job := queue.Message{ID: "m", Receipt: "m", Body: delivery.Job{Message: "OUT#EVENT#test#acct_1#evt_1#stripe.invoice.paid", Destination: "crm"}.Encode(), Receives: 1}
		fetchErr = errBroken
		if ack, _ := f.handle(job); ack || len(f.target.got) > 0 {
			t.Error("sent without the event")
		}
		fetchErr = dispatch.Park(dispatch.ReasonNoFetch, errBroken)
		if ack, _ := f.handle(job); !ack || len(f.queue.dead) != 1 || f.queue.dead[0].Reason != "event_gone" {
			t.Errorf("acknowledged %v, dead letters %+v", ack, f.queue.dead)
		}
		fetchErr, f.queue.dead = nil, nil
		live := strings.Replace(fmt.Sprintf(stripeEvent, "evt_1", "invoice.paid"), "false", "true", 1)
		for i, other := range []string{string(body), live} {
			body = []byte(other)
			if ack, _ := f.handle(job); !ack || len(f.queue.dead) != i+1 || len(f.target.got) > 0 {
				t.Errorf("another event: acknowledged %v, dead letters %+v, sent %+v", ack, f.queue.dead, f.target.got)
			}
		}
		fetchErr = dispatch.NotBefore(time.Hour, errBroken)
		if ack, delay := f.handle(job); ack || delay < time.Hour {
			t.Errorf("Stripe is busy: acknowledged %v, back after %v", ack, delay)
		}
		fetchErr = dispatch.Park(dispatch.ReasonNoAPIKey, errBroken)
		if ack, _ := f.handle(job); ack {
			t.Error("a missing key is final")
		}
		fetchErr, body = nil, []byte(fmt.Sprintf(stripeEvent, "evt_1", "invoice.paid"))
		if ack, _ := f.handle(job); !ack || fetched != "acct_1 evt_1" {
			t.Errorf("acknowledged %v, fetched %q", ack, fetched)
		}
		want := &delivery.Event{ID: "evt_1", Type: "invoice.paid", Object: "in_1", Body: body}
		if diff := cmp.Diff(want, f.target.got[0].Event); diff != "" || f.target.got[0].Account != "acct_1" || f.target.got[0].Sequence != 1 {
			t.Errorf("sent %+v, event (-want +got):\n%s", f.target.got[0], diff)
		}
	})
}

const stripeEvent = `{"id":%q,"object":"event","type":%q,"created":1,"livemode":false,"data":{"object":{"id":"in_1"}}}`

// TestFetchFailsForDays: the queue would drop the job in the end, and no row counts its attempts.
func TestFetchFailsForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const key = "OUT#EVENT#live#acct_1#evt_1#stripe.invoice.paid"
		f := newFixture(t, func(c *delivery.Config) {
			d := c.Destinations["crm"]
			d.Whole = true
			c.Destinations["crm"] = d
			c.Events = fetch(func(string, string, bool) ([]byte, error) { return nil, errBroken })
			c.Store = withMessage{c.Store, outbox.Message{Key: key, Name: "stripe.invoice.paid", Fields: map[string]any{"event": "evt_1"}}}
		})
		job := queue.Message{ID: "m", Receipt: "m", Body: delivery.Job{Message: key, Destination: "crm"}.Encode(), Receives: 9, SentAt: time.Now()}
		time.Sleep(limits.AWS().Sender.MaxAge - time.Second)
		if ack, _ := f.handle(job); ack || len(f.queue.dead) > 0 {
			t.Errorf("dead early: %+v", f.queue.dead)
		}
		time.Sleep(time.Second)
		if ack, _ := f.handle(job); !ack || len(f.queue.dead) != 1 || f.queue.dead[0].Reason != "event_gone" {
			t.Errorf("acknowledged %v, dead letters %+v", ack, f.queue.dead)
		}
	})
}

// TestChangedConfiguration: a job of a mode or account that the destination has excluded since is
// not sent: the name may be another receiver's now.
func TestChangedConfiguration(t *testing.T) {
	for name, change := range map[string]func(*destinationOf){
		"test mode only":  func(d *destinationOf) { d.Livemode = []bool{false} },
		"another account": func(d *destinationOf) { d.Accounts = []string{"acct_1"} },
	} {
		f := newFixture(t, func(c *delivery.Config) {
			d := c.Destinations["crm"]
			change(&d)
			c.Destinations["crm"] = d
		})
		if ack, _ := f.handle(received(1, 5)); ack || len(f.target.got) > 0 {
			t.Errorf("%s: acknowledged %v while a deploy may go on, %d sent", name, ack, len(f.target.got))
		}
		if ack, _ := f.handle(received(1, 6)); !ack || len(f.target.got) > 0 || len(f.queue.dead) != 1 || f.queue.dead[0].Reason != "not_taken" {
			t.Errorf("%s: acknowledged %v, %d sent, dead letters %+v", name, ack, len(f.target.got), f.queue.dead)
		}
	}
}

type fetch func(account, id string, thin bool) ([]byte, error)

func (f fetch) FetchEvent(_ context.Context, account, id string, thin bool) ([]byte, error) {
	return f(account, id, thin)
}

type withMessage struct {
	delivery.Store
	m outbox.Message
}

func (w withMessage) Message(context.Context, string) (outbox.Message, bool, error) {
	return w.m, true, nil
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*delivery.Config){
		"a store":  func(c *delivery.Config) { c.Store = nil },
		"a queue":  func(c *delivery.Config) { c.Queue = nil },
		"a target": func(c *delivery.Config) { c.Targets = nil },
		"a fetcher": func(c *delivery.Config) {
			d := c.Destinations["crm"]
			d.Whole = true
			c.Destinations = map[string]destinationOf{"crm": d}
		},
	} {
		c := f.cfg
		change(&c)
		if _, err := delivery.New(c); err == nil || !strings.Contains(err.Error(), strings.Fields(name)[1]) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
