package verb

import (
	"fmt"
	"sync"
	"time"
)

// Progress prints on stderr how far a long run is: once a second on a terminal, else every
// 30 seconds. It is safe for concurrent use.
type Progress struct {
	a      *App
	verb   string
	total  int    // 0: unknown
	things string // what is counted when the total is unknown
	start  time.Time
	every  time.Duration

	mu      sync.Mutex
	n       int
	printed int // n when it was last printed
	next    time.Time
}

// Progress starts to count a run of total things, for example "sent 10 of 100".
func (a *App) Progress(verb string, total int) *Progress {
	now, every := time.Now(), a.ProgressEvery()
	return &Progress{a: a, verb: verb, total: total, start: now, every: every, next: now.Add(every)}
}

// Counter starts to count a run of unknown length, for example "read 10 dead letters".
func (a *App) Counter(verb, things string) *Progress {
	p := a.Progress(verb, 0)
	p.things = things
	return p
}

// ProgressEvery returns the least time between two lines of progress.
func (a *App) ProgressEvery() time.Duration {
	if terminalWidth(a.Err) > 0 {
		return time.Second
	}
	return 30 * time.Second
}

// Add counts n more.
func (p *Progress) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(p.every)
		p.print(now)
	}
}

// Count returns the sum so far.
func (p *Progress) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Done prints the last line of a run that was long enough to have had one before.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.start) > p.every && p.printed != p.n {
		p.print(now)
	}
}

func (p *Progress) print(now time.Time) {
	p.printed = p.n
	rate := float64(p.n) / now.Sub(p.start).Seconds()
	if p.total == 0 {
		fmt.Fprintf(p.a.Err, "%s %d %s, %.0f a second\n", p.verb, p.n, p.things, rate)
		return
	}
	fmt.Fprintf(p.a.Err, "%s %d of %d (%.0f %%), %.0f a second\n", p.verb, p.n, p.total, 100*float64(p.n)/float64(p.total), rate)
}
