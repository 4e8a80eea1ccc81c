package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
)

// Show shows what the table knows of one event.
type Show struct {
	ID    string        `arg:"" name:"event" help:"The event's id, evt_…"`
	Story bool          `help:"Show all that happened to it in the order of time, also from the functions' logs and the audit trail."`
	Wait  time.Duration `help:"Wait up to this long for the event to be done or dead, also for one that is not known yet." placeholder:"DURATION"`
}

// View is an event with the present state of the items that it wrote.
type View struct {
	verb.RecordView
	History History          `json:"history"`
	Effects []map[string]any `json:"effects"`

	Record idempotency.Record `json:"-"`
	Target verb.Target        `json:"-"`
}

// ErrUnknown: the table has no record of the event.
var ErrUnknown = errors.New("is not known")

// Load returns what the table knows of an event. The error of an event without a record wraps
// ErrUnknown.
func Load(ctx context.Context, a *verb.App, id string) (View, error) {
	return (&Show{ID: id}).load(ctx, a)
}

// addPurger adds from the audit trail why the event was purged, and by whom if the record does
// not name the operator.
func (v *View) addPurger(ctx context.Context, a *verb.App, reader *dynamostore.Reader, at time.Time) {
	entries, _, err := reader.Audit(ctx, dynamostore.AuditRequest{Since: at.Add(-maxPurge), Until: at.Add(time.Second), Limit: 1000})
	if err != nil {
		fmt.Fprintf(a.Err, "the reason for the purge is unknown: %v\n", err)
		return
	}
	if e, found := purgeOf(entries, v.RecordView, at); found {
		v.PurgeBy, v.PurgeWhy, v.PurgeAudit = e.By, e.Why, e.ID
	}
}

// purgeOf returns the newest entry that may have purged an event at a time. The newest entry
// is first.
func purgeOf(entries []dynamostore.AuditEntry, v verb.RecordView, at time.Time) (dynamostore.AuditEntry, bool) {
	for _, e := range entries {
		byID := e.Verb == "events purge" && slices.Contains(strings.Fields(e.Detail), v.ID)
		if (e.Verb == "dlq purge" || byID) && (v.PurgeBy == "" || v.PurgeBy == e.By) && (e.EndedAt.IsZero() || !e.EndedAt.Before(at)) {
			return e, true
		}
	}
	return dynamostore.AuditEntry{}, false
}

// maxPurge is longer than any purge runs.
const maxPurge = 24 * time.Hour

func (Show) Help() string {
	return `Status is one of done, ignored (done, no handler ran), purged, broken, running, retrying and dead (not done, and its message has no receives left: it is in the dead-letter queue or about to be). The event's location is inferred from its record; the queues are not read. It is queue_or_dlq if the last receive may have failed to reach the table: then a dead letter may be shown as retrying. The next attempt is inferred from the back-off schedule. For a purged event it shows who purged it, when and why. The row of a broken event cannot be read as a record. The failed attempts since it was last done are listed with their times, durations, fingerprints and frames, the last ten of them; those killed at a message's first receive are not. Effects are the items that the event wrote, in their present state.

--story adds the deliveries with their endpoints and every receive from the functions' logs (locally the newest lines since the start, on AWS at most a few seconds of search from before the event to an hour after its last change), the messages, and what operators changed and why. A redrive names no event: those whose filter fits are shown as possible.

  tollgate events show evt_1
  tollgate events show evt_1 --story
  tollgate events show evt_1 --wait 30s --json`
}

// Run shows the event. An unknown event is a failure, and so is a wait that timed out.
func (c *Show) Run(ctx context.Context, a *verb.App) error {
	if c.Wait < 0 {
		return verb.Usage("--wait is a duration such as 30s")
	}
	v, err := c.load(ctx, a)
	if c.Story && (err == nil || errors.Is(err, ErrUnknown)) {
		err = tell(ctx, a, c.ID, err)
	} else if err == nil {
		v.show(a, v.Record)
	}
	if err != nil {
		return err
	}
	if c.Wait > 0 && !v.Target.Settled(v.Record) {
		return fmt.Errorf("event %s is still %s after %s", c.ID, v.Status, c.Wait)
	}
	return nil
}

func (c *Show) load(ctx context.Context, a *verb.App) (v View, err error) {
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return v, err
	}
	r, found, err := idempotency.Await(ctx, reader, c.ID, time.Now().Add(c.Wait), t.Settled)
	if err != nil {
		return v, err
	}
	if !found {
		return v, verb.Hint(fmt.Errorf("event %s %w in %s", c.ID, ErrUnknown, t.Name),
			"no attempt has claimed it: it is still in the queue, or its endpoint's policy excludes it (tollgate dlq show %s), or it never arrived: check its deliveries at Stripe", c.ID)
	}
	v = View{RecordView: verb.ViewOf(r, time.Now(), t.Limits()), History: HistoryOf(r), Effects: []map[string]any{}, Record: r, Target: t}
	if v.Purged {
		at := r.Purged
		if at.IsZero() {
			at = r.DoneAt // written by a release that completed purged events
		}
		v.addPurger(ctx, a, reader, at)
	}
	for _, key := range r.Effects {
		item, there, err := reader.Item(ctx, key)
		if err != nil {
			return v, err
		}
		if !there {
			item = map[string]any{"pk": key, "missing": true}
		}
		v.Effects = append(v.Effects, item)
	}
	return v, nil
}

func (v View) show(a *verb.App, r idempotency.Record) {
	if a.JSON {
		a.Object(v)
		return
	}
	a.Fields(v.Lines(r))
	v.History.print(a, r)
	if len(v.Effects) == 0 {
		fmt.Fprintln(a.Out, "effects: none")
		return
	}
	fmt.Fprintln(a.Out, "effects, as the items are now:")
	for _, item := range v.Effects {
		fmt.Fprintf(a.Out, "  %s\n", verb.OneLine(fmt.Sprint(item["pk"])))
		if text := itemText(item); text != "" {
			fmt.Fprintf(a.Out, "    %s\n", text)
		}
	}
}

func itemText(item map[string]any) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(item)) {
		if name != "pk" {
			parts = append(parts, fmt.Sprintf("%s=%v", name, item[name]))
		}
	}
	return verb.Clip(strings.Join(parts, " "), 400)
}
