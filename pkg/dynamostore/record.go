package dynamostore

import (
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// decodeRow reads a record's item; nil in, nil out. A row that something else wrote, for
// example with an attribute of another type, comes back with Broken set and with what could
// be read: it must not hide the other rows.
func decodeRow(attributes item) *idempotency.Record {
	if len(attributes) == 0 {
		return nil
	}
	a := attributeReader{item: attributes}
	id, ours := strings.CutPrefix(a.str("pk"), idempotency.KeyPrefix)
	r := &idempotency.Record{
		ID:           id,
		State:        idempotency.State(a.str("st")),
		Attempt:      a.num("att", 0),
		Owner:        a.str("own"),
		Lease:        a.millis("lease"),
		Generation:   a.num("gen", 0),
		Identity:     a.str("ident"),
		Type:         a.str("etype"),
		Created:      a.num("created", 0),
		Source:       a.str("src"),
		FirstAt:      a.millis("first_at"),
		Updated:      a.millis("upd"),
		Fails:        a.num("fails", 0),
		Err:          a.str("err"),
		History:      historyAttempts(attributes["hist"]),
		Reason:       a.str("reason"),
		ReceivesLeft: a.num("rc_left", -1),
		Outcome:      idempotency.Outcome(a.str("outcome")),
		Effects:      a.strs("fx"),
		DoneAt:       a.millis("done_at"),
		ReplayBy:     a.str("replay_by"),
		ReplayWhy:    a.str("replay_why"),
		Purged:       a.millis("purged"),
		PurgeBy:      a.str("purge_by"),
	}
	switch broken := (*idempotency.BrokenError)(nil); {
	case !ours:
		r.Broken = "its key is not a record's"
	case a.err != nil:
		r.Broken = a.err.Error()
	case errors.As(r.Check(), &broken):
		r.Broken = broken.Text
	}
	return r
}

// recordKey returns the table key of an event's record.
func recordKey(eventID string) item { return keyOf(idempotency.Key(eventID)) }

func millis(t time.Time) types.AttributeValue { return num(t.UnixMilli()) }

// bounded makes a text fit a record: valid UTF-8, at most limits.MaxErrorText bytes,
// cut between two characters.
func bounded(s string) string { return limits.Cut(s, limits.MaxErrorText) }
