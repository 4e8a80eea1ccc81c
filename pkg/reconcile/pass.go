package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// pass is one run. It is used by one goroutine.
type pass struct {
	*Reconciler
	source    event.Source
	live      bool
	started   time.Time
	stopAfter time.Duration        // 0: never
	chunks    [][]string           // of types
	accounts  []string             // those that can still be listed
	since     map[string]time.Time // nothing older is listed, by account; nil for a backfill
	partly    bool                 // not all types are asked for: nothing is covered by that
	dry       bool                 // nothing is sent and nothing noted
	unbounded bool                 // as many messages as it takes
	resumes   string               // the name whose pause the pass ends, "" for none
	progress  func(Counts)

	notes  map[tierOf][]Covered // of earlier passes; nil when they cannot be read
	newest map[startOf]Covered  // the newest of each start
	open   map[string]int64     // the open events, as in Records; nil when unknown

	ids    []string   // of the current slice's events that are accounted for
	unsure bool       // others are not
	held   []heldBack // a sweep's, until its slice is listed to its end
	holds  int        // bytes of their bodies
	sent   int
	room   int  // messages until the queue's depth is read again
	shut   bool // the queue is too full: nothing more is sent
	report Report
}

// errStopped ends a pass that is out of time.
var errStopped = errors.New("out of time")

func (p *pass) outOfTime() bool {
	return p.stopAfter > 0 && p.cfg.Now().Sub(p.started) >= p.stopAfter
}

// cover runs the windows of a tier, each for every account, and notes finished slices. An
// account that cannot be listed is left out of the rest; any other error ends the pass. It
// reports whether the pass may continue with the remaining accounts.
func (p *pass) cover(ctx context.Context, t Tier, windows []Window) (on bool) {
	p.report.Slices += p.slices(windows)
	for _, w := range windows {
		for _, account := range slices.Clone(p.accounts) {
			w, some := w.since(p.oldest(account))
			if !some {
				continue
			}
			if p.settled(t, account, w) {
				p.report.Finished++
				continue
			}
			finished, err := p.slice(ctx, t, account, w)
			if finished {
				p.report.Finished++
			}
			if !p.goOn(account, err) {
				return false
			}
		}
	}
	return true
}

// slices counts the slices of all accounts.
func (p *pass) slices(windows []Window) (n int) {
	for _, account := range p.accounts {
		for _, w := range windows {
			if _, some := w.since(p.oldest(account)); some {
				n++
			}
		}
	}
	return n
}

// oldest is the earliest creation of what a scheduled pass lists of an account.
func (p *pass) oldest(account string) time.Time {
	begin, scheduled := p.since[account]
	if from := p.from(account); scheduled && from.After(begin) {
		return from
	}
	return begin
}

// listError is the error of an account that cannot be listed.
type listError struct {
	account string
	err     error
}

func (e *listError) Error() string {
	return fmt.Sprintf("list events of account %q: %v", e.account, e.err)
}
func (e *listError) Unwrap() error { return e.err }

// goOn reports whether the pass continues after one slice's outcome.
func (p *pass) goOn(account string, err error) bool {
	switch _, unlisted := errors.AsType[*listError](err); {
	case err == nil:
		return true
	case errors.Is(err, errStopped):
		p.report.Stopped = true
		return false
	case unlisted:
		p.report.Err = errors.Join(p.report.Err, err)
		p.leaveOut(account)
		return len(p.accounts) > 0
	default:
		p.report.Err = errors.Join(p.report.Err, err)
		return false
	}
}

// slice lists one window of one account to its end and notes it as covered, unless an event
// was deferred. A crash before the note costs another comparison.
func (p *pass) slice(ctx context.Context, t Tier, account string, w Window) (finished bool, err error) {
	p.held, p.holds, p.ids, p.unsure = nil, 0, nil, false
	var c Counts
	for _, part := range p.parts(account, w) {
		if err := p.part(ctx, t, account, part, &c); err != nil {
			return false, err
		}
	}
	if err := p.release(ctx, &c); err != nil {
		return false, err
	}
	if c.Deferred > 0 {
		return false, nil
	}
	if p.dry || p.partly {
		return true, nil
	}
	err = p.cfg.Coverage.Cover(ctx, Covered{
		Livemode: p.live, Account: account, Tier: t.Name, From: w.From, To: w.To,
		Listed: c.Listed, Known: c.Known, Enqueued: c.Requeued(), Errors: c.Mismatched + c.Unreadable,
		DoneAt: p.cfg.Now(), Sum: p.sum(),
	})
	if err != nil {
		return false, fmt.Errorf("note a finished slice: %w", err)
	}
	return true, nil
}

// part compares the events of a part of a slice with their records, and sends what needs it. It
// lists a part twice that is not as it was noted: to hold all bodies could take too much memory.
func (p *pass) part(ctx context.Context, t Tier, account string, w part, c *Counts) error {
	if w.sum != "" {
		if same, err := p.unchanged(ctx, t, account, w, c); same || err != nil {
			return err
		}
	}
	return p.list(ctx, account, w.Window, func(page Page) error { return p.judge(ctx, t, account, page, c) })
}

// judge processes a page. What it counts is in the report even if it fails.
func (p *pass) judge(ctx context.Context, t Tier, account string, page Page, c *Counts) error {
	got, err := p.page(ctx, t, account, page)
	c.add(got)
	p.report.add(got)
	if p.progress != nil {
		p.progress(got)
	}
	return err
}

// list reads all pages of a window, for each chunk of types.
func (p *pass) list(ctx context.Context, account string, w Window, each func(Page) error) error {
	for _, types := range p.chunks {
		if err := p.pages(ctx, Query{Account: account, From: w.From, To: w.To, Types: types}, each); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) pages(ctx context.Context, q Query, each func(Page) error) error {
	for {
		if p.outOfTime() {
			return errStopped
		}
		page, err := p.cfg.Lister.ListEvents(ctx, q)
		if err != nil {
			return &listError{q.Account, err}
		}
		if err := each(page); err != nil || !page.More {
			return err
		}
		if page.Last == "" || page.Last == q.After {
			return &listError{q.Account, errors.New("no id of a whole page can be read: the next page has no beginning")}
		}
		q.After = page.Last
	}
}

// page compares the events of one page with their records and sends what needs it.
func (p *pass) page(ctx context.Context, t Tier, account string, page Page) (c Counts, err error) {
	ids := make([]string, 0, len(page.Items))
	for _, item := range page.Items {
		if item.Event.ID != "" && !slices.Contains(ids, item.Event.ID) {
			ids = append(ids, item.Event.ID)
		}
	}
	records, err := p.cfg.Records.Records(ctx, ids)
	if err != nil {
		return c, fmt.Errorf("read records: %w", err)
	}
	now := p.cfg.Now()
	r := rule{sweep: t.Sweep, limits: p.cfg.Limits, now: now}
	for _, item := range page.Items {
		c.Listed++
		what, err := p.item(ctx, r, account, item, records)
		if err != nil {
			return c, err
		}
		*c.of(what)++
		p.account(item.Event.ID, what, records[item.Event.ID])
	}
	return c, nil
}

// Further verdicts, of the pass.
const (
	withheld   verdict = "withheld" // counted when it is sent
	unreadable verdict = "unreadable"
	deferred   verdict = "deferred"
	ignored    verdict = "ignored" // by the policy
	paused     verdict = "paused"
)

// of is the count of a verdict.
func (c *Counts) of(v verdict) *int {
	return map[verdict]*int{
		withheld: new(int), // counted later
		known:    &c.Known, unrecorded: &c.Unrecorded, stuck: &c.Stuck, unfinished: &c.Unfinished, ignored: &c.Ignored,
		mismatched: &c.Mismatched, unreadable: &c.Unreadable, deferred: &c.Deferred, paused: &c.Paused,
	}[v]
}

// item processes one event. An event that cannot be read completely is sent id-only: the
// consumer fetches it again.
func (p *pass) item(ctx context.Context, r rule, account string, i Item, records map[string]idempotency.Record) (verdict, error) {
	log := p.cfg.Logger.With("event", i.Event.ID, "type", i.Event.Type, "account", account)
	if !i.sendable() {
		log.WarnContext(ctx, "a listed event cannot be read", "position", i.Position, "error", i.Err)
		return unreadable, nil
	}
	e := i.Event
	// A context names even the key's own account, which is listed without its id.
	named := e.AccountFrom == event.FromContext && (account == "" || e.AccountUnknown())
	if e.Account != "" && e.Account != account && !named {
		log.WarnContext(ctx, "a listed event is another account's")
		return mismatched, nil
	}
	if !named {
		e.Account = account
	}
	e.Endpoint = p.cfg.Accounts[account]
	e.Source, e.ReceivedAt = p.source, r.now
	if i.Err != nil {
		e.Body = nil
		log.WarnContext(ctx, "a listed event cannot be read completely and is sent id-only", "position", i.Position, "error", i.Err)
	}
	var rec *idempotency.Record
	if found, ok := records[e.ID]; ok {
		rec = &found
	}
	v := r.judge(e, i.Err != nil, rec)
	switch v {
	case mismatched:
		log.ErrorContext(ctx, "an event and its record contradict each other, or the record cannot be read", "state", rec.State, "error", rec.Check())
	case unrecorded, stuck, unfinished:
		if p.excluded(e) {
			return ignored, nil
		}
		if r.sweep {
			p.hold(e, v)
			return withheld, nil
		}
		return p.send(ctx, false, e, v)
	}
	return v, nil
}

// send enqueues an event if its type is not paused and the pass's budget allows it.
func (p *pass) send(ctx context.Context, sweep bool, e event.Envelope, v verdict) (verdict, error) {
	if p.cfg.Pause != nil {
		if quiet, err := p.cfg.Pause.Quiet(ctx, e.Type, p.resumes); quiet || err != nil {
			return paused, err
		}
	}
	if p.dry {
		return v, nil
	}
	ok, err := p.may(ctx, sweep)
	if err != nil {
		return v, err
	}
	if !ok {
		return deferred, nil
	}
	if err := p.cfg.Sender.Send(ctx, e, ""); err != nil {
		return v, fmt.Errorf("enqueue %.80s: %w", e.ID, err)
	}
	return v, nil
}

// may uses up one message of the pass's budget. While the consumer is stopped, no event on
// the queue has a record: passes without a budget would fill it with copies.
func (p *pass) may(ctx context.Context, sweep bool) (bool, error) {
	l := p.cfg.Limits.Reconcile
	if sweep {
		return true, nil
	}
	if p.shut || p.sent >= l.MaxSends && !p.unbounded {
		return false, nil
	}
	if p.room == 0 {
		depth, err := p.cfg.Depth.Depth(ctx)
		if err != nil {
			return false, fmt.Errorf("ask for the queue's depth: %w", err)
		}
		p.room = l.MaxBacklog - depth
		if p.room <= 0 {
			p.shut = true
			return false, nil
		}
	}
	p.room--
	p.sent++
	return true, nil
}
