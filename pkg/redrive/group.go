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
	var g grouper
	for _, l := range letters {
		g.add(l)
	}
	return g.sorted()
}

// grouper groups letters one by one, so that nobody has to keep them.
type grouper struct {
	index  map[cause]int
	groups []Group
}

// cause is what the letters of a group share.
type cause struct{ typ, reason, fingerprint string }

func (g *grouper) add(l Letter) {
	if g.index == nil {
		g.index = map[cause]int{}
	}
	k := cause{l.Type(), l.Cause.Reason, l.Cause.Fingerprint}
	i, ok := g.index[k]
	if !ok {
		i = len(g.groups)
		g.index[k] = i
		g.groups = append(g.groups, Group{Type: k.typ, Reason: k.reason, Fingerprint: k.fingerprint, Oldest: l.SentAt})
	}
	g.groups[i].add(l)
}

// sorted returns the largest group first.
func (g *grouper) sorted() []Group {
	return slices.SortedStableFunc(slices.Values(g.groups), func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
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
