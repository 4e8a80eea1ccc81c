package dynamostore

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/limits"
	"tollgate/pkg/pause"
	"tollgate/pkg/redrive"
)

// TestPutPauses: of two operators who read the same switch one writes, and a stored switch is read
// as it was written.
func TestPutPauses(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	empty, err := f.reader.Pauses(t.Context())
	check(t, err)
	if len(empty.Paused)+len(empty.Resuming) > 0 || empty.Revision != 0 {
		t.Fatalf("a table without a switch: %+v", empty)
	}
	first, second := empty, empty
	first.Paused = map[string]pause.Mark{"a.b": {At: time.UnixMilli(1_700_000_000_123).UTC(), By: "ann", Why: "why"}}
	for _, step := range []struct {
		s    pause.State
		want bool
	}{{first, true}, {second, false}, {pause.State{Revision: 1, Resuming: map[string]pause.Span{}}, true}, {pause.State{Revision: 1}, false}, {pause.State{Revision: 3}, false}} {
		written, err := f.operator.PutPauses(t.Context(), step.s)
		if err != nil || written != step.want {
			t.Fatalf("put %+v: %v, %v", step.s, written, err)
		}
		if step.s.Revision == 0 {
			got, err := f.reader.Pauses(t.Context())
			first.Revision = 1
			if diff := cmp.Diff(first, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			first.Revision = 0
		}
	}
	if got, err := f.reader.Pauses(t.Context()); err != nil || got.Revision != 2 || len(got.Paused) > 0 {
		t.Errorf("at the end %+v, %v", got, err)
	}
}

// TestDamagedPauses: nothing is guessed from a switch of another form, and what a later release adds
// without a new form is ignored.
func TestDamagedPauses(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	m := func(i item) types.AttributeValue { return &types.AttributeValueMemberM{Value: i} }
	for name, c := range map[string]struct {
		attribute string
		value     types.AttributeValue // nil: left out
		good      bool
	}{
		"whole":               {"also", str("of a later release"), true},
		"a newer form":        {"v", num(2), false},
		"no form":             {"v", nil, false},
		"a form of text":      {"v", str("1"), false},
		"no revision":         {"rev", nil, false},
		"a revision of 0":     {"rev", num(0), false},
		"no paused types":     {"paused", nil, false},
		"a list of paused":    {"paused", strs([]string{"a.b"}), false},
		"a type that is text": {"paused", m(item{"a.b": str("now")}), false},
		"a pause without at":  {"paused", m(item{"a.b": m(item{"by": str("ann")})}), false},
		"at is text":          {"paused", m(item{"a.b": m(item{"at": str("now")})}), false},
		"no resuming":         {"resuming", nil, false},
		"a span without end":  {"resuming", m(item{"a.b": m(item{"from": num(1)})}), false},
		"only at is there":    {"paused", m(item{"a.b": m(item{"at": num(1)})}), true},
	} {
		t.Run(name, func(t *testing.T) {
			row := item{"pk": str(limits.KeyPause), "v": num(1), "rev": num(4), "paused": m(item{}), "resuming": m(item{})}
			delete(row, c.attribute)
			if c.value != nil {
				maps.Copy(row, item{c.attribute: c.value})
			}
			_, err := f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})
			check(t, err)
			got, err := f.reader.Pauses(t.Context())
			if c.good != (err == nil) || !c.good && !errors.Is(err, pause.ErrUnreadable) {
				t.Errorf("read %+v, %v", got, err)
			}
		})
	}
}

// TestPausesOfATableThatIsAway: such an error says nothing about the switch.
func TestPausesOfATableThatIsAway(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	reader := newReader(t, f.raw, "another")
	if _, err := reader.Pauses(t.Context()); err == nil || errors.Is(err, pause.ErrUnreadable) {
		t.Errorf("read %v", err)
	}
}

// TestHoldLockIsAnotherOne: the lock on the hold queue excludes others of its own alone.
func TestHoldLockIsAnotherOne(t *testing.T) {
	ops := serveEmbedded(t).fixture(t, http.DefaultTransport).operator
	now := time.UnixMilli(1_700_000_000_000)
	lock := func(owner string) redrive.Lock {
		return redrive.Lock{Owner: owner, By: owner, Until: now.Add(time.Minute)}
	}
	check(t, ops.LockDLQ(t.Context(), lock("a"), now))
	check(t, ops.HoldLocks().LockDLQ(t.Context(), lock("b"), now))
	err := ops.HoldLocks().LockDLQ(t.Context(), lock("a"), now)
	if held, locked := errors.AsType[*redrive.LockedError](err); !locked || held.Lock.By != "b" || !strings.HasPrefix(err.Error(), "the hold queue is in use") {
		t.Errorf("another operator has the lock on the hold queue: %v", err)
	}
	check(t, ops.HoldLocks().UnlockDLQ(t.Context(), "b"))
	check(t, ops.HoldLocks().LockDLQ(t.Context(), lock("c"), now))
	if _, locked := errors.AsType[*redrive.LockedError](ops.LockDLQ(t.Context(), lock("b"), now)); !locked {
		t.Error("the other lock was opened")
	}
}
