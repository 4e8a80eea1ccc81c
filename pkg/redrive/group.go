package redrive

import (
	"cmp"
	"slices"
	"time"
)

// Group is the dead letters with one type, reason and fingerprint.
type Group struct {
	Count       int       `json:"count"`
	Type        string    `json:"type"`
	Reason      string    `json:"reason"`
	Error       string    `json:"error"` // of the newest
	Fingerprint string    `json:"fingerprint"`
	Attempts    int64     `json:"attempts"` // the most of any
	Oldest      time.Time `json:"oldest"`   // in UTC
	Newest      time.Time `json:"newest"`
	EventID     string    `json:"event_id"` // of the newest
	Done        int       `json:"done"`     // of them, leftovers of done events as far as known
}

// grouper groups dead letters one by one and keeps none of them.
type grouper struct {
	index  map[groupKey]int
	groups []Group
}

type groupKey struct{ typ, reason, fingerprint string }

func (g *grouper) add(d DeadLetter) {
	k := groupKey{d.Type(), d.Cause.Reason, d.Cause.Fingerprint}
	i, ok := g.index[k]
	if !ok {
		i = len(g.groups)
		g.index[k] = i
		g.groups = append(g.groups, Group{Type: k.typ, Reason: k.reason, Fingerprint: k.fingerprint, Oldest: d.SentAt.UTC()})
	}
	g.groups[i].add(d)
}

// sorted returns the largest group first.
func (g *grouper) sorted() []Group {
	slices.SortStableFunc(g.groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return g.groups
}

func (g *Group) add(d DeadLetter) {
	g.Count++
	if d.Done {
		g.Done++
	}
	g.Attempts = max(g.Attempts, d.Cause.Attempt)
	if sent := d.SentAt.UTC(); sent.Before(g.Oldest) {
		g.Oldest = sent
	}
	if g.Count == 1 || d.SentAt.After(g.Newest) {
		g.Newest, g.Error, g.EventID = d.SentAt.UTC(), d.Cause.Error, d.EventID()
	}
}
