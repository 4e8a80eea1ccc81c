// Package destinations has the verbs for receivers of messages and events: their state, and their
// deliveries that failed. It also has listen, which is such a receiver.
package destinations

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/config"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/sqsqueue"
)

// Commands are the verbs for destinations.
type Commands struct {
	List    List    `cmd:"" help:"List the destinations with their states."`
	Show    Show    `cmd:"" help:"Show one destination and its dead letters, or one of its deliveries."`
	Enable  Enable  `cmd:"" help:"Enable a destination that was disabled."`
	Redrive Redrive `cmd:"" help:"Send a destination's dead letters to its queue again."`
	Test    Test    `cmd:"" help:"Send a test message to a destination."`
}

// work is what the verbs work on.
type work struct {
	*verb.App
	target  verb.Target
	sending config.Sending
	rows    *dynamostore.Deliveries
	queues  *sqs.Client
}

func open(ctx context.Context, a *verb.App) (*work, error) {
	t, err := a.Target(ctx)
	if err != nil {
		return nil, err
	}
	w := &work{App: a, target: t, queues: sqs.NewFromConfig(t.AWS)}
	if w.sending, err = t.Sending(ctx); err != nil {
		return nil, err
	}
	w.rows, err = dynamostore.NewDeliveries(dynamodb.NewFromConfig(t.AWS), t.Table, dynamostore.Options{Limits: t.Limits()})
	return w, err
}

// named opens a destination with its state.
func named(ctx context.Context, a *verb.App, name string) (w *work, d destination.Destination, s delivery.State, err error) {
	if w, err = open(ctx, a); err != nil {
		return nil, d, s, err
	}
	d, known := w.sending.Destinations[name]
	if !known {
		return nil, d, s, verb.Hint(verb.Usage("%s has no destination %q", w.target.Name, name), "tollgate destination list shows them")
	}
	s, err = w.rows.State(ctx, name)
	return w, d, s, err
}

// queue is the queue of a group.
func (w *work) queue(group string) *sqsqueue.Queue {
	return sqsqueue.New(w.queues, w.sending.QueueURL(group), w.sending.DLQURL, w.target.Limits())
}

// View is a destination as JSON.
type View struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Group    string   `json:"group"`
	To       string   `json:"to"` // without what may be secret
	Messages []string `json:"messages"`
	Events   []string `json:"events"`
	Status   string   `json:"status"` // ok, failing, waiting (its circuit breaker is open), paused (by an operator) or disabled
	Since    *string  `json:"failing_since"`
	Until    *string  `json:"waiting_until"`
	PausedAt *string  `json:"paused_at"`
	PausedBy string   `json:"paused_by"`
	Off      *string  `json:"disabled_at"`
	Why      string   `json:"why"`
	History  bool     `json:"history"` // its receiver may fetch what it missed
	Queued   int      `json:"queued"`  // jobs in its group's queue, those that wait for their next attempt included
}

// Statuses of a destination.
const (
	statusOK       = "ok"
	statusFailing  = "failing"
	statusWaiting  = "waiting"
	statusPaused   = "paused"
	statusDisabled = "disabled"
)

func viewOf(d destination.Destination, s delivery.State, queued int, now time.Time) View {
	v := View{
		Name: d.Name, Type: string(d.Type), Group: d.Group, To: addressOf(d), Messages: d.Messages, Events: d.Events,
		Status: statusOK, Since: verb.Stamp(s.Since), Off: verb.Stamp(s.Off), Why: s.Why, Queued: queued,
		PausedAt: verb.Stamp(s.Paused), PausedBy: s.PausedBy, History: d.History,
	}
	switch {
	case !s.Off.IsZero():
		v.Status = statusDisabled
	case !s.Paused.IsZero():
		v.Status = statusPaused
	case s.Open.After(now):
		v.Status, v.Until = statusWaiting, verb.Stamp(s.Open)
	case !s.Since.IsZero():
		v.Status = statusFailing
	}
	return v
}

// addressOf describes where a destination is. A URL's path and query may be secret.
func addressOf(d destination.Destination) string {
	switch d.Type {
	case destination.HTTP:
		if u, err := url.Parse(d.URL); err == nil {
			return u.Scheme + "://" + u.Host
		}
		return "-"
	case destination.SQS:
		return path.Base(d.Queue)
	case destination.EventBridge:
		return d.Bus
	case destination.SNS:
		return d.Topic
	default:
		return "from " + d.From
	}
}

// Takes describes what a destination takes.
func (v View) Takes() string {
	all := slices.Clone(v.Messages)
	for _, e := range v.Events {
		all = append(all, event.ForwardedPrefix+e)
	}
	return strings.Join(all, " ")
}

func (w *work) view(ctx context.Context, d destination.Destination, s delivery.State) (View, error) {
	queued, err := w.queue(d.Group).Depth(ctx)
	return viewOf(d, s, queued, time.Now()), err
}
