package verb

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
)

// RecordView is an event's record as JSON and for people. Times are RFC 3339 in UTC; what a
// record does not have is null or empty.
type RecordView struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Status string `json:"status"`
	Dead   bool   `json:"dead"`
	Reason string `json:"reason"`

	// Where the event is, and its next attempt by the back-off schedule, inferred from the
	// record alone; see idempotency.Status.
	Where         idempotency.Where `json:"where"`
	WhereInferred bool              `json:"where_inferred"`
	NextAttempt   *string           `json:"next_attempt,omitempty"`
	next          time.Time

	Attempt      int64   `json:"attempt"`
	Generation   int64   `json:"generation"`
	Fails        int64   `json:"fails"`
	ReceivesLeft *int64  `json:"receives_left"`
	Error        string  `json:"error"`
	Outcome      string  `json:"outcome"`
	Source       string  `json:"source"`
	Created      *string `json:"created"`
	FirstAt      *string `json:"first_at"`
	UpdatedAt    *string `json:"updated_at"`
	DoneAt       *string `json:"done_at"`

	ReplayBy  string `json:"replay_by,omitempty"` // of the last replay
	ReplayWhy string `json:"replay_why,omitempty"`

	Purged     bool    `json:"purged,omitempty"` // by an operator
	PurgedAt   *string `json:"purged_at,omitempty"`
	PurgeBy    string  `json:"purge_by,omitempty"`
	PurgeWhy   string  `json:"purge_why,omitempty"`
	PurgeAudit string  `json:"purge_audit,omitempty"` // the entry's id, "" if none is found

	Broken string `json:"broken,omitempty"` // why the row cannot be read as a record
}

// WhereText describes where the event is, and whether that is inferred.
func (v RecordView) WhereText() string {
	switch {
	case v.Where == idempotency.InQueueOrDLQ:
		return "queue, or dlq if its last receives could not reach the table (inferred from the record; tollgate dlq show " + v.ID + " looks there)"
	case v.WhereInferred:
		return string(v.Where) + " (inferred from the record; no queue was asked)"
	default:
		return string(v.Where)
	}
}

// ViewOf returns the view of a record of a system with these limits.
func ViewOf(r idempotency.Record, now time.Time, l limits.Limits) RecordView {
	s := r.Status(now, l)
	v := RecordView{
		ID: r.ID, Type: r.Type, Status: s.String(), Dead: s.Name == idempotency.StatusDead, Reason: r.Reason,
		Where: s.Where, WhereInferred: s.Name != idempotency.StatusDone && s.Name != idempotency.StatusPurged && s.Name != idempotency.StatusBroken,
		NextAttempt: Stamp(s.Next), next: s.Next,
		Attempt: r.Attempt, Generation: r.Generation, Fails: r.Fails,
		Error: r.Err, Outcome: string(r.Outcome), Source: r.Source,
		FirstAt: Stamp(r.FirstAt), UpdatedAt: Stamp(r.Updated), DoneAt: Stamp(r.DoneAt),
		ReplayBy: r.ReplayBy, ReplayWhy: r.ReplayWhy, Purged: redrive.WasPurged(r), PurgedAt: Stamp(r.Purged), PurgeBy: r.PurgeBy,
		Broken: r.Broken,
	}
	if r.ReceivesLeft >= 0 {
		v.ReceivesLeft = &r.ReceivesLeft
	}
	if r.Created > 0 {
		v.Created = Stamp(time.Unix(r.Created, 0))
	}
	return v
}

// Lines returns the view for people, as names and values.
func (v RecordView) Lines(r idempotency.Record) [][2]string {
	left := "-"
	if v.ReceivesLeft != nil {
		left = fmt.Sprint(*v.ReceivesLeft)
	}
	lines := [][2]string{
		{"id", v.ID}, {"type", Dash(v.Type)}, {"status", v.Status}, {"where", v.WhereText()}, {"next attempt", v.NextText(LongTime)},
		{"outcome", Dash(r.Outcome.Text())}, {"reason", Dash(v.Reason)}, {"error", Dash(OneLine(v.Error))},
		{"attempt", fmt.Sprint(v.Attempt)}, {"generation", fmt.Sprint(v.Generation)},
		{"fails", fmt.Sprint(v.Fails)}, {"receives left", left}, {"source", Dash(v.Source)},
		{"created", LongTime(time.Unix(r.Created, 0))}, {"first claimed", LongTime(r.FirstAt)},
		{"updated", LongTime(r.Updated)}, {"done", LongTime(r.DoneAt)},
	}
	if !r.Lease.IsZero() {
		lines = append(lines, [2]string{"claimed until", LongTime(r.Lease)})
	}
	if r.ReplayBy != "" {
		lines = append(lines, [2]string{"replayed by", OneLine(r.ReplayBy)}, [2]string{"because", Dash(OneLine(r.ReplayWhy))})
	}
	if v.Purged {
		lines = append(lines, [2]string{"purged", v.purgeText(r)})
	}
	if v.Broken != "" {
		lines = append(lines, [2]string{"broken", OneLine(v.Broken)})
	}
	return lines
}

// NextText describes when the next attempt is expected.
func (v RecordView) NextText(format func(time.Time) string) string {
	switch {
	case v.next.IsZero():
		return "-"
	case !v.next.After(time.Now()):
		return "due"
	default:
		return format(v.next)
	}
}

func (v RecordView) purgeText(r idempotency.Record) string {
	text := "by an operator"
	if v.PurgeBy != "" {
		text = "by " + OneLine(v.PurgeBy)
	}
	if !r.Purged.IsZero() {
		text = LongTime(r.Purged) + " " + text
	}
	if v.PurgeAudit == "" {
		return text + "; for the reason see tollgate audit list"
	}
	return fmt.Sprintf("%s because %q (audit entry %s)", text, v.PurgeWhy, v.PurgeAudit)
}

// Settled reports whether the event of a record changes only if something acts on it.
func (t Target) Settled(r idempotency.Record) bool {
	return r.Status(time.Now(), t.Limits()).Settled()
}

const heldReaders = 8

// CountHeld counts the held messages that events wrote, with two reads for an event with a
// message. An event that is not done has written none yet. An error is printed: it leaves
// the number unknown and does not fail a verb.
func (a *App) CountHeld(ctx context.Context, t Target, ids []string) (n int, err error) {
	var held atomic.Int64
	reader, err := t.Reader()
	if err == nil {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(heldReaders)
		for _, id := range ids {
			group.Go(func() error {
				n, err := heldByEvent(ctx, reader, id)
				held.Add(int64(n))
				return err
			})
		}
		err = group.Wait()
	}
	if err != nil {
		fmt.Fprintf(a.Err, "the number of held messages is unknown (%v): tollgate outbox list --held\n", err)
	}
	return int(held.Load()), err
}

func heldByEvent(ctx context.Context, reader *dynamostore.Reader, id string) (n int, err error) {
	record, found, err := reader.Get(ctx, id)
	if err != nil || !found {
		return 0, err
	}
	for _, key := range record.Effects {
		if !dispatch.IsMessageKey(key) {
			continue
		}
		item, found, err := reader.Item(ctx, key)
		if err != nil {
			return n, err
		}
		if lst, _ := item[dispatch.ListName].(string); found && lst == dispatch.HeldList(dispatch.OutboxShard(key)) {
			n++
		}
	}
	return n, nil
}

// HeldText describes how many messages are held, and whether the number is final.
func HeldText(n int, final bool) string {
	text := Plural(n, "message", "messages") + " about old states held"
	if !final {
		text += " so far"
	}
	return text
}
