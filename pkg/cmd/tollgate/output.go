package main

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// line prints one item of a list: JSON for machines, text for people.
func (a *app) line(item any, text string) {
	if !a.json {
		fmt.Fprintln(a.out, text)
		return
	}
	a.object(item)
}

// object prints one JSON object on a line of its own.
func (a *app) object(v any) {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.Encode(v)
}

// progress shows on stderr how far a long run is, once a second.
type progress struct {
	a      *app
	what   string
	total  int    // 0: not known
	things string // when the total is not known
	start  time.Time

	mu   sync.Mutex
	n    int
	next time.Time
}

// progressEvery is the least time between two lines of progress.
const progressEvery = time.Second

func (a *app) progress(what string, total int) *progress {
	now := time.Now()
	return &progress{a: a, what: what, total: total, start: now, next: now.Add(progressEvery)}
}

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(progressEvery)
		p.print(now)
	}
}

func (p *progress) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// done prints the last line of a run that was long enough to have had one before.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.start) > progressEvery {
		p.print(now)
	}
}

func (p *progress) print(now time.Time) {
	rate := float64(p.n) / now.Sub(p.start).Seconds()
	if p.total == 0 {
		fmt.Fprintf(p.a.err, "%s %d %s, %.0f a second\n", p.what, p.n, p.things, rate)
		return
	}
	fmt.Fprintf(p.a.err, "%s %d of %d (%.0f %%), %.0f a second\n", p.what, p.n, p.total, 100*float64(p.n)/float64(p.total), rate)
}

// counter shows on stderr how far a run of unknown length is, once a second.
func (a *app) counter(verb, what string) *progress {
	p := a.progress(verb, 0)
	p.things = what
	return p
}
