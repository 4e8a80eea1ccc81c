package redrive

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Plan is which letters a pass is going to take. Letters that come later have no part in
// it: not those that gave up since, and not a redriven one that fails again, so that no
// pass can run in a circle.
type Plan struct {
	Read     int  // letters looked at
	Selected int  // of them, those that the filter selects
	More     bool // there may be letters that were not looked at
	Groups   []Group
	Oldest   time.Time // of the selected
	// Of the selected: leftovers of events that are done, as far as their records were
	// read, and messages that cannot be read.
	Done, Undecodable int

	ids map[letterKey]struct{} // of the selected that no pass has taken yet
}

// letterKey stands for a message id in less memory. Two ids with one key do not occur.
type letterKey [16]byte

func keyOf(messageID string) letterKey {
	sum := sha256.Sum256([]byte(messageID))
	return letterKey(sum[:16])
}

// Left is how many selected letters no pass has taken yet.
func (p *Plan) Left() int { return len(p.ids) }

// Selection says what a survey selects.
type Selection struct {
	Filter Filter
	// Limit is how many letters are selected at most. Defaults to all.
	Limit int
	// Each is called with every selected letter and its payload, as [Browse] gives it; an
	// error ends the survey. Default none.
	Each func(l Letter, payload []byte) error
	// Seen is told of letters as they are read. Default none.
	Seen func(n int)
}

// Survey reads the dead letters, explains them, and plans to take those that are
// selected. It shows all of them again and keeps 16 bytes of each selected one. Its
// second result is how many letters stay hidden for up to Options.Visibility.
func Survey(ctx context.Context, q Queue, records Records, s Selection, o Options) (p *Plan, unreleased int, err error) {
	o = o.withDefaults()
	p = &Plan{ids: map[letterKey]struct{}{}}
	var groups grouper
	unreleased, err = walk(ctx, q, o, func(_ *hold, batch []Received) (bool, error) {
		if s.Seen != nil {
			s.Seen(len(batch))
		}
		letters, payloads := lettersOf(batch)
		if err := Explain(ctx, records, letters); err != nil {
			return false, err
		}
		for i, l := range letters {
			p.Read++
			if s.Filter.Matches(l) {
				if s.Each != nil {
					if err := s.Each(l, payloads[i]); err != nil {
						return false, err
					}
				}
				groups.add(l)
				p.add(l)
			}
			if p.Read == o.Limit || p.Selected > 0 && p.Selected == s.Limit {
				p.More = true
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, unreleased, fmt.Errorf("survey dead letters: %w", err)
	}
	p.Groups = groups.sorted()
	return p, unreleased, nil
}

func lettersOf(batch []Received) (letters []Letter, payloads [][]byte) {
	for _, m := range batch {
		l, payload := letterOf(m)
		letters, payloads = append(letters, l), append(payloads, payload)
	}
	return letters, payloads
}

func (p *Plan) add(l Letter) {
	p.Selected++
	p.ids[keyOf(l.MessageID)] = struct{}{}
	if p.Oldest.IsZero() || l.SentAt.Before(p.Oldest) {
		p.Oldest = l.SentAt
	}
	if l.Done {
		p.Done++
	}
	if l.Undecodable != "" {
		p.Undecodable++
	}
}

// has reports whether a message is of the plan and not taken yet.
func (p *Plan) has(m Received) bool {
	_, ok := p.ids[keyOf(m.ID)]
	return ok
}

// take is told of what a pass is done with.
func (p *Plan) take(m Received) { delete(p.ids, keyOf(m.ID)) }
