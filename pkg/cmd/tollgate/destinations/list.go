package destinations

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/history"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// List lists the destinations.
type List struct{}

func (List) Help() string {
	return `Status: ok; failing: the last attempts failed, and they are repeated; waiting: so many failed that its jobs wait, and one attempt probes every 30 seconds; paused: by deliveries pause; disabled: it answered 410, or nothing but failures for 5 days. The jobs of a disabled destination are dead letters: see destination enable and destination redrive.

  tollgate destination list`
}

// Now are all destinations as they are now.
type Now struct {
	Views []View
	Dead  int // dead letters of all, about
}

// Load reads the destinations, and hides no dead letter.
func Load(ctx context.Context, a *verb.App) (now Now, err error) {
	w, err := open(ctx, a)
	if err != nil {
		return now, err
	}
	for _, name := range slices.Sorted(maps.Keys(w.sending.Destinations)) {
		s, err := w.rows.State(ctx, name)
		if err != nil {
			return now, err
		}
		v, err := w.view(ctx, w.sending.Destinations[name], s)
		if err != nil {
			return now, err
		}
		now.Views = append(now.Views, v)
	}
	now.Dead, err = sqsqueue.New(w.queues, w.sending.DLQURL, "", w.target.Limits()).Depth(ctx)
	return now, err
}

// LoadOne reads one destination.
func LoadOne(ctx context.Context, a *verb.App, name string) (View, error) {
	w, d, s, err := named(ctx, a, name)
	if err != nil {
		return View{}, err
	}
	return w.view(ctx, d, s)
}

// Run lists all destinations.
func (List) Run(ctx context.Context, a *verb.App) error {
	now, err := Load(ctx, a)
	if err != nil {
		return err
	}
	verb.List(a, now.Views, func(v View) any { return v }, "No destinations.", "name|type|status|queued|to|takes", func(v View) []string {
		return []string{v.Name, v.Type, v.Status, fmt.Sprint(v.Queued), v.To, v.Takes()}
	})
	return nil
}

// Show shows one destination.
type Show struct {
	Name    string `arg:"" help:"The destination."`
	Message string `help:"Show its delivery of this message, by the key that outbox list and events show print." placeholder:"OUT#…"`
}

func (Show) Help() string {
	return `Reads the dead-letter queue of deliveries, and hides what it reads for at most two minutes.

  tollgate destination show crm
  tollgate destination show crm --message 'OUT#FACT#live#-#pi_1#succeeded#receipt'`
}

// Shown is a destination with its dead letters, as JSON.
type Shown struct {
	View
	Rate        float64        `json:"rate"`
	Concurrency int            `json:"concurrency"`
	Timeout     string         `json:"timeout"`
	Dead        map[string]int `json:"dead_letters"` // by reason
	Error       string         `json:"error"`        // of one of them
}

// Run shows it.
func (c *Show) Run(ctx context.Context, a *verb.App) error {
	w, d, s, err := named(ctx, a, c.Name)
	if err != nil {
		return err
	}
	if c.Message != "" {
		return w.showDelivery(ctx, delivery.Job{Message: c.Message, Destination: c.Name})
	}
	v := Shown{Rate: d.Rate, Concurrency: d.Concurrency, Timeout: d.Timeout.String(), Dead: map[string]int{}}
	if v.View, err = w.view(ctx, d, s); err != nil {
		return err
	}
	dlq, err := w.dlq(d, "destination show")
	if err != nil {
		return err
	}
	if _, err := dlq.Plan(ctx, redrive.Selection{Match: of(c.Name), Each: func(l redrive.DeadLetter, _ []byte) (bool, error) {
		v.Dead[l.Cause.Reason]++
		if l.Cause.Error != "" {
			v.Error = l.Cause.Error
		}
		return true, nil
	}}); err != nil {
		return verb.Locked(err)
	}
	if a.JSON {
		a.Object(v)
		return nil
	}
	a.Fields(v.lines(d, s))
	return nil
}

func (v Shown) lines(d destination.Destination, s delivery.State) [][2]string {
	var dead []string
	for _, reason := range slices.Sorted(maps.Keys(v.Dead)) {
		dead = append(dead, fmt.Sprintf("%d %s", v.Dead[reason], reason))
	}
	lines := [][2]string{
		{"name", v.Name}, {"type", v.Type}, {"to", v.To}, {"takes", v.Takes()}, {"group", v.Group},
		{"limits", fmt.Sprintf("%v a second, %d at once, %s each", v.Rate, v.Concurrency, v.Timeout)},
		{"status", v.Status}, {"failing since", verb.LongTime(s.Since)}, {"queued", fmt.Sprint(v.Queued)},
		{"dead letters", verb.Dash(strings.Join(dead, ", "))}, {"last error", verb.Dash(v.Error)},
	}
	switch v.Status {
	case statusDisabled:
		lines = append(lines, [2]string{"disabled", verb.LongTime(s.Off)}, [2]string{"because", verb.Dash(v.Why)},
			[2]string{"next", "tollgate destination enable " + v.Name + ", then tollgate destination redrive " + v.Name})
	case statusWaiting:
		lines = append(lines, [2]string{"waiting until", verb.LongTime(s.Open)})
	case statusPaused:
		lines = append(lines, [2]string{"paused", verb.LongTime(s.Paused)}, [2]string{"by", verb.Dash(s.PausedBy)},
			[2]string{"next", "tollgate deliveries resume " + v.Name})
	}
	return lines
}

// Delivery is one message's delivery to a destination, as JSON.
type Delivery struct {
	ID       string    `json:"webhook_id"`
	Status   string    `json:"status"` // queued, retrying, running, delivered, failed or disabled
	Attempt  int       `json:"attempt"`
	Sequence int64     `json:"sequence"`
	First    *string   `json:"first_at"`
	Next     *string   `json:"next_at"`
	History  []Attempt `json:"attempts"` // the last ten
}

// Attempt is one that ended.
type Attempt struct {
	At     *string `json:"at"`
	Millis int64   `json:"ms"`
	Status int     `json:"status"` // of HTTP, 0 without
	Error  string  `json:"error"`
}

func deliveryOf(j delivery.Job, r delivery.Row) Delivery {
	v := Delivery{
		ID: delivery.ID(j.Message), Status: history.StatusOf(r), Attempt: r.Attempt, Sequence: r.Sequence,
		First: verb.Stamp(r.First), Next: verb.Stamp(r.Next), History: []Attempt{},
	}
	for _, h := range r.History {
		v.History = append(v.History, Attempt{verb.Stamp(h.At), h.Took.Milliseconds(), h.Status, h.Err})
	}
	return v
}

func (w *work) showDelivery(ctx context.Context, j delivery.Job) error {
	r, found, err := w.rows.Row(ctx, j)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("no attempt of %s for %s has begun", j.Message, j.Destination)
	case w.JSON:
		w.Object(deliveryOf(j, r))
		return nil
	}
	w.Fields([][2]string{
		{"webhook-id", delivery.ID(j.Message)}, {"status", history.StatusOf(r)}, {"attempts", fmt.Sprint(r.Attempt)}, {"sequence", fmt.Sprint(r.Sequence)},
		{"first attempt", verb.LongTime(r.First)}, {"next attempt", verb.LongTime(r.Next)},
	})
	var rows [][]string
	for _, h := range r.History {
		answer := "-"
		if h.Status > 0 {
			answer = fmt.Sprint(h.Status)
		}
		rows = append(rows, []string{verb.LongTime(h.At), h.Took.Round(time.Millisecond).String(), answer, verb.Dash(h.Err)})
	}
	if len(rows) > 0 {
		w.Table([]string{"attempt at", "took", "status", "error"}, rows)
	}
	return nil
}
