package dynamostore

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

// Items with the start of history, BEGIN#<mode>#<account or ->, are put once and never
// change or expire. All are in one partition of the index, [ListIndex].
const (
	beginPrefix = limits.KeyBegin
	beginList   = "BEGIN"
)

func beginKey(s reconcile.Stream) string {
	return beginPrefix + event.Mode(s.Livemode) + "#" + cmp.Or(s.Account, "-")
}

// Begin reads the time from which scheduled passes compare the events of an account in a
// mode; false when no pass has set it. It makes one GetItem.
func (r *Reader) Begin(ctx context.Context, livemode bool, account string) (time.Time, bool, error) {
	key := beginKey(reconcile.Stream{Livemode: livemode, Account: account})
	row, err := r.get(ctx, key)
	if err != nil || len(row) == 0 {
		return time.Time{}, false, err
	}
	_, at, err := beginOf(row)
	return at, err == nil, err
}

// Begins returns all begins of the index, which may lag. It leaves out unreadable items;
// [Store.PutBegin] reports them.
func (r *Reader) Begins(ctx context.Context) (map[reconcile.Stream]time.Time, error) {
	all := map[reconcile.Stream]time.Time{}
	return all, r.each(ctx, Listed{}.query(r.table, beginList), func(row item) bool {
		if s, at, err := beginOf(row); err == nil {
			all[s] = at
		}
		return true
	})
}

// PutBegin writes the start of an account's history in one mode, in whole seconds, unless
// there is one, and returns the stored one.
func (s *Store) PutBegin(ctx context.Context, of reconcile.Stream, at time.Time) (time.Time, error) {
	at = time.Unix(at.Unix(), 0).UTC()
	old, err := s.putItem(ctx, "put "+beginKey(of), item{
		"pk": str(beginKey(of)), "kind": str("begin"), dispatch.ListName: str(beginList), dispatch.ListOrder: str(second(at)),
		"mode": str(event.Mode(of.Livemode)), "account": str(of.Account), "begin": millis(at),
	}, "attribute_not_exists(pk)", nil)
	if err != nil {
		return time.Time{}, err
	}
	if old != nil {
		_, at, err = beginOf(old.item)
	}
	return at, err
}

func beginOf(row item) (s reconcile.Stream, at time.Time, err error) {
	a := attributeReader{item: row}
	a.need("account", "begin")
	key := a.str("pk")
	s = reconcile.Stream{Livemode: a.str("mode") == event.Mode(true), Account: a.str("account")}
	if at = a.millis("begin"); a.err != nil || key != beginKey(s) {
		return s, time.Time{}, fmt.Errorf("start of history %s cannot be read: correct its attributes mode, account and begin (ms)", key)
	}
	return s, at, nil
}

// Oldest returns the starts of the oldest notes that scheduled passes left of these
// accounts while no policy excluded them; one without a note is left out. It reads the months
// from from's to to's until it has found all, which for an account without a note means every
// note of that time: some 1 MB for 5,000.
func (r *Reader) Oldest(ctx context.Context, streams []reconcile.Stream, from, to time.Time) (map[reconcile.Stream]time.Time, error) {
	wanted := map[string]reconcile.Stream{}
	for _, s := range streams {
		wanted[event.Mode(s.Livemode)+"#"+cmp.Or(s.Account, "-")] = s
	}
	found := map[reconcile.Stream]time.Time{}
	month := monthOf(from)
	for ; month.Before(to) && len(found) < len(streams); month = month.AddDate(0, 1, 0) {
		q := Listed{}.query(r.table, coverList(month))
		q.ProjectionExpression, q.Limit = aws.String("pk, excluded"), nil
		err := r.each(ctx, q, func(key item) bool { // in the order of their starts
			name, tier, at := coverOf(key)
			s, asked := wanted[name]
			_, older := found[s]
			if asked && !older && key["excluded"] == nil && tier != reconcile.Backfill && !at.IsZero() {
				found[s] = at
			}
			return len(found) < len(wanted)
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// coverOf parses a note's key: whose it is, as <mode>#<account or ->, its tier and start.
func coverOf(key item) (of, tier string, at time.Time) {
	a := attributeReader{item: key}
	parts := strings.Split(a.str("pk"), "#")
	if len(parts) != 5 {
		return "", "", at
	}
	at, _ = time.Parse(time.RFC3339, parts[4])
	return parts[1] + "#" + parts[2], parts[3], at
}
