package destinations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/history"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// Enable enables a destination that was disabled.
type Enable struct {
	Name string `arg:"" help:"The destination."`
	Note string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask for confirmation."`
}

func (Enable) Help() string {
	return `Enables the destination: its failures no longer count, and its circuit breaker is closed. It returns when all senders know, in about 10 seconds. Its dead letters stay: destination redrive sends them.

  tollgate destination enable crm --note "the receiver is back"`
}

// enableTries bounds the writes: a sender may write a state meanwhile.
const enableTries = 5

// Enabled is the result, as JSON.
type Enabled struct {
	Name    string `json:"name"`
	Changed bool   `json:"changed"`
	Was     string `json:"was"` // why it was disabled
}

// Run enables it.
func (c *Enable) Run(ctx context.Context, a *verb.App) error {
	w, d, s, err := named(ctx, a, c.Name)
	if err != nil {
		return err
	}
	if s.Off.IsZero() && s.Open.IsZero() {
		a.Line(Enabled{Name: d.Name}, d.Name+" is enabled; nothing was changed")
		return nil
	}
	of := verb.Audit{Verb: "destination enable", Note: c.Note, Detail: "destination " + d.Name + ", " + verb.Dash(s.Why)}
	return a.Change(ctx, w.target, of, c.Yes, func(ctx context.Context) (string, error) {
		if err := w.enable(ctx, d.Name); err != nil {
			return "", err
		}
		w.untilKnown(ctx) // a sender that knows it as disabled still gives deliveries up
		a.Line(Enabled{d.Name, true, s.Why}, d.Name+" is enabled; its dead letters: tollgate destination redrive "+d.Name)
		return "enabled", nil
	})
}

// enable clears what failures have written, and leaves a pause.
func (w *work) enable(ctx context.Context, name string) error {
	return w.change(ctx, name, func(s *delivery.State) { *s = delivery.State{Ver: s.Ver, Paused: s.Paused, PausedBy: s.PausedBy} })
}

// change writes a changed state, again if another write came first.
func (w *work) change(ctx context.Context, name string, change func(*delivery.State)) error {
	for range enableTries {
		s, err := w.rows.State(ctx, name)
		if err != nil {
			return err
		}
		change(&s)
		s.By = idempotency.NewOwner()
		won, err := w.rows.SwapState(ctx, name, s)
		if won || err != nil {
			return err
		}
	}
	return errors.New("the destination's state changes all the time: try again")
}

// Redrive sends a destination's dead letters to its queue again.
type Redrive struct {
	Name   string `arg:"" help:"The destination."`
	DryRun bool   `help:"Show what would be sent, and send nothing."`
	Rate   int    `default:"20" help:"Messages a second (1 to 500). Default: 20." placeholder:"N"`
	Limit  int    `help:"Messages sent at most. Default: all." placeholder:"N"`
	Note   string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation."`
}

func (Redrive) Help() string {
	return `After a fix: the deliveries may be attempted again, their retries begin anew, and their jobs are moved from the dead-letter queue of deliveries to the destination's queue. A receiver knows them by the same webhook-id. A delivery that was done meanwhile is not repeated. A crash can duplicate a job and never lose one.

  tollgate destination redrive crm --dry-run
  tollgate destination redrive crm --note "the receiver is back"`
}

// Redriven is the plan and the result, as JSON.
type Redriven struct {
	Name     string `json:"name"`
	DryRun   bool   `json:"dry_run"`
	Read     int    `json:"read"`     // dead letters of all destinations
	Selected int    `json:"selected"` // of this one
	More     bool   `json:"more"`     // there may be some that were not read
	Hidden   int    `json:"hidden"`   // by another reader
	redrive.Result
}

// Run selects, asks and moves.
func (c *Redrive) Run(ctx context.Context, a *verb.App) error {
	if c.Rate < 1 || c.Rate > redrive.MaxRate || c.Limit < 0 || c.Limit > redrive.MaxMessages {
		return verb.Usage("--rate is 1 to %d, --limit up to %d", redrive.MaxRate, redrive.MaxMessages)
	}
	w, d, s, err := named(ctx, a, c.Name)
	if err != nil {
		return err
	}
	if !s.Off.IsZero() && !c.DryRun {
		return verb.Hint(verb.Usage("%s is disabled: its deliveries would be dead letters again", d.Name), "tollgate destination enable %s", d.Name)
	}
	dlq, err := w.dlq(d, "destination redrive")
	if err != nil {
		return err
	}
	p, err := dlq.Plan(ctx, redrive.Selection{Match: of(d.Name), Limit: c.Limit, OnRead: a.Counter("read", "dead letters").Add})
	if err != nil {
		return verb.Locked(err)
	}
	v := Redriven{Name: d.Name, DryRun: c.DryRun, Read: p.Read, Selected: p.Selected, More: p.More, Hidden: p.Hidden}
	v.Left = p.Selected
	detail := fmt.Sprintf("%d of %d dead letters of deliveries, for %s", p.Selected, p.Read, d.Name)
	if p.Hidden > 0 {
		fmt.Fprintf(a.Err, "%s hidden by another reader and left out: run it again in %s\n", verb.Plural(p.Hidden, "more is", "more are"), dlq.Visibility())
	}
	if c.DryRun || p.Selected == 0 {
		a.Line(v, "would send "+detail+"; nothing was changed")
		return nil
	}
	of := verb.Audit{Verb: "destination redrive", Note: c.Note, Detail: detail, Ask: "send " + detail + ", to its queue again"}
	return a.Change(ctx, w.target, of, c.Yes, func(ctx context.Context) (string, error) {
		progress := a.Progress("redriven", p.Left())
		v.Result, err = dlq.Redrive(ctx, p, redrive.Options{Rate: c.Rate, OnSent: progress.Add})
		progress.Done()
		text := fmt.Sprintf("redriven %d of %d dead letters of deliveries, for %s", v.Moved, v.Selected, d.Name)
		a.Line(v, text)
		return text, verb.Locked(err)
	})
}

// of selects the jobs of a destination.
func of(name string) func(redrive.Received) bool {
	return func(m redrive.Received) bool {
		j, err := delivery.DecodeJob(m.Body)
		return err == nil && j.Destination == name
	}
}

// dlq is the dead-letter queue of deliveries, under the lock of dead letters.
func (w *work) dlq(d destination.Destination, what string) (*redrive.DLQ, error) {
	dlq, _, err := w.DLQ(w.target, what)
	if err != nil {
		return nil, err
	}
	letters := w.queue(d.Group).DeadLetters()
	dlq.Queue, dlq.Records, dlq.Mover = letters, noRecords{}, mover{letters, w, d.Group, sqsqueue.NewJobs(w.queues, w.sending.QueueURL)}
	return dlq, nil
}

// noRecords: a job is of no event's record.
type noRecords struct{}

func (noRecords) Get(context.Context, string) (idempotency.Record, bool, error) {
	return idempotency.Record{}, false, nil
}

// mover lets deliveries be attempted again and enqueues their jobs.
type mover struct {
	*sqsqueue.DeadLetters
	work  *work
	group string
	jobs  *sqsqueue.Jobs
}

// Send reopens first: a job of a delivery that is over would be a dead letter again.
func (m mover) Send(ctx context.Context, messages []queue.Message) (refused map[string]error, err error) {
	refused = map[string]error{}
	var bodies []string
	for _, one := range messages {
		j, err := delivery.DecodeJob(one.Body)
		if err == nil {
			_, err = m.work.rows.Reopen(ctx, j, time.Now())
		}
		if err != nil {
			refused[one.ID] = err
			continue
		}
		bodies = append(bodies, one.Body)
	}
	if len(bodies) == 0 {
		return refused, nil
	}
	return refused, m.jobs.SendJobs(ctx, m.group, bodies)
}

// Test sends a test message.
type Test struct {
	Name    string        `arg:"" help:"The destination."`
	Timeout time.Duration `default:"1m" help:"How long to wait for the first attempt. Default: 1m." placeholder:"DURATION"`
	Note    string        `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes     bool          `help:"Do not ask for confirmation."`
}

func (Test) Help() string {
	return `Stores a message of type "test" and a job for this destination alone, and waits for the first attempt. The sender signs and sends it as every other, with retries. Exit code 1 unless the receiver accepted it.

  tollgate destination test crm`
}

// testMessage is the name of test messages.
const testMessage = "test"

// testPoll is how often the delivery is looked up.
const testPoll = 200 * time.Millisecond

// Run sends one.
func (c *Test) Run(ctx context.Context, a *verb.App) error {
	w, d, s, err := named(ctx, a, c.Name)
	switch {
	case err != nil:
		return err
	case c.Timeout <= 0:
		return verb.Usage("--timeout is a duration such as 1m")
	case d.Type == destination.Email:
		return verb.Usage("%s sends mail, which needs a customer and a template: no test message has them", d.Name)
	case !s.Off.IsZero():
		return verb.Hint(verb.Usage("%s is disabled", d.Name), "tollgate destination enable %s", d.Name)
	}
	mode, account := "test", "-"
	if d.Livemode != nil && d.Livemode[0] {
		mode = "live"
	}
	if len(d.Accounts) > 0 && d.Accounts[0] != "" {
		account = d.Accounts[0]
	}
	key := strings.Join([]string{"OUT", "TEST", mode, account, idempotency.NewOwner(), testMessage}, "#")
	of := verb.Audit{Verb: "destination test", Note: c.Note, Detail: "a test message to " + d.Name}
	return a.Change(ctx, w.target, of, c.Yes, func(ctx context.Context) (string, error) {
		j := delivery.Job{Message: key, Destination: d.Name}
		if err := w.rows.PutMessage(ctx, key, map[string]any{"name": testMessage, "note": "a test message"}, time.Now()); err != nil {
			return "", err
		}
		if err := sqsqueue.NewJobs(w.queues, w.sending.QueueURL).SendJobs(ctx, d.Group, []string{j.Encode()}); err != nil {
			return "", err
		}
		r, err := w.firstAttempt(ctx, j, c.Timeout)
		if err != nil {
			return "sent to the queue", err
		}
		last := r.History[len(r.History)-1]
		text := fmt.Sprintf("attempt took %d ms: %s", last.Took.Milliseconds(), history.StatusOf(r))
		if last.Status != 0 {
			text += fmt.Sprintf(", status %d", last.Status)
		}
		text += ", webhook-id " + delivery.ID(key)
		a.Line(deliveryOf(j, r), text)
		if r.Status != delivery.Delivered {
			err = verb.Hint(fmt.Errorf("%s did not accept it: %s", d.Name, verb.Dash(last.Err)), "tollgate destination show %s --message '%s' shows whether it is tried again", d.Name, key)
		}
		return text, err
	})
}

func (w *work) firstAttempt(ctx context.Context, j delivery.Job, timeout time.Duration) (delivery.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		r, found, err := w.rows.Row(ctx, j)
		if found && len(r.History) > 0 {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, verb.Hint(errors.New("no attempt ended within "+timeout.String()), "is the sender running, and is its circuit breaker closed? tollgate destination show %s", j.Destination)
		case <-time.After(testPoll):
		}
		if err != nil {
			return r, err
		}
	}
}
