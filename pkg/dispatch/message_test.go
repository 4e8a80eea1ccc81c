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
	at     time.Time // zero: none yet
	err    error
	asked  int
	livest string // mode and account of the last call
}

func (b *beginsOf) Begin(_ context.Context, livemode bool, account string) (time.Time, bool, error) {
	b.asked++
	b.livest = fmt.Sprintf("%v %q", livemode, account)
	return b.at, !b.at.IsZero(), b.err
}

// asks returns a mux whose only handler asks for one message, or returns other effects.
func asks(h dispatch.Hold, effects ...dispatch.Effect) *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{Hold: h})
	dispatch.On(mux, "asks", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) { return effects, nil })
	return mux
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func askedAt(received, now time.Time) dispatch.Input {
	in := input("asks", "", `{"object":"x"}`)
	in.ReceivedAt, in.Now = received, now
	return in
}

func TestHold(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name                   string
		since, received, began time.Time // began zero: no begin of history
		handled                time.Time // zero: when it was received
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
		{name: "received at an unknown time", since: noon, handled: noon.Add(72 * hour)},
		{name: "received at an unknown time, older than the begin", since: noon, handled: noon.Add(72 * hour), began: noon.Add(hour), want: dispatch.HeldBeforeBegin},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.handled.IsZero() {
				c.handled = c.received
			}
			fields := dispatch.Fields{"name": "receipt"}
			mux := asks(dispatch.Hold{After: c.after, Begins: &beginsOf{at: c.began}}, dispatch.Message(messageKey, c.since, fields))
			got, err := mux.Dispatch(t.Context(), askedAt(c.received, c.handled))
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

// TestNoMessageWithoutTheTimeOfItsState: no form of a message bypasses the rule, however a
// handler writes it.
func TestNoMessageWithoutTheTimeOfItsState(t *testing.T) {
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
			_, err := asks(dispatch.Hold{}, dispatch.Insert("FACT#0", nil), e).Dispatch(t.Context(), askedAt(noon, noon))
			p, _ := errors.AsType[*dispatch.PermanentError](err)
			if p == nil || p.Reason != dispatch.ReasonRejected || !strings.Contains(err.Error(), e.Key) {
				t.Errorf("error %v, want it rejected", err)
			}
		})
	}
	if _, err := asks(dispatch.Hold{}, dispatch.CheckAbsent(messageKey, errors.New("sent before"))).Dispatch(t.Context(), askedAt(noon, noon)); err != nil {
		t.Errorf("a check of a message is refused: %v", err)
	}
}

func TestBeginIsReadSeldom(t *testing.T) {
	b := &beginsOf{}
	mux := asks(dispatch.Hold{Begins: b}, dispatch.Message(messageKey, noon, nil))
	held := func(in dispatch.Input) bool {
		t.Helper()
		effects, err := mux.Dispatch(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return effects[0].Fields["lst"] == "HELD#1"
	}
	at := func(d time.Duration) dispatch.Input { return askedAt(noon, noon.Add(d)) }
	connected := at(0)
	connected.Account, connected.Livemode = "acct_1", true
	for _, step := range []struct {
		name  string
		in    dispatch.Input
		began time.Time
		held  bool
		asked int
	}{
		{"the first message asks", at(0), time.Time{}, false, 1},
		{"within a minute none is asked for, though there is one", at(59 * time.Second), noon.Add(time.Hour), false, 1},
		{"a minute later it is found", at(time.Minute), noon.Add(time.Hour), true, 2},
		{"and kept", at(100 * time.Hour), noon.Add(-time.Hour), true, 2},
		{"another account has its own", connected, time.Time{}, false, 3},
	} {
		b.at = step.began
		if got := held(step.in); got != step.held || b.asked != step.asked {
			t.Errorf("%s: held %v, asked %d times; want %v, %d", step.name, got, b.asked, step.held, step.asked)
		}
	}
	if b.livest != `true "acct_1"` {
		t.Errorf("asked for the begin of %s", b.livest)
	}
}

func TestBeginThatCannotBeReadIsTriedAgain(t *testing.T) {
	down := errors.New("throttled")
	b := &beginsOf{err: down}
	mux := asks(dispatch.Hold{Begins: b}, dispatch.Message(messageKey, noon, nil))
	_, err := mux.Dispatch(t.Context(), askedAt(noon, noon))
	if _, permanent := errors.AsType[*dispatch.PermanentError](err); !errors.Is(err, down) || permanent {
		t.Errorf("error %v, want a transient one", err)
	}
	b.err = nil
	if _, err := mux.Dispatch(t.Context(), askedAt(noon, noon)); err != nil || b.asked != 2 {
		t.Errorf("asked %d times, error %v: the next run must ask again", b.asked, err)
	}
	// What is old is held without a begin, and an event without messages reads none.
	b.err = down
	if _, err := mux.Dispatch(t.Context(), askedAt(noon.Add(48*time.Hour), noon)); err != nil || b.asked != 2 {
		t.Errorf("an old message asked: %d times, error %v", b.asked, err)
	}
	if _, err := asks(dispatch.Hold{Begins: b}, dispatch.Insert("FACT#1", nil)).Dispatch(t.Context(), askedAt(noon, noon)); err != nil || b.asked != 2 {
		t.Errorf("an event without messages asked: %d times, error %v", b.asked, err)
	}
}

func TestFixedBegin(t *testing.T) {
	at, known, err := dispatch.FixedBegin(noon).Begin(t.Context(), true, "acct_1")
	if !at.Equal(noon) || !known || err != nil {
		t.Errorf("%v, %v, %v", at, known, err)
	}
}
