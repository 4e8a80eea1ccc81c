package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const messageKey = "OUT#FACT#test#-#in_1#paid#receipt"

// beginsOf returns a given begin, and counts the calls.
type beginsOf struct {
	at    time.Time // zero: none yet
	err   error
	calls int
	last  string // mode and account of the last call
}

func (b *beginsOf) Begin(_ context.Context, livemode bool, account string) (time.Time, bool, error) {
	b.calls++
	b.last = fmt.Sprintf("%v %q", livemode, account)
	return b.at, !b.at.IsZero(), b.err
}

// returning returns a mux whose only handler returns the effects.
func returning(h dispatch.Hold, effects ...dispatch.Effect) *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{Hold: h})
	dispatch.On(mux, "requests", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) { return effects, nil })
	return mux
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func inputAt(received, now time.Time) dispatch.Input {
	in := input("requests", "", `{"object":"x"}`)
	in.ReceivedAt, in.Now = received, now
	return in
}

func TestHold(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name                   string
		since, received, began time.Time // began zero: no begin of history
		handled                time.Time // zero: when it was received
		before                 time.Time
		after                  time.Duration
		want                   string
	}{
		{name: "fresh", since: noon, received: noon.Add(time.Second)},
		{name: "a day late", since: noon, received: noon.Add(24 * hour)},
		{name: "over a day late", since: noon, received: noon.Add(24*hour + time.Second), want: dispatch.HeldOld},
		{name: "received fresh, handled three days later", since: noon, received: noon.Add(time.Minute), handled: noon.Add(72 * hour)},
		{name: "of a state to come", since: noon.Add(48 * hour), received: noon},
		{name: "within a longer time", since: noon, received: noon.Add(40 * hour), after: 48 * hour},
		{name: "over a shorter time", since: noon, received: noon.Add(2 * hour), after: hour, want: dispatch.HeldOld},
		{name: "older than the begin", since: noon, received: noon.Add(time.Second), began: noon.Add(time.Nanosecond), want: dispatch.HeldBeforeBegin},
		{name: "of the begin's moment", since: noon, received: noon.Add(time.Second), began: noon},
		{name: "after the begin, and old", since: noon, received: noon.Add(25 * hour), began: noon.Add(-hour), want: dispatch.HeldOld},
		{name: "before the restore's end", since: noon, received: noon.Add(2 * time.Second), before: noon.Add(time.Second), want: dispatch.HeldBefore},
		{name: "of the moment of the restore's end", since: noon, received: noon, before: noon},
		{name: "before the restore's end, and old", since: noon, received: noon.Add(25 * hour), before: noon.Add(hour), want: dispatch.HeldOld},
		{name: "before the restore's end, and before the begin", since: noon, received: noon, before: noon.Add(hour), began: noon.Add(hour), want: dispatch.HeldBefore},
		{name: "received at an unknown time, before the restore's end", since: noon, handled: noon, before: noon.Add(hour), want: dispatch.HeldBefore},
		{name: "received at an unknown time", since: noon, handled: noon.Add(72 * hour)},
		{name: "received at an unknown time, older than the begin", since: noon, handled: noon.Add(72 * hour), began: noon.Add(hour), want: dispatch.HeldBeforeBegin},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.handled.IsZero() {
				c.handled = c.received
			}
			fields := dispatch.Fields{"name": "receipt"}
			mux := returning(dispatch.Hold{After: c.after, Before: c.before, Begins: &beginsOf{at: c.began}}, dispatch.Message(messageKey, c.since, fields))
			got, err := mux.Dispatch(t.Context(), inputAt(c.received, c.handled))
			if err != nil {
				t.Fatal(err)
			}
			want := dispatch.Fields{"name": "receipt", "lst": "OUT#1", "at": c.since.Format(time.RFC3339), "queued_at": c.handled.UnixMilli()}
			if c.want != "" {
				want["lst"], want["held"] = "HELD#1", c.want
			}
			if diff := cmp.Diff(dispatch.Effects{dispatch.Insert(messageKey, want)}, got); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			if len(fields) != 1 {
				t.Errorf("the handler's own fields were changed: %v", fields)
			}
		})
	}
}

// TestNoMessageBypassesHold, however a handler writes it.
func TestNoMessageBypassesHold(t *testing.T) {
	for name, e := range map[string]dispatch.Effect{
		"an insert under a message's key": dispatch.Insert(messageKey, dispatch.Fields{"lst": "OUT#3", "at": "2026-11-28T12:00:00Z"}),
		"one that is in no list":          dispatch.Insert(messageKey, nil),
		"a swap":                          dispatch.Swap(messageKey, 0, nil),
		"an item listed among messages":   dispatch.Insert("FACT#1", dispatch.Fields{"lst": "OUT#3", "at": "2026-11-28T12:00:00Z"}),
		"an item listed among held ones":  dispatch.Insert("FACT#1", dispatch.Fields{"lst": "HELD#3", "at": "2026-11-28T12:00:00Z"}),
		"a message without a time":        dispatch.Message(messageKey, time.Time{}, nil),
		"a message under a fact's key":    dispatch.Message("FACT#1", noon, nil),
		"a swap that has a state's time":  {Kind: dispatch.KindSwap, Key: messageKey, Since: noon},
		"a check that has a state's time": {Kind: dispatch.KindCheck, Key: messageKey, Err: errors.New("x"), Since: noon},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := returning(dispatch.Hold{}, dispatch.Insert("FACT#0", nil), e).Dispatch(t.Context(), inputAt(noon, noon))
			p, _ := errors.AsType[*dispatch.PermanentError](err)
			if p == nil || p.Reason != dispatch.ReasonRejected || !strings.Contains(err.Error(), e.Key) {
				t.Errorf("error %v, want it rejected", err)
			}
		})
	}
	if _, err := returning(dispatch.Hold{}, dispatch.CheckAbsent(messageKey, errors.New("sent before"))).Dispatch(t.Context(), inputAt(noon, noon)); err != nil {
		t.Errorf("a check of a message is refused: %v", err)
	}
}

func TestBeginIsCached(t *testing.T) {
	b := &beginsOf{}
	mux := returning(dispatch.Hold{Begins: b}, dispatch.Message(messageKey, noon, nil))
	held := func(in dispatch.Input) bool {
		t.Helper()
		effects, err := mux.Dispatch(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return effects[0].Fields["lst"] == "HELD#1"
	}
	at := func(d time.Duration) dispatch.Input { return inputAt(noon, noon.Add(d)) }
	connected := at(0)
	connected.Account, connected.Livemode = "acct_1", true
	for _, step := range []struct {
		name  string
		in    dispatch.Input
		began time.Time
		held  bool
		calls int
	}{
		{"the first message reads it", at(0), time.Time{}, false, 1},
		{"within a minute it is not read again", at(59 * time.Second), noon.Add(time.Hour), false, 1},
		{"a minute later it is read and found", at(time.Minute), noon.Add(time.Hour), true, 2},
		{"and cached", at(100 * time.Hour), noon.Add(-time.Hour), true, 2},
		{"another account has its own", connected, time.Time{}, false, 3},
	} {
		b.at = step.began
		if got := held(step.in); got != step.held || b.calls != step.calls {
			t.Errorf("%s: held %v, %d reads; want %v, %d", step.name, got, b.calls, step.held, step.calls)
		}
	}
	if b.last != `true "acct_1"` {
		t.Errorf("read the begin of %s", b.last)
	}
}

func TestBeginReadErrorIsRetried(t *testing.T) {
	down := errors.New("throttled")
	b := &beginsOf{err: down}
	mux := returning(dispatch.Hold{Begins: b}, dispatch.Message(messageKey, noon, nil))
	_, err := mux.Dispatch(t.Context(), inputAt(noon, noon))
	if _, permanent := errors.AsType[*dispatch.PermanentError](err); !errors.Is(err, down) || permanent {
		t.Errorf("error %v, want a transient one", err)
	}
	b.err = nil
	if _, err := mux.Dispatch(t.Context(), inputAt(noon, noon)); err != nil || b.calls != 2 {
		t.Errorf("%d reads, error %v: the next run must read again", b.calls, err)
	}
	// An old message is held without reading the begin; an event without messages reads none.
	b.err = down
	if _, err := mux.Dispatch(t.Context(), inputAt(noon.Add(48*time.Hour), noon)); err != nil || b.calls != 2 {
		t.Errorf("an old message: %d reads, error %v", b.calls, err)
	}
	if _, err := returning(dispatch.Hold{Begins: b}, dispatch.Insert("FACT#1", nil)).Dispatch(t.Context(), inputAt(noon, noon)); err != nil || b.calls != 2 {
		t.Errorf("an event without messages: %d reads, error %v", b.calls, err)
	}
}

func TestFixedBegin(t *testing.T) {
	at, known, err := dispatch.FixedBegin(noon).Begin(t.Context(), true, "acct_1")
	if !at.Equal(noon) || !known || err != nil {
		t.Errorf("%v, %v, %v", at, known, err)
	}
}
