package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// Filter selects records by their status; see idempotency.Status. Failed, Dead and Retrying
// are read from the index, the others need a scan. A list other than Broken shows a row that
// cannot be read as a record too if its readable attributes match the filter.
type Filter string

const (
	Failed   Filter = "failed"   // every record in the index but purged ones: failed, or come a second time, and not done
	Dead     Filter = "dead"     // not done, and its message has no receives left: in the dead-letter queue or about to be
	Retrying Filter = "retrying" // in the index, and its message has receives left
	Done     Filter = "done"     // of whatever outcome
	Ignored  Filter = "ignored"  // done, and no handler ran
	Running  Filter = "running"  // an attempt holds the claim, or held it when it died
	Purged   Filter = "purged"   // not done, and purged by an operator
	Broken   Filter = "broken"   // the row cannot be read as a record
)

// Filters returns every filter, in the order in which help lists them.
func Filters() []Filter {
	return []Filter{Failed, Dead, Retrying, Done, Ignored, Running, Purged, Broken}
}

// indexed reports whether the index has every record of a status.
func (f Filter) indexed() bool { return f == Failed || f == Dead || f == Retrying }

// includes reports whether a record passes the filter.
func (f Filter) includes(r idempotency.Record) bool {
	name := r.StatusName()
	switch f {
	case Failed:
		return r.State != idempotency.Done && r.Purged.IsZero()
	case Retrying:
		return name == idempotency.StatusRetrying || name == idempotency.StatusRunning
	case Done:
		return r.State == idempotency.Done
	case Ignored:
		return r.State == idempotency.Done && r.Outcome == idempotency.Ignored
	case Running:
		return r.State == idempotency.Running
	case Purged:
		return r.State != idempotency.Done && !r.Purged.IsZero()
	case Dead, Broken:
		return name == idempotency.StatusName(f)
	default:
		return true
	}
}

// Defaults and bounds of a list.
const (
	DefaultLimit   = 100
	DefaultMaxRead = 10_000
	pageItems      = 250 // of one request
)

// ListRequest asks for records. A record must match all filters; without any it asks for
// Failed. A record names no mode, account or object itself, but the items that its event wrote
// do: with these filters, an event that wrote none does not match.
type ListRequest struct {
	Status  Filter    // "" with another filter: any
	Type    string    // an event type, or a pattern as event.MatchType reads it
	Since   time.Time // not updated before this
	Until   time.Time // updated before this; zero for no bound
	Mode    string    // live or test
	Account string    // connected account, "-" for the platform's own
	About   string    // the id of an object that an item of the event's is about
	Limit   int       // records returned, defaults to DefaultLimit
	MaxRead int       // items read to find them, defaults to DefaultMaxRead, at least idempotency.Shards
	Cursor  string    // of the page before; the filters must be the same
}

// Page is a part of a list. It is complete when Cursor is empty; a page may be short,
// or empty, and still have one.
type Page struct {
	Records []idempotency.Record
	Cursor  string
	Read    int  // items read
	Scanned bool // the whole table is read, not the index
}

// List returns records. From the index, which lags a moment behind the table, they
// come in the order of their last change, the newest first; a record that changes
// between two pages may come twice or not at all. A scan has no order.
func (r *Reader) List(ctx context.Context, req ListRequest) (Page, error) {
	if err := req.normalise(); err != nil {
		return Page{}, err
	}
	if req.Status.indexed() {
		return r.listIndex(ctx, req)
	}
	return r.listTable(ctx, req)
}

func (req *ListRequest) normalise() error {
	if req.Limit < 0 || req.MaxRead < 0 {
		return fmt.Errorf("list records: limit %d or max read %d is negative", req.Limit, req.MaxRead)
	}
	req.Limit = cmp.Or(req.Limit, DefaultLimit)
	req.MaxRead = max(cmp.Or(req.MaxRead, DefaultMaxRead), idempotency.Shards)
	if req.Status == "" {
		if !req.filtered() {
			req.Status = Failed
		}
		return nil
	}
	if !slices.Contains(Filters(), req.Status) {
		return fmt.Errorf("list records: status %q is none of %v", req.Status, Filters())
	}
	return nil
}

// filtered reports whether there is a filter other than the status.
func (req *ListRequest) filtered() bool {
	return req.Type != "" || !req.Since.IsZero() || !req.Until.IsZero() || req.byEffects()
}

func (req *ListRequest) byEffects() bool {
	return req.Mode != "" || req.Account != "" || req.About != ""
}

// Matches reports whether a record passes all filters.
func (req *ListRequest) Matches(r idempotency.Record) bool {
	return req.Status.includes(r) &&
		(req.Type == "" || event.MatchType(req.Type, r.Type)) &&
		!r.Updated.Before(req.Since) && (req.Until.IsZero() || r.Updated.Before(req.Until)) &&
		(!req.byEffects() || slices.ContainsFunc(r.Effects, req.wrote))
}

// wrote reports whether the item of a key passes the filters of mode, account and object.
func (req *ListRequest) wrote(key string) bool {
	mode, account := dispatch.OwnerOf(key)
	return (req.Mode == "" || req.Mode == mode) && (req.Account == "" || req.Account == account) &&
		(req.About == "" || strings.Contains(key+"#", "#"+req.About+"#"))
}

// ErrCursor means that a cursor is not from the same kind of list.
var ErrCursor = errors.New("list records: the cursor is not from this list")
