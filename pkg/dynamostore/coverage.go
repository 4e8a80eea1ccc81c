package dynamostore

import (
	"cmp"
	"context"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

// coverKey is the key of the note of one slice: COVER#<mode>#<account or ->#<tier>#<start>.
func coverKey(c reconcile.Covered) string {
	return limits.KeyCoverage + event.Mode(c.Livemode) + "#" + cmp.Or(c.Account, "-") + "#" + c.Tier + "#" + second(c.From)
}

// coverList is the partition of the index that has a month's notes, by their starts.
func coverList(month time.Time) string { return limits.KeyCoverage + month.UTC().Format("2006-01") }

func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// second writes a time so that texts sort as times do.
func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Cover notes a finished slice. A later pass over a slice replaces the earlier note; notes
// expire as records do.
func (s *Store) Cover(ctx context.Context, n reconcile.Covered) error {
	it := item{
		"pk": str(coverKey(n)), "kind": str("coverage"), dispatch.ListName: str(coverList(n.From)), dispatch.ListOrder: str(second(n.From)),
		"mode": str(event.Mode(n.Livemode)), "account": str(n.Account), "tier": str(n.Tier),
		"from": num(n.From.Unix()), "to": num(n.To.Unix()),
		"listed": num(int64(n.Listed)), "known": num(int64(n.Known)), "enqueued": num(int64(n.Enqueued)), "errors": num(int64(n.Errors)),
		"done_at": millis(n.DoneAt), "exp": num(n.DoneAt.Add(s.ttl).Unix()),
	}
	if !n.Since.IsZero() {
		it["since"] = millis(n.Since)
	}
	for name, text := range map[string]string{"endpoint": n.Endpoint, "excluded": n.Excluded, "sum": n.Sum} {
		if text != "" {
			it[name] = str(text)
		}
	}
	_, err := s.putItem(ctx, "note slice "+coverKey(n), it, "", nil)
	return err
}

// Covered returns the notes of slices that begin in [from, to), and the keys of those that
// cannot be read.
func (r *Reader) Covered(ctx context.Context, from, to time.Time) (notes []reconcile.Covered, broken []string, err error) {
	from, to = from.UTC(), to.UTC()
	month := monthOf(from)
	for ; month.Before(to); month = month.AddDate(0, 1, 0) {
		page := Listed{From: second(from), To: second(to.Add(-time.Nanosecond))}
		err := r.each(ctx, page.query(r.table, coverList(month)), func(row item) bool {
			if n, ok := coveredOf(row); ok {
				notes = append(notes, n)
			} else {
				broken = append(broken, positionOf(row).PK)
			}
			return true
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return notes, broken, nil
}

// coveredOf reads a note; false when an attribute is missing or of another type than ours.
func coveredOf(row item) (n reconcile.Covered, ok bool) {
	a := attributeReader{item: row}
	a.need("mode", "account", "tier", "from", "to", "listed", "known", "enqueued", "errors", "done_at")
	second := func(name string) time.Time { return time.Unix(a.num(name, 0), 0).UTC() }
	number := func(name string) int { return int(a.num(name, 0)) }
	n = reconcile.Covered{
		Livemode: a.str("mode") == event.Mode(true), Account: a.str("account"), Tier: a.str("tier"),
		From: second("from"), To: second("to"), DoneAt: a.millis("done_at"),
		Listed: number("listed"), Known: number("known"), Enqueued: number("enqueued"), Errors: number("errors"),
		// Attributes of a later release, written only where needed.
		Since: a.millis("since"), Endpoint: a.str("endpoint"), Excluded: a.str("excluded"), Sum: a.str("sum"),
	}
	return n, a.err == nil
}
