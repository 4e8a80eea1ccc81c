package redrive

import (
	"cmp"
	"slices"
	"time"
)

// Group is the dead letters with one type, reason and fingerprint.
type Group struct {
	Type, Reason, Fingerprint string

	Count          int
	Done           int    // of them, leftovers of done events as far as known
	Error          string // of the newest
	EventID        string // of the newest
	Attempts       int64  // the most of any
	Oldest, Newest time.Time
}

// grouper groups dead letters one by one and keeps none of them.
type grouper struct {
	index  map[groupKey]int
	groups []Group
}

type groupKey struct{ typ, reason, fingerprint string }

func (g *grouper) add(d DeadLetter) {
	if g.index == nil {
		g.index = map[groupKey]int{}
	}
	k := groupKey{d.Type(), d.Cause.Reason, d.Cause.Fingerprint}
	i, ok := g.index[k]
	if !ok {
		i = len(g.groups)
		g.index[k] = i
		g.groups = append(g.groups, Group{Type: k.typ, Reason: k.reason, Fingerprint: k.fingerprint, Oldest: d.SentAt})
	}
	g.groups[i].add(d)
}

// sorted returns the largest group first.
func (g *grouper) sorted() []Group {
	return slices.SortedStableFunc(slices.Values(g.groups), func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
}

func (g *Group) add(d DeadLetter) {
	g.Count++
	if d.Done {
		g.Done++
	}
	g.Attempts = max(g.Attempts, d.Cause.Attempt)
	if d.SentAt.Before(g.Oldest) {
		g.Oldest = d.SentAt
	}
	if g.Count == 1 || d.SentAt.After(g.Newest) {
		g.Newest, g.Error, g.EventID = d.SentAt, d.Cause.Error, d.EventID()
	}
}
