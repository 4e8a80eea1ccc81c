package events

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/queue"
)

// Story is all that is known of one event: from its record, the items that it wrote, the functions'
// logs and the audit trail.
type Story struct {
	View
	Known    bool      `json:"known"`   // there is a record
	Mode     string    `json:"mode"`    // live or test, "" if unknown
	Account  string    `json:"account"` // "-" for the platform's own, "" if unknown
	Log      Logged    `json:"log"`
	NoLog    string    `json:"no_log,omitempty"`  // why the logs were not searched
	Attempts []Attempt `json:"runs"`              // the oldest first
	Untraced int64     `json:"untraced_attempts"` // attempts of which nothing is known
	Written  []Written `json:"written"`
	Messages []Message `json:"messages"`
	Changes  []Change  `json:"changes"` // by operators, the oldest first
	Moments  []Moment  `json:"-"`
}

// Attempt is one run of the handler, from the record's history and the consumer's log.
type Attempt struct {
	Number      int64         `json:"number"`
	Start       time.Time     `json:"start,omitzero"`
	Took        time.Duration `json:"took_ns"` // -1 if unknown
	Outcome     string        `json:"outcome"`
	Reason      string        `json:"reason,omitempty"`
	Error       string        `json:"error,omitempty"`
	Fingerprint string        `json:"fingerprint,omitempty"`
	Frame       string        `json:"frame,omitempty"`
	MessageID   string        `json:"message_id,omitempty"`
	RequestID   string        `json:"request_id,omitempty"`
}

// Written is an item that the event wrote, as it is now.
type Written struct {
	Key     string         `json:"key"`
	Fields  map[string]any `json:"fields"`
	Missing bool           `json:"missing,omitempty"`
	Before  string         `json:"before"`          // what was there before, as far as it is known
	Since   string         `json:"since,omitempty"` // the later event that changed it, "" for none
}

// Message is an outbox message that the event requested.
type Message struct {
	Key        string    `json:"key"`
	Name       string    `json:"name"`
	To         string    `json:"to"`
	Held       string    `json:"held,omitempty"` // why it is or was held
	Waits      string    `json:"waits"`          // held or unsent; "" for sent
	Queued     time.Time `json:"queued_at,omitzero"`
	Released   time.Time `json:"released_at,omitzero"`
	Sent       time.Time `json:"sent_at,omitzero"`
	Deliveries []Sending `json:"deliveries"`
}

// Sending is a message's delivery to one destination.
type Sending struct {
	Destination string          `json:"destination"`
	Status      delivery.Status `json:"status"`
	Attempts    int             `json:"attempts"`
	Next        time.Time       `json:"next_at,omitzero"`
	Error       string          `json:"error,omitempty"`
}

// Change is an operator's change that touched the event, or may have.
type Change struct {
	dynamostore.AuditEntry
	Maybe bool `json:"maybe"` // it names no event, and its filter fits
}

const (
	logBefore  = 10 * time.Minute   // a delivery comes before the first attempt
	logRetries = 3 * 24 * time.Hour // so long Stripe repeats a delivery
	logAfter   = time.Hour
	maxChanges = 1000
	maxAudit   = 400 * 24 * time.Hour
)

// Tell returns the story of an event. The logs are searched from shortly before it was created to
// an hour after its last change, or longer. An event without a record may still have deliveries of
// the last day.
func Tell(ctx context.Context, a *verb.App, id string, longer time.Duration) (s Story, err error) {
	s.View, err = Load(ctx, a, id)
	if s.Known = err == nil; err != nil && !errors.Is(err, ErrUnknown) {
		return s, err
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return s, err
	}
	now := time.Now()
	from, until := s.logSpan(now, longer)
	if s.Log, err = Search(ctx, t, id, from, until); err != nil {
		s.NoLog = err.Error()
	}
	s.ID, s.Target = id, t
	s.Mode, s.Account = s.owner()
	s.Attempts, s.Untraced = attemptsOf(s.Record, s.Log)
	if err := s.addWritten(ctx); err != nil {
		return s, err
	}
	if err := s.addChanges(ctx, reader, from, now); err != nil {
		return s, err
	}
	s.Moments = s.moments(now)
	return s, nil
}

func (s *Story) logSpan(now time.Time, longer time.Duration) (from, until time.Time) {
	if !s.Known {
		return now.Add(-24 * time.Hour), now
	}
	r := s.Record
	from = r.FirstAt
	if created := time.Unix(r.Created, 0); r.Created > 0 && (from.IsZero() || created.Before(from)) {
		from = created
	}
	if earliest := r.FirstAt.Add(-logRetries); from.Before(earliest) {
		from = earliest // an old event of a backfill
	}
	if until = r.Updated.Add(logAfter + longer); until.After(now) || s.Target.Local {
		until = now
	}
	return from.Add(-logBefore).UTC(), until.UTC()
}

// owner returns the mode and the account in the keys of what the event wrote.
func (s *Story) owner() (mode, account string) {
	for _, key := range s.Record.Effects {
		if mode, account = dispatch.OwnerOf(key); mode != "" {
			return mode, account
		}
	}
	return "", ""
}

// addWritten sorts what the event wrote into items and messages.
func (s *Story) addWritten(ctx context.Context) error {
	s.Written, s.Messages = []Written{}, []Message{}
	for _, fields := range s.Effects {
		key, _ := fields["pk"].(string)
		missing := fields["missing"] == true
		if dispatch.IsMessageKey(key) && !missing {
			m, err := s.message(ctx, key, fields)
			if err != nil {
				return err
			}
			s.Messages = append(s.Messages, m)
			continue
		}
		w := Written{Key: key, Fields: fields, Missing: missing, Before: "it existed: what it was is not stored"}
		version, versioned := fields["ver"].(int64)
		last, _ := fields["event_id"].(string)
		switch {
		case missing:
			w.Before = "unknown"
		case !versioned || version == 1:
			w.Before = "nothing: this event made it"
		}
		if last != "" && last != s.ID {
			w.Since = last
			if versioned {
				w.Before = "unknown: a later event changed it"
			}
		}
		s.Written = append(s.Written, w)
	}
	return nil
}

func (s *Story) message(ctx context.Context, key string, fields map[string]any) (Message, error) {
	text := func(name string) string { v, _ := fields[name].(string); return v }
	at := func(name string) (t time.Time) {
		if ms, ok := fields[name].(int64); ok {
			t = time.UnixMilli(ms).UTC()
		}
		return t
	}
	m := Message{
		Key: key, Name: text("name"), To: text("to"), Held: text(dispatch.MessageHeld),
		Queued: at(dispatch.MessageQueued), Released: at("released_at"), Sent: at("sent_at"), Deliveries: []Sending{},
	}
	switch list := text(dispatch.ListName); {
	case dispatch.IsHeldList(list):
		m.Waits = "held"
	case m.Sent.IsZero():
		m.Waits = "unsent"
	}
	if s.Target.SendDLQURL == "" || m.Sent.IsZero() {
		return m, nil
	}
	sending, err := s.Target.Sending(ctx)
	if err != nil {
		return m, err
	}
	rows, err := dynamostore.NewDeliveries(dynamodb.NewFromConfig(s.Target.AWS), s.Target.Table, dynamostore.Options{Limits: s.Target.Limits()})
	if err != nil {
		return m, err
	}
	for _, d := range sending.Destinations.Matching(m.Name, s.Mode == event.Mode(true), strings.TrimPrefix(s.Account, "-")) {
		row, found, err := rows.Row(ctx, delivery.Job{Message: key, Destination: d.Name})
		if err != nil {
			return m, err
		}
		to := Sending{Destination: d.Name, Status: row.Status, Attempts: row.Attempt, Next: row.Next}
		if n := len(row.History); found && n > 0 {
			to.Error = row.History[n-1].Err
		}
		m.Deliveries = append(m.Deliveries, to)
	}
	return m, nil
}

// addChanges adds the operators' changes that name the event or one of its messages, and those
// redrives and purges whose filter fits it. Dead letters are not named in the audit trail.
func (s *Story) addChanges(ctx context.Context, reader *dynamostore.Reader, from, until time.Time) error {
	s.Changes = []Change{}
	if !s.Known {
		from = until.Add(-24 * time.Hour)
	} else if end := s.Record.Updated.Add(24 * time.Hour); !s.Record.DoneAt.IsZero() && end.Before(until) {
		until = end // each day is a query
	}
	if oldest := until.Add(-maxAudit); from.Before(oldest) {
		from = oldest
	}
	entries, _, err := reader.Audit(ctx, dynamostore.AuditRequest{Since: from, Until: until.Add(time.Minute), Limit: maxChanges})
	if err != nil {
		return err
	}
	slices.Reverse(entries)
	for _, e := range entries {
		named := slices.ContainsFunc(strings.FieldsFunc(e.Detail, func(r rune) bool { return strings.ContainsRune(" ,;:()", r) }),
			func(word string) bool { return word == s.ID || slices.Contains(s.Record.Effects, word) })
		maybe := !named && s.Known && (e.Verb == "redrive" || e.Verb == "dlq purge") && s.mayBeOf(e)
		if named || maybe {
			s.Changes = append(s.Changes, Change{e, maybe})
		}
	}
	return nil
}

// mayBeOf reports whether the filter of a redrive or purge, as its audit entry has it, fits the event.
func (s *Story) mayBeOf(e dynamostore.AuditEntry) bool {
	if s.Record.FirstAt.After(e.StartedAt) || !s.Record.DoneAt.IsZero() && s.Record.DoneAt.Before(e.StartedAt) {
		return false
	}
	filter, _, _ := strings.Cut(e.Detail, ";")
	for word := range strings.SplitSeq(filter, ", ") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), " ")
		switch name {
		case "type":
			if !event.MatchType(value, s.Record.Type) {
				return false
			}
		case "error":
			if known := s.fingerprints(); len(known) > 0 && !slices.Contains(known, value) {
				return false
			}
		case "account":
			if s.Account != "" && s.Account != value {
				return false
			}
		case "id":
			return false // of another event, or of a message
		}
	}
	return true
}

func (s *Story) fingerprints() (all []string) {
	for _, a := range s.Attempts {
		if a.Fingerprint != "" {
			all = append(all, a.Fingerprint)
		}
	}
	return all
}

// fingerprint is that of a failure with this text, "" without one.
func fingerprint(typ, reason, text string) string {
	if text == "" {
		return ""
	}
	return queue.Fingerprint(typ, reason, text)
}

// StripeURL returns the page of an event or object in Stripe's Dashboard, of a mode ("live" or
// "test") and an account ("-" for the one that is signed in).
func StripeURL(mode, account, path string) string {
	url := "https://dashboard.stripe.com/"
	if account != "" && account != "-" {
		url += account + "/"
	}
	if mode == event.Mode(false) {
		url += "test/"
	}
	return url + path
}
