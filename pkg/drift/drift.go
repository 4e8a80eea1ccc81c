// Package drift compares the rows that handlers keep with Stripe's objects as they are now.
//
// A [Checker] compares rows by their keys: it runs the keeper of the row's kind, which is what
// a handler would write now, and reports the fields that differ. Its Repair writes them. A
// [Sweep] is the weekly task: it compares the whole table in parts, from a stored position.
//
// A difference may only be lag: the object changed a moment ago, and its event is still under
// way. So a row that differs is compared again after Recheck, and counts as drifted only if it
// has not been written in between and still differs.
package drift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Result is the outcome of one row's comparison.
type Result string

const (
	Same       Result = "same"
	Drifted    Result = "drift"      // fields differ, or an item that changes with the row is missing
	Gone       Result = "gone"       // no longer at Stripe, and the row does not show its end
	Orphan     Result = "orphan"     // an item whose row is missing
	Unreadable Result = "unreadable" // the row, or the object, cannot be read by the keeper
	Failed     Result = "failed"     // could not be compared now: the fetch failed, or the row keeps changing
	Revoked    Result = "revoked"    // the connected account has revoked access
	Unknown    Result = "unknown"    // no keeper is registered for the row's kind
)

// Drift reports whether the ledger differs from Stripe, or may differ without anyone noticing.
func (r Result) Drift() bool {
	return r == Drifted || r == Gone || r == Orphan || r == Unreadable
}

// Finding is the result of one row.
type Finding struct {
	Key         string       `json:"key"`
	Kind        string       `json:"kind"` // the ledger's word, "" if unknown
	Result      Result       `json:"result"`
	Differences []Difference `json:"differences,omitempty"`
	Error       string       `json:"error,omitempty"`
	Repaired    bool         `json:"repaired,omitempty"`

	version int64
}

// Difference is one field that differs. The field [Missing] is that of an item that is not
// there. Stored fields have no personal data, so the values have none.
type Difference struct {
	Item   string `json:"item"` // key
	Field  string `json:"field"`
	Kept   any    `json:"kept"`
	Stripe any    `json:"stripe"`
}

// Fields returns the names of the fields that differ, without values.
func (f Finding) Fields() (names []string) {
	for _, d := range f.Differences {
		names = append(names, d.Field)
	}
	return names
}

// Missing is the field of a difference that says that the item is missing.
const Missing = "(item)"

// ErrStripe means that Stripe does not answer, so that nothing can be compared.
var ErrStripe = errors.New("objects cannot be fetched from Stripe")

// Refresher reads a row and returns what its keeper would write now; see [dispatch.Mux].
type Refresher interface {
	Refresh(ctx context.Context, in dispatch.Input) (dispatch.Refreshed, error)
}

// Checker compares rows. It is safe for concurrent use.
type Checker struct {
	Rows     Refresher
	Items    dispatch.Rows
	Livemode bool          // the key's mode: rows of the other one cannot be fetched and are skipped
	Recheck  time.Duration // after this a row that differs is compared again; 0: at once

	comparisons atomic.Int64
}

// Comparisons returns how many rows were compared so far; one that is compared again counts
// again.
func (c *Checker) Comparisons() int { return int(c.comparisons.Load()) }

const (
	parallel    = 4 // rows compared at once
	maxRechecks = 3
	// minFailures is how many fetches must fail, and none succeed, before Stripe counts as down.
	minFailures = 3
)

// InMode reports whether a key is of the checker's mode.
func (c *Checker) InMode(key string) bool {
	in, ok := inputOf(key)
	return ok && in.Livemode == c.Livemode
}

// inputOf returns the object that a row's or an entitlement's key names.
func inputOf(key string) (in dispatch.Input, ok bool) {
	parts := strings.SplitN(key, "#", 4)
	if len(parts) != 4 || parts[3] == "" || parts[1] != event.Mode(true) && parts[1] != event.Mode(false) {
		return in, false
	}
	in.Livemode, in.Account, in.ObjectID = parts[1] == event.Mode(true), parts[2], parts[3]
	if in.Account == "-" {
		in.Account = ""
	}
	return in, true
}

// Check compares the rows under keys and returns a finding for each, in their order. It fails
// with [ErrStripe] if Stripe answers for none of them, or with the context's error; then the
// rows count as not compared.
func (c *Checker) Check(ctx context.Context, keys []string) ([]Finding, error) {
	found := make([]Finding, len(keys))
	all := make([]int, len(keys))
	for i := range keys {
		all[i] = i
	}
	if err := c.compare(ctx, keys, all, found); err != nil {
		return nil, err
	}
	for range maxRechecks {
		if all = slices.DeleteFunc(all, func(i int) bool { return !found[i].Result.Drift() }); len(all) == 0 {
			break
		}
		if !limits.Pause(ctx, c.Recheck, 0, 1) {
			return nil, cmp.Or(ctx.Err(), context.DeadlineExceeded) // too little time is left
		}
		before := slices.Clone(found)
		if err := c.compare(ctx, keys, all, found); err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(i int) bool { return settled(before[i], found[i]) })
	}
	for _, i := range all { // a handler has written it each time
		found[i].Result, found[i].Error, found[i].Differences = Failed, "the row keeps changing", nil
	}
	return found, nil
}

// settled reports whether two comparisons of a row agree. One that was written in between is
// compared again.
func settled(a, b Finding) bool {
	return !b.Result.Drift() || a.version == b.version && a.Result == b.Result
}

// compare fills in the findings of some of the keys.
func (c *Checker) compare(ctx context.Context, keys []string, which []int, found []Finding) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, i := range which {
		group.Go(func() (err error) {
			found[i], err = c.compareKey(ctx, keys[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	failed, fetched, cause := 0, 0, ""
	for _, i := range which {
		switch {
		case found[i].Result == Failed:
			failed, cause = failed+1, found[i].Error
		case strings.HasPrefix(keys[i], rowPrefix):
			fetched++
		}
	}
	if failed >= minFailures && fetched == 0 {
		return fmt.Errorf("%w: %s", ErrStripe, cause)
	}
	return nil
}

// compareKey compares one item. Its error ends the whole run.
func (c *Checker) compareKey(ctx context.Context, key string) (Finding, error) {
	if in, ok := inputOf(key); ok && key != dispatch.ObjectKey(in.Envelope) {
		return c.compareOwned(ctx, key, dispatch.ObjectKey(in.Envelope))
	}
	c.comparisons.Add(1)
	f, _, err := c.refresh(ctx, key)
	return f, err
}

// compareOwned reports an item whose row is missing. Else it is compared with its row, under
// the row's key.
func (c *Checker) compareOwned(ctx context.Context, key, rowKey string) (f Finding, err error) {
	f = Finding{Key: key, Result: Same}
	item, kept, err := c.Items.Item(ctx, key)
	if err != nil || !kept {
		return f, err
	}
	f.Kind, _ = item["kind"].(string)
	f.version, _ = item["ver"].(int64)
	if _, found, err := c.Items.Item(ctx, rowKey); err != nil || found {
		return f, err
	}
	f.Result, f.Error = Orphan, "its row "+rowKey+" is missing"
	return f, nil
}

// refresh compares one row and returns what was read for it.
func (c *Checker) refresh(ctx context.Context, key string) (f Finding, r dispatch.Refreshed, err error) {
	f.Key = key
	in, ok := inputOf(key)
	if !ok {
		f.Result, f.Error = Unreadable, "the key names no object"
		return f, r, nil
	}
	in.Now = time.Now()
	r, err = c.Rows.Refresh(ctx, in)
	rowKey := dispatch.ObjectKey(in.Envelope)
	row := r.Before[rowKey]
	f.Kind, _ = row["kind"].(string)
	f.version, _ = row["ver"].(int64)
	if err == nil {
		if f.Differences = compareAll(rowKey, r); len(f.Differences) > 0 {
			f.Result = Drifted
			return f, r, nil
		}
		f.Result = Same
		return f, r, nil
	}
	if ctx.Err() != nil {
		return f, r, ctx.Err()
	}
	if f.Result = resultOf(err, row); f.Result != Same {
		f.Error = limits.Cut(err.Error(), limits.MaxErrorText)
	}
	if p, ok := errors.AsType[*dispatch.PermanentError](err); ok && p.Reason == dispatch.ReasonNoAPIKey {
		return f, r, fmt.Errorf("%w: %w", ErrStripe, err)
	}
	return f, r, nil
}

// resultOf returns the result that an error of a comparison means.
func resultOf(err error, row dispatch.Fields) Result {
	p, permanent := errors.AsType[*dispatch.PermanentError](err)
	_, panicked := errors.AsType[*dispatch.PanicError](err)
	switch {
	case errors.Is(err, dispatch.ErrNoRow):
		return Same // deleted since it was listed
	case errors.Is(err, dispatch.ErrNoKeeper):
		return Unknown
	case errors.Is(err, dispatch.ErrRow) || panicked:
		return Unreadable
	case !permanent || p.Reason == dispatch.ReasonNoAPIKey:
		return Failed
	case p.Reason == dispatch.ReasonObjectGone && hasEnded(row):
		return Same
	case p.Reason == dispatch.ReasonObjectGone:
		return Gone
	case p.Reason == dispatch.ReasonAccountRevoked:
		return Revoked
	default:
		return Unreadable
	}
}

// hasEnded reports whether a row shows that its object is over: Stripe may have deleted it.
func hasEnded(row dispatch.Fields) bool {
	deleted, _ := row["deleted"].(bool)
	return deleted || row["status"] == "canceled" || row["status"] == "incomplete_expired"
}
