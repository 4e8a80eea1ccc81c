package replay

import (
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

var now = time.UnixMilli(1_700_000_000_000).UTC()

// fakes is everything that a replay calls, and the calls in order.
type fakes struct {
	record  *idempotency.Record
	events  map[string]string // account + "/" + id to bytes
	fetched error             // what fetches fail with
	written error
	sent    error
	did     []string
	message event.Envelope
	request idempotency.ReplayRequest
	onFetch func()
}

func (w *fakes) Get(_ context.Context, id string) (idempotency.Record, bool, error) {
	if w.record == nil {
		return idempotency.Record{}, false, nil
	}
	return *w.record, true, nil
}

func (w *fakes) FetchEvent(_ context.Context, account, id string, thin bool) ([]byte, error) {
	w.did = append(w.did, strings.TrimSpace("fetch "+account))
	if thin {
		w.did = append(w.did, "thin")
	}
	if w.onFetch != nil {
		w.onFetch()
	}
	if w.fetched != nil {
		return nil, w.fetched
	}
	body, ok := w.events[account+"/"+id]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("no such object at Stripe"))
	}
	return []byte(body), nil
}

func (w *fakes) Replay(ctx context.Context, r idempotency.ReplayRequest) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.did, w.request = append(w.did, "write"), r
	return w.written
}

func (w *fakes) Send(ctx context.Context, e event.Envelope, _ string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.did, w.message = append(w.did, "send"), e
	return w.sent
}

const body = `{"id":"evt_1","object":"event","type":"invoice.paid","livemode":false,"api_version":"2023-10-16","created":1699999990,"data":{"object":{"id":"in_1","object":"invoice"}}}`

// envelopeOf is the envelope of the first delivery of body.
func envelopeOf(t *testing.T, body, account string) event.Envelope {
	t.Helper()
	e, err := event.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	e.Account = account
	return e
}

// newFakes has one event at Stripe, and its record.
func newFakes(t *testing.T) *fakes {
	t.Helper()
	return &fakes{
		events: map[string]string{"/evt_1": body},
		record: &idempotency.Record{
			ID: "evt_1", State: idempotency.Done, Attempt: 2, Generation: 3, Type: "invoice.paid",
			Identity: idempotency.Identity(envelopeOf(t, body, "")), ReceivesLeft: -1, Outcome: idempotency.Applied,
		},
	}
}

func (w *fakes) replayer(t *testing.T, change func(*Config)) *Replayer {
	t.Helper()
	c := Config{
		Records: w, Store: w, Events: w, Queue: w, Endpoint: "default", By: "ann", Why: "wrong rate", Now: func() time.Time { return now },
	}
	if change != nil {
		change(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStates: the replay of an event in each state, and the calls that it makes.
func TestStates(t *testing.T) {
	down := errors.New("503")
	for _, c := range []struct {
		name    string
		change  func(*fakes)
		config  func(*Config)
		did     string
		action  Action
		gen     int64
		note    string
		refused Refusal
		err     error // another error
	}{
		{name: "done", did: "fetch, write, send", action: Replayed, gen: 4},
		{name: "unknown", change: func(w *fakes) { w.record = nil }, refused: RefusedUnknown},
		{name: "asked for before, not sent", change: func(w *fakes) { w.record.State, w.record.ReplayBy = idempotency.Failed, "ann" },
			did: "fetch, send", action: Sent, gen: 3, note: "requested before"},
		{name: "retrying", change: func(w *fakes) { w.record.State, w.record.Fails, w.record.ReceivesLeft = idempotency.Failed, 2, 14 },
			did: "fetch, send", action: Sent, gen: 3, note: "retried too, unless it is a dead letter"},
		{name: "dead", change: func(w *fakes) { w.record.State, w.record.Fails, w.record.ReceivesLeft = idempotency.Failed, 2, 0 },
			did: "fetch, send", action: Sent, gen: 3, note: "dead letter stays"},
		{name: "running", change: func(w *fakes) { w.record.State, w.record.Lease = idempotency.Running, now.Add(time.Second) }, refused: RefusedRunning},
		{name: "its attempt died", change: func(w *fakes) { w.record.State, w.record.Lease = idempotency.Running, now.Add(-time.Minute) }, refused: RefusedRetrying},
		{name: "its last attempt died", change: func(w *fakes) {
			w.record.State, w.record.Lease, w.record.ReceivesLeft = idempotency.Running, now.Add(-time.Minute), 0
		}, refused: RefusedDead},
		{name: "its attempt died long ago", change: func(w *fakes) { w.record.State, w.record.Lease = idempotency.Running, now.Add(-2*time.Hour) },
			did: "fetch, send", action: Sent, gen: 3, note: "died long ago"},

		{name: "cannot be fetched", change: func(w *fakes) { w.events = nil }, did: "fetch", refused: RefusedGone},
		{name: "Stripe is down", change: func(w *fakes) { w.fetched = down }, did: "fetch", err: down},
		{name: "no key", change: func(w *fakes) { w.fetched = dispatch.Park(dispatch.ReasonNoAPIKey, down) }, did: "fetch", err: down},
		{name: "fetched bytes are no event", change: func(w *fakes) { w.events["/evt_1"] = `{"object":"list"}` }, did: "fetch", refused: RefusedUnreadable},
		{name: "another mode", change: func(w *fakes) { w.events["/evt_1"] = strings.Replace(body, "false", "true", 1) }, did: "fetch", refused: RefusedMismatched},
		{name: "another event", change: func(w *fakes) { w.events["/evt_1"] = strings.Replace(body, "evt_1", "evt_2", 1) }, did: "fetch", refused: RefusedMismatched},
		{name: "other bytes of the same fact", change: func(w *fakes) { w.events["/evt_1"] = strings.Replace(body, "2023-10-16", "2026-08-26.dahlia", 1) },
			did: "fetch, write, send", action: Replayed, gen: 4},

		{name: "another operator was faster", change: func(w *fakes) { w.written = idempotency.ErrNoLongerDone }, did: "fetch, write", refused: RefusedChanged},
		{name: "the table is down", change: func(w *fakes) { w.written = idempotency.ErrStoreDown }, did: "fetch, write", err: idempotency.ErrStoreDown},
		{name: "the queue is down", change: func(w *fakes) { w.sent = down }, did: "fetch, write, send", err: down},
		{name: "its endpoint excludes it", config: func(c *Config) {
			c.Excludes = func(e event.Envelope) bool { return e.Endpoint == "default" && e.ID == "evt_1" }
		},
			did: "fetch", refused: RefusedExcluded},
		{name: "its endpoint takes it", config: func(c *Config) { c.Excludes = func(event.Envelope) bool { return false } },
			did: "fetch, write, send", action: Replayed, gen: 4},
		{name: "its type is paused", config: func(c *Config) {
			c.Paused = func(_ context.Context, eventType string) (bool, error) { return eventType == "invoice.paid", nil }
		}, refused: RefusedPaused},
		{name: "another type is paused", config: func(c *Config) {
			c.Paused = func(_ context.Context, eventType string) (bool, error) { return eventType != "invoice.paid", nil }
		}, did: "fetch, write, send", action: Replayed, gen: 4},
		{name: "pauses cannot be read", config: func(c *Config) { c.Paused = func(context.Context, string) (bool, error) { return false, down } }, err: down},
		{name: "dry run of one that is done", config: func(c *Config) { c.DryRun, c.By, c.Why = true, "", "" }, did: "fetch", action: WouldReplay, gen: 4},
		{name: "dry run of one that cannot be fetched", change: func(w *fakes) { w.events = nil }, config: func(c *Config) { c.DryRun = true }, did: "fetch", refused: RefusedGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newFakes(t)
			if c.change != nil {
				c.change(w)
			}
			res, err := w.replayer(t, c.config).Event(t.Context(), "evt_1")
			refused, _ := errors.AsType[*RefusedError](err)
			switch {
			case c.refused != "" && (refused == nil || refused.Reason != c.refused || refused.Text == "" || refused.Hint == ""):
				t.Errorf("error %v, want it refused as %s, with a hint", err, c.refused)
			case c.refused == "" && refused != nil || c.err == nil && c.refused == "" && err != nil || c.err != nil && !errors.Is(err, c.err):
				t.Errorf("error %v, want %v", err, c.err)
			}
			if did := strings.Join(w.did, ", "); did != c.did {
				t.Errorf("it did %q, want %q", did, c.did)
			}
			if err == nil && (res.Action != c.action || res.Generation != c.gen || !strings.Contains(res.Note, c.note) || (c.note == "") != (res.Note == "")) {
				t.Errorf("result %+v, want %s in generation %d, note %q", res, c.action, c.gen, c.note)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	w := newFakes(t)
	if _, err := w.replayer(t, func(c *Config) { c.Endpoint = "connect" }).Event(t.Context(), "evt_1"); err != nil {
		t.Fatal(err)
	}
	want := envelopeOf(t, body, "")
	want.Endpoint, want.Source, want.ReceivedAt, want.Body = "connect", event.Replay, now, []byte(body)
	if diff := cmp.Diff(want, w.message); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	request := idempotency.ReplayRequest{EventID: "evt_1", Generation: 3, Now: now, By: "ann", Why: "wrong rate"}
	if diff := cmp.Diff(request, w.request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// TestAccounts: a record has no account, but its identity matches only the right one.
func TestAccounts(t *testing.T) {
	for _, c := range []struct {
		name     string
		events   map[string]string
		accounts []string
		did      string
		account  string
		refused  Refusal
	}{
		{"asked as the right one", map[string]string{"acct_1/evt_1": body}, []string{"acct_1"}, "fetch acct_1, write, send", "acct_1", ""},
		{"the second has it", map[string]string{"acct_1/evt_1": body}, []string{"", "acct_1"}, "fetch, fetch acct_1, write, send", "acct_1", ""},
		{"the first has it, but is another", map[string]string{"acct_2/evt_1": body, "acct_1/evt_1": body}, []string{"acct_2", "acct_1"},
			"fetch acct_2, fetch acct_1, write, send", "acct_1", ""},
		{"the bytes name it", map[string]string{"/evt_1": strings.Replace(body, `"object":"event"`, `"object":"event","account":"acct_1"`, 1)}, nil, "fetch, write, send", "acct_1", ""},
		{"asked as the wrong one", map[string]string{"acct_2/evt_1": body}, []string{"acct_2"}, "fetch acct_2", "", RefusedMismatched},
		{"the platform's own key", map[string]string{"acct_1/evt_1": body}, nil, "fetch", "", RefusedGone},
		{"the bytes name another than asked", map[string]string{"acct_1/evt_1": strings.Replace(body, `"object":"event"`, `"object":"event","account":"acct_9"`, 1)},
			[]string{"acct_1"}, "fetch acct_1", "", RefusedUnreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newFakes(t)
			w.events, w.record.Identity = c.events, idempotency.Identity(envelopeOf(t, body, "acct_1"))
			_, err := w.replayer(t, func(cfg *Config) { cfg.Accounts = c.accounts }).Event(t.Context(), "evt_1")
			refused, _ := errors.AsType[*RefusedError](err)
			if did := strings.Join(w.did, ", "); did != c.did || (refused != nil) != (c.refused != "") || refused != nil && refused.Reason != c.refused {
				t.Errorf("it did %q and ended with %v", did, err)
			}
			if w.message.Account != c.account {
				t.Errorf("the message is of account %q, want %q", w.message.Account, c.account)
			}
		})
	}
}

// TestAccountOfAContext: the record may be of a release that ignored it. The message has the
// account.
func TestAccountOfAContext(t *testing.T) {
	inContext := strings.Replace(body, `"object":"event"`, `"object":"event","context":"org_1/acct_1"`, 1)
	for _, c := range []struct {
		name, recorded string
		accounts       []string
		refused        Refusal
	}{
		{"recorded under it", "acct_1", []string{"acct_1"}, ""},
		{"recorded under none", "", []string{"acct_1"}, ""},
		{"recorded under none, asked as the key's own", "", nil, ""},
		{"recorded under another", "acct_2", []string{"acct_1"}, RefusedMismatched},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newFakes(t)
			w.events = map[string]string{"/evt_1": inContext, "acct_1/evt_1": inContext}
			w.record.Identity = idempotency.Identity(envelopeOf(t, body, c.recorded))
			_, err := w.replayer(t, func(cfg *Config) { cfg.Accounts = c.accounts }).Event(t.Context(), "evt_1")
			refused, _ := errors.AsType[*RefusedError](err)
			if (refused != nil) != (c.refused != "") || refused != nil && refused.Reason != c.refused {
				t.Errorf("%v", err)
			}
			if want := event.FromContext; c.refused == "" && (w.message.Account != "acct_1" || w.message.AccountFrom != want) {
				t.Errorf("the message is of account %q from %d", w.message.Account, w.message.AccountFrom)
			}
		})
	}
}

func TestThinEventsAreFetchedAsSuch(t *testing.T) {
	const thinBody = `{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.no_meter_found","created":"2023-11-14T22:13:10.000Z","livemode":false}`
	w := newFakes(t)
	w.events["/evt_1"], w.record.Type = thinBody, "v1.billing.meter.no_meter_found"
	w.record.Identity = idempotency.Identity(envelopeOf(t, thinBody, ""))
	if _, err := w.replayer(t, nil).Event(t.Context(), "evt_1"); err != nil || strings.Join(w.did, ", ") != "fetch, thin, write, send" {
		t.Errorf("%q, %v", w.did, err)
	}
}

// TestLargeEvents: an event that is too large for a message is sent as its id if the consumer
// can fetch it, else refused.
func TestLargeEvents(t *testing.T) {
	noise := make([]byte, 850_000) // does not get smaller by compression
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	large := strings.Replace(body, `"object":"invoice"`, `"object":"invoice","noise":"`+base64.StdEncoding.EncodeToString(noise)+`"`, 1)
	w := newFakes(t)
	w.events["/evt_1"] = large
	if _, err := w.replayer(t, nil).Event(t.Context(), "evt_1"); err != nil {
		t.Error(err)
	}
	w = newFakes(t)
	w.events["/evt_1"] = large
	_, err := w.replayer(t, func(c *Config) { c.Carried = true }).Event(t.Context(), "evt_1")
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Reason != RefusedTooLarge || strings.Join(w.did, ", ") != "fetch" {
		t.Errorf("%q, %v", w.did, err)
	}
}

// TestInterrupt ends a replay before the write; after it the message is sent too.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := newFakes(t)
	w.onFetch = cancel
	if _, err := w.replayer(t, nil).Event(ctx, "evt_1"); !errors.Is(err, context.Canceled) || strings.Join(w.did, ", ") != "fetch" {
		t.Errorf("%q, %v", w.did, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	w = newFakes(t)
	r := w.replayer(t, func(c *Config) { c.Store = interrupting{w, cancel} })
	if _, err := r.Event(ctx, "evt_1"); err != nil || strings.Join(w.did, ", ") != "fetch, write, send" {
		t.Errorf("%q, %v", w.did, err)
	}
}

type interrupting struct {
	*fakes
	cancel func()
}

func (i interrupting) Replay(ctx context.Context, r idempotency.ReplayRequest) error {
	defer i.cancel()
	return i.fakes.Replay(ctx, r)
}

func TestNewRefuses(t *testing.T) {
	w := newFakes(t)
	good := Config{Records: w, Store: w, Events: w, Queue: w, Endpoint: "default", By: "ann", Why: "x"}
	for name, spoil := range map[string]func(*Config){
		"no records": func(c *Config) { c.Records = nil }, "no store": func(c *Config) { c.Store = nil },
		"no events": func(c *Config) { c.Events = nil }, "no queue": func(c *Config) { c.Queue = nil },
		"no endpoint": func(c *Config) { c.Endpoint = "" }, "no endpoint's name": func(c *Config) { c.Endpoint = "A/b" },
		"no operator": func(c *Config) { c.By = "" }, "no reason": func(c *Config) { c.Why = "" },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
