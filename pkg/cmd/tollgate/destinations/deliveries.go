package destinations

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/history"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/sqsqueue"
)

// Deliveries are the verbs for single deliveries.
type Deliveries struct {
	List   ListDeliveries `cmd:"" help:"List a destination's deliveries, as its receiver can."`
	Show   ShowDelivery   `cmd:"" help:"Show one delivery with its attempts."`
	Retry  Retry          `cmd:"" help:"Begin deliveries again."`
	Pause  PauseSending   `cmd:"" help:"Let a destination's deliveries wait."`
	Resume ResumeSending  `cmd:"" help:"Let them begin again."`
	Token  Token          `cmd:"" help:"Make or revoke tokens of a destination's receiver."`
}

// ListDeliveries lists a destination's deliveries.
type ListDeliveries struct {
	Name    string `arg:"" help:"The destination."`
	Status  string `enum:",queued,retrying,running,delivered,failed,disabled,undelivered" default:"" help:"queued, retrying, running, delivered, failed, disabled, or undelivered for all but delivered." placeholder:"WORD"`
	Since   string `help:"Handed over since: days such as 7d, a duration such as 2h, or a time (RFC 3339). Default: all that are kept." placeholder:"WHEN"`
	After   string `help:"Continue where the previous list ended." placeholder:"PLACE"`
	Limit   int    `default:"100" help:"Deliveries listed (1 to 10000)."`
	MaxRead int    `default:"10000" help:"Deliveries read to find those with the status." placeholder:"N"`
}

func (ListDeliveries) Help() string {
	return `Needs "history": true of the destination. Lists what was handed over from then on, the oldest first; it is kept for 30 days. A list that stops before its end prints the place to continue on stderr, with --json as an object: {"after":…}.

  tollgate deliveries list crm --status undelivered --since 1d`
}

// Listed are a destination's deliveries.
type Listed struct {
	Deliveries []ListedDelivery
	After      string // where the next list continues, "" at the end
}

// ListedDelivery is one, as JSON.
type ListedDelivery struct {
	Message    string  `json:"message"` // its key, for deliveries show and retry
	Type       string  `json:"type"`
	HandedOver *string `json:"handed_over_at"`
	LastStatus int     `json:"last_status"` // of HTTP, 0 without
	LastMillis int64   `json:"last_ms"`
	LastError  string  `json:"last_error"`
	Delivery
}

// Load reads them.
func (c *ListDeliveries) Load(ctx context.Context, a *verb.App) (l Listed, err error) {
	if err := verb.Between("--limit", c.Limit, 1, 10_000); err != nil {
		return l, err
	}
	w, d, _, err := named(ctx, a, c.Name)
	if err != nil {
		return l, err
	}
	if !d.History {
		return l, verb.Hint(verb.Usage("%s has no history", c.Name), `set "history": true of the destination: what is handed over from then on is listed`)
	}
	reader, err := dynamostore.NewReader(dynamodb.NewFromConfig(w.target.AWS), w.target.Table)
	if err != nil {
		return l, err
	}
	now := time.Now()
	oldest := now.Add(-w.target.Limits().Sender.RowTTL) // each day is a query
	since, err := verb.When("--since", c.Since, now)
	if err != nil {
		return l, err
	}
	if since.Before(oldest) {
		since = oldest
	}
	after, err := delivery.After(cmp.Or(c.After, delivery.At(since)))
	if err != nil {
		return l, verb.Hint(verb.Usage("--after is %v", err), "use the one that the list before printed")
	}
	return c.take(ctx, reader, delivery.Query{Destination: c.Name, After: max(after, delivery.At(since)), Until: now, Limit: history.MaxLimit})
}

type rows interface {
	History(context.Context, delivery.Query) ([]delivery.Listed, error)
}

// take reads until the list is full, enough was read, or nothing is left.
func (c *ListDeliveries) take(ctx context.Context, from rows, q delivery.Query) (l Listed, err error) {
	for read := 0; read < c.MaxRead && len(l.Deliveries) < c.Limit; read += q.Limit {
		page, err := from.History(ctx, q)
		if err != nil {
			return l, err
		}
		for _, one := range page {
			if len(l.Deliveries) == c.Limit {
				break
			}
			q.After = one.Place
			if v := listedOf(one); history.Fits(c.Status, v.Status) {
				l.Deliveries = append(l.Deliveries, v)
			}
		}
		if l.After = q.After; len(page) < q.Limit && len(l.Deliveries) < c.Limit {
			l.After = ""
			break
		}
	}
	return l, nil
}

func listedOf(l delivery.Listed) ListedDelivery {
	v := ListedDelivery{Message: l.Job.Message, Type: l.Job.Message[strings.LastIndexByte(l.Job.Message, '#')+1:], HandedOver: verb.Stamp(l.At), Delivery: deliveryOf(l.Job, l.Row)}
	if n := len(v.History); n > 0 {
		last := v.History[n-1]
		v.LastStatus, v.LastMillis, v.LastError = last.Status, last.Millis, last.Error
	}
	return v
}

// Run lists them.
func (c *ListDeliveries) Run(ctx context.Context, a *verb.App) error {
	l, err := c.Load(ctx, a)
	if err != nil {
		return err
	}
	now := time.Now()
	verb.List(a, l.Deliveries, func(v ListedDelivery) any { return v }, "No deliveries match.",
		"handed over|message|status|attempts|last answer|took|error", func(v ListedDelivery) []string {
			at, answer, took := "-", "-", "-"
			if v.HandedOver != nil {
				t, _ := time.Parse(time.RFC3339, *v.HandedOver)
				at = verb.ShortTime(t, now)
			}
			if v.LastStatus > 0 {
				answer = fmt.Sprint(v.LastStatus)
			}
			if len(v.History) > 0 {
				took = (time.Duration(v.LastMillis) * time.Millisecond).String()
			}
			return []string{at, v.Message, v.Status, fmt.Sprint(v.Attempt), answer, took, verb.Dash(v.LastError)}
		})
	if l.After != "" {
		a.Note(map[string]any{"after": l.After}, "there may be more: continue with --after "+l.After)
	}
	return nil
}

// ShowDelivery shows one delivery.
type ShowDelivery struct {
	Name    string `arg:"" help:"The destination."`
	Message string `arg:"" help:"The message's key, OUT#…, that deliveries list, outbox list and events show print."`
}

func (ShowDelivery) Help() string {
	return `  tollgate deliveries show crm 'OUT#FACT#live#-#pi_1#succeeded#receipt'`
}

// Run shows it.
func (c *ShowDelivery) Run(ctx context.Context, a *verb.App) error {
	w, _, _, err := named(ctx, a, c.Name)
	if err != nil {
		return err
	}
	return w.showDelivery(ctx, delivery.Job{Message: c.Message, Destination: c.Name})
}

// Retry begins deliveries again.
type Retry struct {
	Name     string   `arg:"" help:"The destination."`
	Messages []string `arg:"" help:"The messages' keys, OUT#…"`
	Note     string   `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes      bool     `help:"Do not ask for confirmation."`
}

func (Retry) Help() string {
	return `The deliveries may be attempted again at once, and their retries begin anew. One that was delivered is not repeated. Its dead letter, if there is one, stays and is harmless: a redrive finds it delivered.

  tollgate deliveries retry crm 'OUT#FACT#live#-#pi_1#succeeded#receipt' --note "the receiver is back"`
}

// Retried is a delivery's result, as JSON.
type Retried struct {
	Message string `json:"message"`
	Result  string `json:"result"` // retrying, delivered, running or unknown
}

// Run retries.
func (c *Retry) Run(ctx context.Context, a *verb.App) error {
	w, d, s, err := named(ctx, a, c.Name)
	switch {
	case err != nil:
		return err
	case !s.Off.IsZero():
		return verb.Hint(verb.Usage("%s is disabled: its deliveries would be dead letters again", d.Name), "tollgate destination enable %s", d.Name)
	}
	of := verb.Audit{Verb: "deliveries retry", Note: c.Note, Detail: fmt.Sprintf("%s to %s: %s", verb.Plural(len(c.Messages), "delivery", "deliveries"), d.Name, verb.Clip(strings.Join(c.Messages, " "), 400))}
	return a.Change(ctx, w.target, of, c.Yes, func(ctx context.Context) (string, error) {
		again := 0
		for _, message := range c.Messages {
			r, err := w.again(ctx, delivery.Job{Message: message, Destination: d.Name}, d)
			if err != nil {
				return fmt.Sprintf("%d begun", again), err
			}
			if r.Result == "retrying" {
				again++
			}
			a.Line(r, r.Message+": "+r.Result)
		}
		text := fmt.Sprintf("%d of %d begun", again, len(c.Messages))
		if again < len(c.Messages) {
			return text, verb.Hint(fmt.Errorf("not begun again: %d of %s", len(c.Messages)-again, verb.Plural(len(c.Messages), "delivery", "deliveries")),
				"a delivered one needs no retry; one that runs ends within a minute; for an unknown one, tollgate deliveries list %s prints the keys", d.Name)
		}
		return text, nil
	})
}

func (w *work) again(ctx context.Context, j delivery.Job, d destination.Destination) (Retried, error) {
	status, err := w.rows.Reopen(ctx, j, time.Now())
	switch {
	case err != nil:
		return Retried{}, err
	case status == "":
		return Retried{j.Message, "unknown"}, nil
	case status != delivery.Waiting:
		return Retried{j.Message, history.StatusOf(delivery.Row{Status: status})}, nil
	}
	return Retried{j.Message, "retrying"}, sqsqueue.NewJobs(w.queues, w.sending.QueueURL).SendJobs(ctx, d.Group, []string{j.Encode()})
}

// PauseSending lets a destination's deliveries wait.
type PauseSending struct {
	Name string `arg:"" help:"The destination."`
	Note string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask for confirmation."`
}

func (PauseSending) Help() string {
	return `No attempt at the destination begins until deliveries resume; running ones end. Jobs wait in the destination's queue, which deletes them after ten days: resume within nine. The time in which a failed delivery is retried goes on. It returns when all senders know, in about 10 seconds.

  tollgate deliveries pause crm --note "their database is being moved"`
}

// Paused is the result, as JSON.
type Paused struct {
	Name    string `json:"name"`
	Changed bool   `json:"changed"`
	Paused  bool   `json:"paused"`
}

// Run pauses.
func (c *PauseSending) Run(ctx context.Context, a *verb.App) error {
	return setPaused(ctx, a, c.Name, true, verb.Audit{Verb: "deliveries pause", Note: c.Note}, c.Yes)
}

// ResumeSending ends a pause.
type ResumeSending struct {
	Name string `arg:"" help:"The destination."`
	Note string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask for confirmation."`
}

func (ResumeSending) Help() string {
	return `Waiting jobs come back within 15 minutes.

  tollgate deliveries resume crm --note "moved"`
}

// Run resumes.
func (c *ResumeSending) Run(ctx context.Context, a *verb.App) error {
	return setPaused(ctx, a, c.Name, false, verb.Audit{Verb: "deliveries resume", Note: c.Note}, c.Yes)
}

func setPaused(ctx context.Context, a *verb.App, name string, paused bool, of verb.Audit, yes bool) error {
	w, d, s, err := named(ctx, a, name)
	if err != nil {
		return err
	}
	words := map[bool]string{true: "paused", false: "not paused"}
	if s.Paused.IsZero() == !paused {
		a.Line(Paused{Name: d.Name, Paused: paused}, d.Name+" is "+words[paused]+"; nothing was changed")
		return nil
	}
	of.Detail = "destination " + d.Name
	return a.Change(ctx, w.target, of, yes, func(ctx context.Context) (string, error) {
		err := w.change(ctx, d.Name, func(s *delivery.State) {
			s.Paused, s.PausedBy = time.Time{}, ""
			if paused {
				s.Paused, s.PausedBy = time.Now(), verb.Operator()
			}
		})
		if err != nil {
			return "", err
		}
		w.untilKnown(ctx)
		did := map[bool]string{true: "paused", false: "resumed"}[paused]
		a.Line(Paused{d.Name, true, paused}, d.Name+" is "+did)
		return did, nil
	})
}

// untilKnown waits until every sender has read the destination's state again.
func (w *work) untilKnown(ctx context.Context) {
	select {
	case <-time.After(w.target.Limits().Sender.StateTTL):
	case <-ctx.Done():
	}
}

// Token makes or revokes tokens.
type Token struct {
	Name   string `arg:"" help:"The destination."`
	Revoke bool   `help:"Revoke all tokens of the destination, and make none."`
	Note   string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation."`
}

func (Token) Help() string {
	return `Prints a new token, once: the table keeps its digest. With it the destination's receiver asks what was sent to it: GET /deliveries and POST /deliveries/ID/retry, see pkg/stdwebhooks/README.md. The last two tokens are valid, so that a receiver can change over: make a new one twice to end an old one, or revoke all.

  tollgate deliveries token crm --note "for their catch-up job"`
}

// maxTokens is how many tokens of a destination are valid.
const maxTokens = 2

// Made is the result, as JSON.
type Made struct {
	Name  string `json:"name"`
	Token string `json:"token"` // "" after a revocation
	Valid int    `json:"valid"` // tokens of the destination
}

// Run makes or revokes.
func (c *Token) Run(ctx context.Context, a *verb.App) error {
	w, d, _, err := named(ctx, a, c.Name)
	switch {
	case err != nil:
		return err
	case !d.History && !c.Revoke:
		return verb.Hint(verb.Usage("%s has no history", c.Name), `set "history": true of the destination first`)
	}
	reader, err := dynamostore.NewReader(dynamodb.NewFromConfig(w.target.AWS), w.target.Table)
	if err != nil {
		return err
	}
	of := verb.Audit{Verb: "deliveries token", Note: c.Note, Detail: map[bool]string{true: "revoke all of ", false: "a new one of "}[c.Revoke] + d.Name}
	return a.Change(ctx, w.target, of, c.Yes, func(ctx context.Context) (string, error) {
		now, err := reader.Tokens(ctx, d.Name)
		if err != nil {
			return "", err
		}
		made := Made{Name: d.Name}
		next := dynamostore.Tokens{Ver: now.Ver}
		if !c.Revoke {
			made.Token = history.Token(d.Name, idempotency.NewOwner()+idempotency.NewOwner())
			next.Digests = append(slices.Clone(now.Digests[max(0, len(now.Digests)-maxTokens+1):]), history.Digest(made.Token))
		}
		made.Valid = len(next.Digests)
		won, err := w.rows.SwapTokens(ctx, d.Name, next)
		switch {
		case err != nil:
			return "", err
		case !won:
			return "", verb.Hint(fmt.Errorf("the tokens of %s were changed meanwhile", d.Name), "run it again")
		case c.Revoke:
			a.Line(made, d.Name+" has no valid token")
			return "revoked", nil
		}
		a.Line(made, made.Token)
		return fmt.Sprintf("made; valid now: %d", made.Valid), nil
	})
}
