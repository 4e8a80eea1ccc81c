package redrive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Selection is what a [DLQ.Plan] selects. The zero value selects all.
type Selection struct {
	Filter Filter
	// Match, if set, also decides by the message itself; for queues whose messages are no events.
	Match func(Received) bool
	// Limit is how many messages are selected at most. Defaults to all.
	Limit int
	// MaxRead is how many messages are read at most. Defaults to MaxMessages, which also
	// bounds it.
	MaxRead int
	// WaitHidden makes the plan wait first for messages that another reader hides, for up to
	// twice DLQ.Visibility.
	WaitHidden bool
	// Arriving means that messages are sent to the queue all the time: the reading ends once it finds
	// no others, and the plan is certain of those that were sent before it.
	Arriving bool

	// Each, if set, is called with every selected message and its payload: the event's body,
	// or the whole message when that cannot be read, or nil when the message carries none.
	// More false ends the reading, an error the plan.
	Each func(d DeadLetter, payload []byte) (more bool, err error)
	// OnRead, if set, is called with the number of messages just read.
	OnRead func(n int)
	// OnHidden, if set, is called with the number of hidden messages while the plan waits.
	OnHidden func(n int, timeout time.Duration)
}

func (s Selection) takes(m Received) bool { return s.Match == nil || s.Match(m) }

// Plan is a fixed set of dead letters to work on. Messages that arrive later are not part
// of it, so redriven ones that fail again are not either, and a run always ends.
type Plan struct {
	Read     int       `json:"read"`     // messages read
	Selected int       `json:"selected"` // of them, those that match the filter
	More     bool      `json:"more"`     // there may be messages that were not read
	Groups   []Group   `json:"groups"`
	Oldest   time.Time `json:"oldest,omitzero"` // of the selected, in UTC
	// Of the selected: leftovers of done events, as far as their records were read, and
	// messages that cannot be read.
	Done        int `json:"leftovers"`
	Undecodable int `json:"undecodable"`

	Hidden  int  `json:"hidden"`  // messages that another reader hides: not read
	Certain bool `json:"certain"` // the plan has read every message of the queue

	ids map[key]struct{} // of the selected that are not processed yet
}

// key is a digest of an id, in less memory.
type key [16]byte

func keyOf(id string) key {
	sum := sha256.Sum256([]byte(id))
	return key(sum[:16])
}

// Left is how many selected messages are not processed yet.
func (p *Plan) Left() int { return len(p.ids) }

// Plan reads the dead letters and selects some, under the lock. It shows all of them again
// and keeps 16 bytes of each selected one.
func (d *DLQ) Plan(ctx context.Context, s Selection) (p *Plan, err error) {
	err = d.locked(ctx, func(ctx context.Context) error {
		p, err = d.plan(ctx, s)
		return err
	})
	return p, err
}

func (d *DLQ) plan(ctx context.Context, s Selection) (*Plan, error) {
	all, before, err := d.countBefore(ctx, s)
	if err != nil {
		return nil, err
	}
	limit := min(cmp.Or(max(s.MaxRead, 0), MaxMessages), MaxMessages)
	p := &Plan{ids: map[key]struct{}{}}
	groups := grouper{map[groupKey]int{}, []Group{}}
	began, early, late := time.Now(), 0, 0
	unreleased, err := d.walk(ctx, limit, func(_ *inFlight, batch []Received) (bool, error) {
		if s.OnRead != nil {
			s.OnRead(len(batch))
		}
		more, err := p.read(ctx, d.Records, s, &groups, batch)
		p.More = !more || p.Read == limit
		late++
		for _, m := range batch {
			if !m.SentAt.After(began) {
				early++
			}
			if !m.SentAt.After(began.Add(sentMargin)) {
				late = 0
			}
		}
		return !p.More && !(s.Arriving && late == lateReceives), err
	})
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	p.Groups = groups.sorted()
	missed := max(0, all-early)
	if late == lateReceives && before == 0 {
		missed = 0
	}
	return p, d.countHidden(ctx, p, seen{p.Read, unreleased, p.More, before, s.Arriving, missed})
}

// lateReceives in a row that return only messages of after the beginning are taken for the end of an
// arriving selection: SQS keeps no order.
const lateReceives = 10

// read adds the selected messages of a batch; it reports false when the selection is complete.
func (p *Plan) read(ctx context.Context, records Records, s Selection, groups *grouper, batch []Received) (more bool, err error) {
	list, payloads := make([]DeadLetter, len(batch)), make([][]byte, len(batch))
	var candidates []*DeadLetter
	for i, m := range batch {
		if list[i], payloads[i] = decode(m); s.takes(m) && s.Filter.matchesMessage(list[i]) {
			candidates = append(candidates, &list[i])
		}
	}
	if err := explain(ctx, records, candidates); err != nil {
		return false, err
	}
	for i, dl := range list {
		p.Read++
		if !s.takes(batch[i]) || !s.Filter.Matches(dl) {
			continue
		}
		groups.add(dl)
		p.add(dl)
		if s.Each != nil {
			if more, err := s.Each(dl, payloads[i]); err != nil || !more {
				return false, err
			}
		}
		if p.Selected == s.Limit {
			return false, nil
		}
	}
	return true, nil
}

func (p *Plan) add(d DeadLetter) {
	p.Selected++
	p.ids[keyOf(d.MessageID)] = struct{}{}
	if p.Oldest.IsZero() || d.SentAt.Before(p.Oldest) {
		p.Oldest = d.SentAt.UTC()
	}
	if d.Done {
		p.Done++
	}
	if d.Undecodable != "" {
		p.Undecodable++
	}
}

// has reports whether a message is part of the plan and not processed yet.
func (p *Plan) has(m Received) bool {
	_, ok := p.ids[keyOf(m.ID)]
	return ok
}

// processed removes a message from what is left.
func (p *Plan) processed(m Received) { delete(p.ids, keyOf(m.ID)) }
