// Package hold has the verbs that pause and resume event types, or everything, and show what is
// paused and held. They read flags, ask and print; package pause does the work.
package hold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/pause"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// Commands are the verbs under hold.
type Commands struct {
	List List `cmd:"" help:"List what is paused, since when, by whom and why, and the held events of each type."`
}

// List shows the switch and the hold queue.
type List struct {
	WaitHidden bool `name:"wait-hidden" help:"First wait for held events that another reader hides, up to twice the time for which this command hides one."`
}

func (List) Help() string {
	return `Prints a line for each event type that is paused or being resumed, * for everything, and for each other type that has events in the hold queue. Reading the held events hides each of them for at most two minutes. SQS deletes a held event 14 days after it was held. While everything is paused, events wait in the queue of events, which keeps them for four days.

  tollgate hold list
  tollgate resume invoice.paid --note "the receiver is back"`
}

// What a name is.
const (
	Paused   = "paused"
	Resuming = "resuming"
	Left     = "left" // neither: held events that nothing brings back
)

// View is an event type, or everything.
type View struct {
	Type    string  `json:"type"` // "*" for everything
	State   string  `json:"state"`
	Since   *string `json:"since"` // when it was paused
	By      string  `json:"by"`    // who paused it or, while it is resumed, who does
	Why     string  `json:"why"`
	Held    *int    `json:"held"`    // its events in the hold queue; null: not counted
	Oldest  *string `json:"oldest"`  // when the oldest of them was held
	Expires *string `json:"expires"` // when SQS deletes that one
}

// Now is what is paused, without a look into the hold queue.
type Now struct {
	Views   []View // * first
	Held    int    // messages in the hold queue
	Waiting int    // messages in the queue of events
	Mapping string // state of the consumer's event source mapping, "" if there is none
}

// system is what the verbs work on.
type system struct {
	*verb.App
	target   verb.Target
	store    pauses
	hold     *redrive.DLQ
	operator *dynamostore.Operator
}

// pauses are the switch, to read and to write.
type pauses struct {
	*dynamostore.Reader
	*dynamostore.Operator
}

func open(ctx context.Context, a *verb.App, name string) (*system, error) {
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return nil, err
	}
	if t.HoldURL == "" {
		return nil, verb.Hint(verb.Usage("%s has no hold queue, or it is unknown", t.Name),
			"deploy a release that has it; without --stack, set TOLLGATE_HOLD_QUEUE_URL as well")
	}
	dlq, operator, err := a.DLQ(t, name)
	if err != nil {
		return nil, err
	}
	queue := sqsqueue.New(sqs.NewFromConfig(t.AWS), t.QueueURL, t.HoldURL, t.Limits()).DeadLetters()
	dlq.Queue, dlq.Mover, dlq.Records, dlq.Locks = queue, queue, reader, operator.HoldLocks()
	dlq.OnUnreleased = func(n int) {
		fmt.Fprintf(a.Err, "%d held events could not be released; they are hidden for up to 2 minutes\n", n)
	}
	return &system{a, t, pauses{reader, operator}, dlq, operator}, nil
}

// Load reads what is paused now.
func Load(ctx context.Context, a *verb.App) (now Now, err error) {
	s, err := open(ctx, a, "hold list")
	if err != nil {
		return now, err
	}
	return s.now(ctx)
}

func (s *system) now(ctx context.Context) (now Now, err error) {
	state, err := s.store.Pauses(ctx)
	if err != nil {
		return now, err
	}
	for _, name := range slices.Sorted(maps.Keys(state.Paused)) {
		now.Views = append(now.Views, paused(name, state.Paused[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(state.Resuming)) {
		span := state.Resuming[name]
		now.Views = append(now.Views, View{Type: name, State: Resuming, Since: verb.Stamp(span.From), By: span.By})
	}
	visible, hidden, err := s.hold.Queue.Count(ctx)
	if err != nil {
		return now, err
	}
	now.Held = visible + hidden
	if now.Waiting, err = sqsqueue.New(sqs.NewFromConfig(s.target.AWS), s.target.QueueURL, "", s.target.Limits()).Depth(ctx); err != nil {
		return now, err
	}
	mappings, err := s.target.Mappings(ctx)
	if len(mappings) > 0 {
		now.Mapping = aws.ToString(mappings[0].State)
	}
	return now, err
}

func paused(name string, m pause.Mark) View {
	return View{Type: name, State: Paused, Since: verb.Stamp(m.At), By: m.By, Why: m.Why}
}

// Run reads the hold queue.
func (c *List) Run(ctx context.Context, a *verb.App) error {
	s, err := open(ctx, a, "hold list")
	if err != nil {
		return err
	}
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	plan, err := s.plan(ctx, redrive.Filter{}, c.WaitHidden)
	if err != nil {
		return err
	}
	now.count(plan, s.target)
	verb.List(a, now.Views, func(v View) any { return v }, "Nothing is paused, and nothing is held.",
		"type|state|since|held|expires|by|why", func(v View) []string { return v.row() })
	if !a.JSON {
		s.notes(now)
	}
	return s.unseen(plan)
}

// plan reads the held events.
func (s *system) plan(ctx context.Context, f redrive.Filter, waitHidden bool) (*redrive.Plan, error) {
	p, err := s.hold.Plan(ctx, redrive.Selection{Filter: f, WaitHidden: waitHidden, Arriving: true, OnRead: s.Counter("read", "held events").Add})
	return p, verb.Locked(err)
}

// count adds the held events of each type.
func (n *Now) count(p *redrive.Plan, t verb.Target) {
	for i := range n.Views {
		n.Views[i].Held = new(int)
	}
	for _, g := range p.Groups { // of one type there are several if their messages differ
		i := slices.IndexFunc(n.Views, func(v View) bool { return v.Type == g.Type })
		if i < 0 {
			i = len(n.Views)
			n.Views = append(n.Views, View{Type: g.Type, State: Left, Held: new(int)})
		}
		v := &n.Views[i]
		*v.Held += g.Count
		if at := verb.Stamp(g.Oldest); v.Oldest == nil || *at < *v.Oldest {
			v.Oldest, v.Expires = at, verb.Stamp(g.Oldest.Add(t.Limits().HoldRetention))
		}
	}
}

func (v View) row() []string {
	held := "-"
	if v.Held != nil && v.Type != pause.All {
		held = fmt.Sprint(*v.Held)
	}
	return []string{v.Type, v.State, short(v.Since), held, short(v.Expires), verb.Dash(v.By), verb.Dash(v.Why)}
}

func short(stamp *string) string {
	if stamp == nil {
		return "-"
	}
	at, _ := time.Parse(time.RFC3339, *stamp)
	return verb.ShortTime(at, time.Now())
}

// notes say what to do next.
func (s *system) notes(now Now) {
	has := func(f func(View) bool) bool { return slices.ContainsFunc(now.Views, f) }
	all := has(func(v View) bool { return v.Type == pause.All })
	switch {
	case all:
		fmt.Fprintf(s.Out, "everything is paused: %s in the queue, the consumer's event source mapping is %s\n",
			verb.Plural(now.Waiting, "event waits", "events wait"), strings.ToLower(verb.Dash(now.Mapping)))
	case now.Mapping != "" && now.Mapping != "Enabled":
		fmt.Fprintf(s.Out, "the consumer's event source mapping is %s: see tollgate doctor\n", strings.ToLower(now.Mapping))
	}
	if has(func(v View) bool { return v.State == Resuming }) {
		fmt.Fprintln(s.Out, "a resume that ended early is repeated with the same command")
	}
	if has(func(v View) bool { return v.State == Left }) {
		fmt.Fprintln(s.Out, "to handle held events of a type that is not paused, pause it and resume it")
	}
}

// unseen returns an error if held events could not be read.
func (s *system) unseen(p *redrive.Plan) error {
	switch {
	case p.Hidden > 0:
		return verb.Hint(fmt.Errorf("%s hidden by another reader and left out, visible again within %s", verb.Plural(p.Hidden, "held event is", "held events are"), s.hold.Visibility()),
			"--wait-hidden waits for them; the reader is another command, or one that died")
	case p.More:
		return verb.Hint(fmt.Errorf("there are more held events than the %d that were read", p.Read), "resume a type first")
	case p.Read == 0 && !p.Certain:
		return verb.Hint(errors.New("no held event was received, but the queue may not be empty: its counts do not stay at zero"), "run it again in a minute")
	}
	return nil
}
