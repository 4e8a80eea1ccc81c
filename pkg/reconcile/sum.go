package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/idempotency"
)

// maxPage is how many records are read at once.
const maxPage = 100

// sumVersion begins every sum. A note with a sum of another version proves nothing about its
// events: the slice is compared as one without a sum.
const sumVersion = "1:"

// sumOf returns the sum of a slice's events: how many there are, and a hash of their ids.
func sumOf(ids []string) string {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	hash := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return fmt.Sprintf("%s%d:%x", sumVersion, len(ids), hash[:16])
}

// startOf names the slices that begin at one time, whichever tier noted them.
type startOf struct {
	account string
	from    int64
}

// recall reads what lets the pass leave records unread: the notes of earlier passes, and the
// index of open records. Without them it compares everything.
func (p *pass) recall(ctx context.Context) {
	oldest := p.started
	for _, t := range Tiers(p.cfg.Limits.Reconcile) {
		oldest = earlier(oldest, p.started.Add(-t.Span-t.Slice))
	}
	notes, err := p.covered(ctx, oldest, p.started)
	if err != nil {
		p.report.Err = errors.Join(p.report.Err, fmt.Errorf("read what was finished: %w", err))
		return
	}
	p.notes, p.newest = map[tierOf][]Covered{}, map[startOf]Covered{}
	for _, c := range notes {
		if c.Livemode != p.live || c.Tier == Configured {
			continue
		}
		of, start := tierOf{c.Tier, c.Account}, startOf{c.Account, c.From.Unix()}
		p.notes[of] = append(p.notes[of], c)
		if newer(c, p.newest[start]) {
			p.newest[start] = c
		}
	}
	if p.open, err = p.cfg.Records.Open(ctx); err != nil {
		p.open = nil
		p.cfg.Logger.WarnContext(ctx, "open records cannot be read: all records are compared", "error", err)
	}
}

// newer reports whether a note is newer than another of the same start. Of two of one time the
// longer counts, so that the choice does not depend on the order in which they are read.
func newer(c, than Covered) bool {
	return cmp.Or(c.DoneAt.Compare(than.DoneAt), c.To.Compare(than.To), cmp.Compare(c.Tier, than.Tier)) > 0
}

// part is a part of a slice. With a sum, all of its events were accounted for: each was done,
// or in the index of open records.
type part struct {
	Window
	sum string
}

// parts divides a slice into what its newest note has the sum of, and what is new since then.
func (p *pass) parts(account string, w Window) []part {
	n := p.newest[startOf{account, w.From.Unix()}]
	if p.open == nil || n.To.After(w.To) || !strings.HasPrefix(n.Sum, sumVersion) {
		return []part{{w, ""}}
	}
	noted := part{Window{w.From, n.To}, n.Sum}
	if n.To.Equal(w.To) {
		return []part{noted}
	}
	return []part{{Window{n.To.Add(time.Second), w.To}, ""}, noted}
}

// settled reports whether the frequent tier need not list a slice again: all of its events
// were accounted for long after its end, and none of them is open. The longer tiers list it
// all the same, and find what Stripe's list shows even later.
func (p *pass) settled(t Tier, account string, w Window) bool {
	parts, n := p.parts(account, w), p.newest[startOf{account, w.From.Unix()}]
	if t.Name != Frequent || len(parts) > 1 || parts[0].sum == "" || n.DoneAt.Before(w.To.Add(p.cfg.Limits.Reconcile.Late)) {
		return false
	}
	for _, created := range p.open {
		if at := time.Unix(created, 0); created == 0 || !at.Before(w.From) && !at.After(w.To) {
			return false
		}
	}
	return true
}

// maxOpenItems bounds the open events of a slice that are held until it is listed.
const maxOpenItems = 5000

// errChanged means that a slice is not as it was noted.
var errChanged = errors.New("changed")

// unchanged lists a part of a slice, and reports whether it has exactly the events that were
// accounted for. Then only those in the index are compared: a record that was done, or in the
// index, and is neither done nor in the index does not exist. It leaves done by a replay, which
// puts it into the index, and the index by a completion.
func (p *pass) unchanged(ctx context.Context, t Tier, account string, w part, c *Counts) (same bool, err error) {
	var ids []string
	var open []Item
	err = p.list(ctx, account, w.Window, func(page Page) error {
		for _, i := range page.Items {
			ids = append(ids, i.Event.ID)
			if _, is := p.open[i.Event.ID]; is {
				open = append(open, i)
			}
		}
		if len(open) > maxOpenItems {
			return errChanged
		}
		return nil
	})
	if errors.Is(err, errChanged) || err == nil && sumOf(ids) != w.sum {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p.ids = append(p.ids, ids...)
	known := Counts{Listed: len(ids) - len(open), Known: len(ids) - len(open)}
	c.add(known)
	p.report.add(known)
	for some := range slices.Chunk(open, maxPage) {
		if err := p.judge(ctx, t, account, Page{Items: some}, c); err != nil {
			return false, err
		}
	}
	return true, nil
}

// account notes that an event can be left unread, or that its slice can have no sum.
func (p *pass) account(id string, what verdict, rec idempotency.Record) {
	_, open := p.open[id]
	if what != mismatched && what != unreadable && (open || rec.State == idempotency.Done) {
		p.ids = append(p.ids, id)
	} else {
		p.unsure = true
	}
}

// sum is that of the slice that was listed, "" if not all of its events are accounted for.
func (p *pass) sum() string {
	if p.open == nil || p.unsure {
		return ""
	}
	return sumOf(p.ids)
}
