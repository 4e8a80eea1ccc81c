package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
)

// eventsShowCmd shows what the table knows of one event.
type eventsShowCmd struct {
	ID   string        `arg:"" name:"event" help:"The event's id, evt_…"`
	Wait time.Duration `help:"Wait so long for the event to be done or dead, also for one that is not known yet." placeholder:"DURATION"`
}

// eventView is one event with the items that its effects wrote, as they are now.
type eventView struct {
	recordView
	Effects []map[string]any `json:"effects"`
}

// addPurger adds from the audit trail why the event was given up, and by whom if the record
// does not name the operator.
func (v *eventView) addPurger(ctx context.Context, a *app, reader *dynamostore.Reader, at time.Time) {
	entries, _, err := reader.Audit(ctx, dynamostore.AuditRequest{Since: at.Add(-maxPurge), Until: at.Add(time.Second), Limit: 1000})
	if err != nil {
		fmt.Fprintf(a.err, "the reason for giving it up is not known: %v\n", err)
		return
	}
	for _, e := range entries { // the newest first
		byID := e.Verb == "events purge" && slices.Contains(strings.Fields(e.Detail), v.ID)
		if (e.Verb == "dlq purge" || byID) && (v.PurgeBy == "" || v.PurgeBy == e.By) && (e.EndedAt.IsZero() || !e.EndedAt.Before(at)) {
			v.PurgeBy, v.PurgeWhy, v.PurgeAudit = e.By, e.Why, e.ID
			return
		}
	}
}

// maxPurge is longer than any purge runs.
const maxPurge = 24 * time.Hour

// Help returns the text that --help prints with the flags.
func (eventsShowCmd) Help() string {
	return `Status is one of done, ignored (done, no handler ran), purged, broken, running, retrying (will be tried again) and dead (not done, and its message has no receives left: it is in the dead-letter queue or about to be). Where the event is, is inferred from its record; no queue is asked. It is queue_or_dlq when the last receive may have failed to reach the table, which leaves no trace: the record then shows retrying for a dead letter too. The next attempt is inferred from the back-off schedule. A purged event was given up by an operator: shown are who, when and why. A broken event has a row that cannot be read as a record. Effects are the items that the event wrote, as they are now.

  tollgate events show evt_1
  tollgate events show evt_1 --wait 30s --json`
}

// Run shows the event; one that is not known is a failure, as is a wait that ended in vain.
func (c *eventsShowCmd) Run(ctx context.Context, a *app) error {
	if c.Wait < 0 {
		return usage("--wait is a duration such as 30s")
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	reader, err := t.reader()
	if err != nil {
		return err
	}
	r, found, err := awaitRecord(ctx, reader, c.ID, time.Now().Add(c.Wait), t.settled)
	if err != nil {
		return err
	}
	if !found {
		return hint(fmt.Errorf("event %s is not known in %s", c.ID, t.name),
			"no attempt has claimed it: it is still in the queue, or its endpoint's policy excludes it (tollgate dlq show %s), or it never came: look at its deliveries at Stripe", c.ID)
	}
	v := eventView{recordView: viewOf(r, time.Now(), t.limits()), Effects: []map[string]any{}}
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
			return err
		}
		if !there {
			item = map[string]any{"pk": key, "missing": true}
		}
		v.Effects = append(v.Effects, item)
	}
	v.show(a, r)
	if c.Wait > 0 && !t.settled(r) {
		return fmt.Errorf("event %s is still %s after %s", c.ID, v.Status, c.Wait)
	}
	return nil
}

func (v eventView) show(a *app, r idempotency.Record) {
	if a.json {
		a.object(v)
		return
	}
	a.fields(v.Lines(r))
	if len(v.Effects) == 0 {
		fmt.Fprintln(a.out, "effects: none")
		return
	}
	fmt.Fprintln(a.out, "effects, as the items are now:")
	for _, item := range v.Effects {
		fmt.Fprintf(a.out, "  %s\n", oneLine(fmt.Sprint(item["pk"])))
		if text := itemText(item); text != "" {
			fmt.Fprintf(a.out, "    %s\n", text)
		}
	}
}

// itemText is an item's attributes without its key, in the order of their names.
func itemText(item map[string]any) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(item)) {
		if name != "pk" {
			parts = append(parts, fmt.Sprintf("%s=%v", name, item[name]))
		}
	}
	return clip(strings.Join(parts, " "), 400)
}
