package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// A record's history of failed attempts. A consumer of an older release leaves it as it is.

// older reports whether a process is a consumer of the older of two releases.
func (sc *scenario) older(p *proc) bool { return p.batch != nil && sc.plan.versions.on && !p.release }

// ofRelease returns an update as the process's release makes it.
func (sc *scenario) ofRelease(p *proc, u types.Update) types.Update {
	if !sc.older(p) {
		return u
	}
	text := strings.NewReplacer(", hist=:hist", "", "hist, ", "").Replace(aws.ToString(u.UpdateExpression))
	values := attributes{}
	for name, v := range u.ExpressionAttributeValues {
		if name != ":hist" {
			values[name] = v
		}
	}
	u.UpdateExpression, u.ExpressionAttributeValues = &text, values
	return u
}

// checkHistory: the history has the failures that were written since the event was last done, in
// their order, the last ten of them.
func (sc *scenario) checkHistory(p *proc, f *fact, old, fresh item, replay bool) {
	if old == nil {
		f.history = nil // the record before it expired
	}
	switch state := idempotency.State(fresh["st"].Text); {
	case f.broken != nil:
		return
	case state == idempotency.Running:
		f.begun = num(fresh, "upd") // a purge changes it
	case replay, state == idempotency.Done && !sc.older(p):
		f.history = nil
	case state == idempotency.Failed && !sc.older(p):
		upd := num(fresh, "upd")
		if old == nil {
			f.begun = num(fresh, "first_at")
		}
		fingerprint := queue.Fingerprint(fresh["etype"].Text, fresh["reason"].Text, fresh["err"].Text)
		f.history = append(f.history, fmt.Sprintf("%d at %d for %d: %s", num(fresh, "att"), f.begun, min(max(0, upd-f.begun), 900_000), fingerprint))
	}
	want := f.history[max(0, len(f.history)-10):]
	if got := historyOf(fresh); !slices.Equal(got, want) {
		sc.violate("%s: the history of its %s record is %q, want %q", f.id, fresh["st"].Text, got, want)
	}
	if len(f.history) > 10 {
		sc.count("a history of more than ten")
	}
	if sc.older(p) && len(want) > 0 {
		sc.count("an older release writes a record with a history")
	}
}

func historyOf(row item) (all []string) {
	text, fingerprint := strings.Split(row["hist"].Text, "|"), ""
	for _, part := range text[1:] {
		a := append(strings.Split(part, ","), "", "", "", "")
		start, _ := strconv.ParseInt(a[1], 36, 64)
		took, _ := strconv.ParseInt(a[2], 36, 64)
		if a[3] != "" {
			fingerprint = a[3]
		}
		all = append(all, fmt.Sprintf("%s at %d for %d: %s", a[0], start, took, fingerprint))
	}
	return all
}
