package redrive

import (
	"cmp"
	"slices"
	"time"
)

// Group is the letters of one cause.
type Group struct {
	Type, Reason, Fingerprint string

	Count          int
	Done           int    // of them, known to be leftovers of done events
	Error          string // of the newest
	EventID        string // of the newest
	Attempts       int64  // the most of any
	Oldest, Newest time.Time
}

// GroupLetters groups by type, reason and fingerprint, the largest group first.
func GroupLetters(letters []Letter) []Group {
	type key struct{ typ, reason, fingerprint string }
	index := map[key]int{}
	var groups []Group
	for _, l := range letters {
		k := key{l.Type(), l.Cause.Reason, l.Cause.Fingerprint}
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k] = i
			groups = append(groups, Group{Type: k.typ, Reason: k.reason, Fingerprint: k.fingerprint, Oldest: l.SentAt})
		}
		groups[i].add(l)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return groups
}

func (g *Group) add(l Letter) {
	g.Count++
	if l.Done {
		g.Done++
	}
	g.Attempts = max(g.Attempts, l.Cause.Attempt)
	if l.SentAt.Before(g.Oldest) {
		g.Oldest = l.SentAt
	}
	if g.Count == 1 || l.SentAt.After(g.Newest) {
		g.Newest, g.Error, g.EventID = l.SentAt, l.Cause.Error, l.EventID()
	}
}
