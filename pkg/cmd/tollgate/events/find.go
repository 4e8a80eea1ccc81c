package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/ledger"
	"tollgate/pkg/limits"
)

// Found is a page of a list of events.
type Found struct {
	dynamostore.Page
	Items   int64         // of the table, about; 0 unless it is scanned
	Left    int           // events that an id leads to beyond those read
	Target  verb.Target   // the system
	Limits  limits.Limits // that it runs with
	Pointed bool          // the events were found by an id: the page is neither of the index nor of a scan
}

// maxNamed is how many events are read that an id leads to; each is one read.
const maxNamed = 300

// namedReaders read at once.
const namedReaders = 8

// Find returns the events that a list asks for: by an id, from the index, or from the whole table.
func Find(ctx context.Context, a *verb.App, c List) (f Found, err error) {
	req, err := c.request(time.Now())
	if err != nil {
		return f, err
	}
	var reader *dynamostore.Reader
	if f.Target, reader, err = a.Reader(ctx); err != nil {
		return f, err
	}
	f.Limits = f.Target.Limits()
	if c.About != "" && !c.Scan {
		f.Pointed = true
		f.Records, f.Left, err = c.named(ctx, reader, req)
		return f, err
	}
	if c.Scans() {
		if f.Items, err = f.Target.Items(ctx); err != nil {
			return f, err
		}
		fmt.Fprintf(a.Err, "reading the whole table, at most %d items: no index has these events\n", c.MaxRead)
	}
	f.Page, err = reader.List(ctx, req)
	if errors.Is(err, dynamostore.ErrCursor) {
		return f, verb.Usage("--cursor is not from this list")
	}
	return f, err
}

// named returns the events that an id leads to and that match the other filters, the newest first:
// an event's own, or those that the ledger's items about a customer or object name.
func (c *List) named(ctx context.Context, reader *dynamostore.Reader, req dynamostore.ListRequest) (found []idempotency.Record, left int, err error) {
	ids := []string{c.About}
	if !strings.HasPrefix(c.About, "evt_") {
		if ids, err = c.inLedger(ctx, reader); err != nil {
			return nil, 0, err
		}
	}
	left = max(0, len(ids)-maxNamed)
	records := make([]*idempotency.Record, len(ids)-left)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(namedReaders)
	for i, id := range ids[left:] { // ids sort by time, nearly
		group.Go(func() error {
			r, known, err := reader.Get(ctx, id)
			if known {
				records[i] = &r
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	req.Mode, req.Account, req.About = "", "", "" // of the ledger's items
	for _, r := range records {
		if r != nil && req.Matches(*r) {
			found = append(found, *r)
		}
	}
	slices.SortStableFunc(found, func(x, y idempotency.Record) int { return cmp.Compare(y.Created, x.Created) })
	return found, left, nil
}

// inLedger returns the ids of the events that the ledger's items about an id name. Without a mode
// it reads both.
func (c *List) inLedger(ctx context.Context, reader *dynamostore.Reader) (ids []string, err error) {
	account := strings.TrimPrefix(c.Account, "-")
	for _, mode := range []string{event.Mode(true), event.Mode(false)} {
		if c.Mode != "" && c.Mode != mode {
			continue
		}
		named, err := ledger.Events(ctx, reader, mode, account, c.About)
		if err != nil {
			return nil, err
		}
		ids = append(ids, named...)
	}
	slices.Sort(ids)
	return ids, nil
}
