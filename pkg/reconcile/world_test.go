package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// world is Stripe, the queue, the consumer and the table under one clock.
type world struct {
	now    time.Time
	stripe []*listed // the newest first
	fail   func(Query) error
	lists  []Query
	live   bool

	queue   []event.Envelope
	stopped bool             // the consumer
	dead    bool             // the queue takes nothing
	copies  int              // messages for events that were on the queue or done already
	taken   []event.Envelope // all that were sent by passes

	records map[string]idempotency.Record
	notes   map[string]Covered
	theirs  []Covered // accounts' notes: those of the tier Configured
	noteErr error
	asked   int // for the queue's depth
	reads   int // of records
	openErr error

	broken   []string // keys of notes that cannot be read
	begins   map[Stream]time.Time
	beginErr func(account string) error
	oldest   time.Time // the start of each account's oldest note; zero: as the notes have it
}

type listed struct {
	Item
	account string
	visible time.Time
}

var errDown = errors.New("down")

func newWorld(now time.Time) *world {
	return &world{now: now, records: map[string]idempotency.Record{}, notes: map[string]Covered{}, begins: map[Stream]time.Time{}, oldest: now.Add(-60 * day)}
}

// newStage is a world in which no pass ever ran.
func newStage(now time.Time) *world {
	w := newWorld(now)
	w.oldest = time.Time{}
	return w
}

// anEvent is one of Stripe's.
func anEvent(id string, created time.Time) event.Envelope {
	return event.Envelope{
		ID: id, Object: event.ObjectSnapshot, Type: "invoice.paid", APIVersion: "2023-10-16",
		Created: created.Unix(), ObjectID: "in_" + id, Body: []byte(`{"id":"` + id + `"}`),
	}
}

// arises makes an event at Stripe that its list shows from a time on.
func (w *world) arises(e event.Envelope, visible time.Time) {
	at, _ := slices.BinarySearchFunc(w.stripe, e.Created, func(l *listed, created int64) int { return int(created - l.Event.Created) })
	w.stripe = slices.Insert(w.stripe, at, &listed{Item{Event: e}, e.Account, visible})
}

func (w *world) Livemode(context.Context) (bool, error) { return w.live, nil }

func (w *world) ListEvents(_ context.Context, q Query) (p Page, err error) {
	w.lists = append(w.lists, q)
	if w.fail != nil {
		if err := w.fail(q); err != nil {
			return p, err
		}
	}
	if len(q.Types) == 0 || len(q.Types) > MaxTypes || q.To.Before(q.From) {
		return p, fmt.Errorf("Stripe would refuse %+v", q)
	}
	began := q.After == ""
	for _, l := range w.stripe {
		if l.Event.Created != 0 && l.Event.Created < q.From.Unix() {
			break
		}
		if !began {
			began = l.Event.ID == q.After
			continue
		}
		if l.account != q.Account || l.visible.After(w.now) || l.Event.Created < q.From.Unix() || l.Event.Created > q.To.Unix() ||
			l.Event.Type != "" && !slices.Contains(q.Types, l.Event.Type) {
			continue
		}
		if len(p.Items) == 100 {
			p.More = true
			break
		}
		item := l.Item
		item.Position = len(p.Items)
		p.Items = append(p.Items, item)
		if l.Event.ID != "" {
			p.Last = l.Event.ID
		}
	}
	return p, nil
}

func (w *world) Records(_ context.Context, ids []string) (map[string]idempotency.Record, error) {
	if len(ids) > 100 {
		return nil, errors.New("more than a page")
	}
	w.reads += len(ids)
	found := map[string]idempotency.Record{}
	for _, id := range ids {
		if r, ok := w.records[id]; ok {
			found[id] = r
		}
	}
	return found, nil
}

// Open has what failed or was replayed.
func (w *world) Open(context.Context) (map[string]int64, error) {
	open := map[string]int64{}
	for id, r := range w.records {
		if r.State == idempotency.Failed {
			open[id] = r.Created
		}
	}
	return open, w.openErr
}

func (w *world) Send(_ context.Context, e event.Envelope, _ string) error {
	if w.dead {
		return errDown
	}
	w.taken = append(w.taken, e)
	w.put(e)
	return nil
}

// put is how a delivery and a pass come onto the queue.
func (w *world) put(e event.Envelope) {
	waiting := slices.ContainsFunc(w.queue, func(m event.Envelope) bool { return m.ID == e.ID })
	if r, seen := w.records[e.ID]; waiting || seen && r.State == idempotency.Done {
		w.copies++
	}
	w.queue = append(w.queue, e)
}

// consume finishes what is on the queue.
func (w *world) consume() {
	if w.stopped {
		return
	}
	for _, e := range w.queue {
		if r, seen := w.records[e.ID]; !seen || r.State != idempotency.Done {
			w.records[e.ID] = done(e, w.now)
		}
	}
	w.queue = nil
}

func done(e event.Envelope, now time.Time) idempotency.Record {
	return idempotency.Record{ID: e.ID, State: idempotency.Done, Identity: idempotency.Identity(e), Created: e.Created, Updated: now, ReceivesLeft: -1}
}

func (w *world) Depth(context.Context) (int, error) { w.asked++; return len(w.queue), nil }

func (w *world) Cover(_ context.Context, c Covered) error {
	if w.noteErr != nil {
		return w.noteErr
	}
	if c.Tier == Configured {
		w.theirs = slices.DeleteFunc(w.theirs, func(old Covered) bool { return old.Stream() == c.Stream() && old.From.Equal(c.From) })
		w.theirs = append(w.theirs, c)
		return nil
	}
	w.notes[fmt.Sprint(c.Livemode, c.Account, c.Tier, c.From.Unix())] = c
	return nil
}

func (w *world) Covered(_ context.Context, from, to time.Time) (all []Covered, broken []string, err error) {
	for _, c := range w.allNotes() {
		if !c.From.Before(from) && c.From.Before(to) {
			all = append(all, c)
		}
	}
	return all, w.broken, nil
}

func (w *world) allNotes() []Covered {
	return slices.AppendSeq(slices.Clone(w.theirs), maps.Values(w.notes))
}

func (w *world) Begins(context.Context) (map[Stream]time.Time, error) {
	return maps.Clone(w.begins), nil
}

func (w *world) Oldest(_ context.Context, of []Stream, _, _ time.Time) (map[Stream]time.Time, error) {
	found := map[Stream]time.Time{}
	for _, s := range of {
		if !w.oldest.IsZero() {
			found[s] = w.oldest
			continue
		}
		for _, c := range w.allNotes() {
			if at, older := found[s]; c.Stream() == s && c.Tier != Backfill && c.Excluded == "" && (!older || c.From.Before(at)) {
				found[s] = c.From
			}
		}
	}
	return found, nil
}

func (w *world) PutBegin(_ context.Context, s Stream, at time.Time) (time.Time, error) {
	if w.beginErr != nil {
		if err := w.beginErr(s.Account); err != nil {
			return time.Time{}, err
		}
	}
	if _, put := w.begins[s]; !put {
		w.begins[s] = seconds(at)
	}
	return w.begins[s], nil
}

func (w *world) reconciler(t *testing.T, change func(*Config)) *Reconciler {
	t.Helper()
	c := Config{
		Lister: w, Records: w, Sender: w, Coverage: w, Begins: w, Depth: w,
		Types: []string{"invoice.paid", "payment_intent.succeeded"}, Now: func() time.Time { return w.now },
	}
	if change != nil {
		change(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// unknown are the events that no record is for.
func (w *world) unknown() (ids []string) {
	for _, l := range w.stripe {
		if _, seen := w.records[l.Event.ID]; !seen && l.Event.ID != "" {
			ids = append(ids, l.Event.ID)
		}
	}
	return ids
}

// TestStoppedConsumerBreedsNoCopies: nothing has a record while the consumer is stopped,
// so that every pass sees everything missed.
func TestStoppedConsumerBreedsNoCopies(t *testing.T) {
	w := newWorld(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	w.stopped = true
	r := w.reconciler(t, nil)
	for n := range 1200 {
		e := anEvent(fmt.Sprintf("evt_%d", n), w.now.Add(-time.Duration(n)*time.Second))
		w.arises(e, w.now)
		w.put(e)
	}
	w.arises(anEvent("evt_withheld", w.now), w.now)
	for range 8 {
		w.now = w.now.Add(15 * time.Minute)
		report, err := r.Run(t.Context(), Frequent)
		if err != nil || report.Deferred != 1201 || report.Complete() || report.Requeued() != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	if w.copies != 0 || slices.ContainsFunc(slices.Collect(maps.Values(w.notes)), func(c Covered) bool { return c.Listed > 0 }) {
		t.Errorf("%d copies, noted as finished: %v", w.copies, slices.Collect(maps.Keys(w.notes)))
	}
	if w.asked > 8 {
		t.Errorf("asked %d times for the queue's depth in 8 passes that may not send", w.asked)
	}
	w.stopped = false
	w.consume()
	report, err := r.Run(t.Context(), Frequent)
	if err != nil || report.Unrecorded != 1 || !report.Complete() {
		t.Errorf("after it resumes: %+v, %v", report, err)
	}
}

// TestFewCopiesUnderTheGuard: under 1,000 messages passes do send, and stop there.
func TestFewCopiesUnderTheGuard(t *testing.T) {
	w := newWorld(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	w.stopped = true
	r := w.reconciler(t, nil)
	for n := range 400 {
		w.arises(anEvent(fmt.Sprintf("evt_%d", n), w.now), w.now)
	}
	for range 8 {
		w.now = w.now.Add(15 * time.Minute)
		if _, err := r.Run(t.Context(), Frequent); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.queue) != 1000 {
		t.Errorf("%d messages on the queue, want 1000", len(w.queue))
	}
}

// TestMostSendsOfOnePass: a pass after a long outage leaves the rest to the next ones.
func TestMostSendsOfOnePass(t *testing.T) {
	w := newWorld(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	r := w.reconciler(t, nil)
	for n := range 5600 {
		w.stripe = append(w.stripe, &listed{Item{Event: anEvent(fmt.Sprintf("evt_%d", n), w.now)}, "", w.now})
	}
	w.now = w.now.Add(15 * time.Minute)
	// A consumer that keeps up.
	r.cfg.Depth = depthFunc(func() int { w.consume(); return len(w.queue) })
	report, err := r.Run(t.Context(), Frequent)
	if err != nil || report.Unrecorded != 5000 || report.Deferred != 600 || report.Complete() || report.Finished != report.Slices-1 {
		t.Errorf("first pass %+v, %v", report, err)
	}
	w.consume()
	report, err = r.Run(t.Context(), Frequent)
	if err != nil || report.Unrecorded != 600 || !report.Complete() {
		t.Errorf("second pass %+v, %v", report, err)
	}
	w.consume()
	if lost := w.unknown(); len(lost) > 0 || w.copies > 0 {
		t.Errorf("%d unknown, %d copies", len(lost), w.copies)
	}
}

type depthFunc func() int

func (f depthFunc) Depth(context.Context) (int, error) { return f(), nil }
