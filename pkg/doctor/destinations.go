package doctor

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
	"tollgate/pkg/stdwebhooks"
)

// Sending is where messages are sent, as the target's functions are configured.
type Sending struct {
	Destinations destination.Set
	Queue        func(group string) Queue
	Dead         Queue
	Sender       func(ctx context.Context) (Function, error) // nil where it is no Lambda function
}

// CheckDestinations checks the configuration of destinations, which read returns, their secrets
// and queues, and whether one is disabled or fails. No secret's value is shown; with s nil none is read.
// The error of read wraps [ErrConfiguration] when functions have a wrong one.
func CheckDestinations(read func(context.Context) (Sending, error), s Secrets,
	state func(ctx context.Context, destination string) (delivery.State, error), site Target, now func() time.Time) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "destinations"}
		to, err := read(ctx)
		switch {
		case errors.Is(err, ErrConfiguration):
			return f.fail(redeploy, "%v", err)
		case err != nil:
			return unknown(f.name, err, "lambda:GetFunctionConfiguration")
		case len(to.Destinations) == 0:
			return []Finding{{f.name, Skipped, "none is configured: messages are only logged", ""}}
		}
		for _, name := range slices.Sorted(maps.Keys(to.Destinations)) {
			if d := to.Destinations[name]; d.Type == destination.HTTP && s != nil {
				signs(ctx, &f, d, s)
			}
			current, err := state(ctx, name)
			condition(&f, name, current, err, now(), site.Limits.SendQueue().Retention)
		}
		all := f.or("%d, with usable secrets, none disabled or down", len(to.Destinations))
		all = append(all, sendQueues(ctx, to, site)...)
		if to.Sender == nil {
			return all
		}
		sender, err := to.Sender(ctx)
		if err != nil {
			return append(all, unknown("function sender", err, readFunction)...)
		}
		return append(all, function("function sender", sender, site.Limits.Sender.Timeout, leastSenders)...)
	}
}

// leastSenders is what the stack reserves for a sender at least.
const leastSenders = 2

// signs reports a secret that cannot sign.
func signs(ctx context.Context, f *findings, d destination.Destination, s Secrets) {
	const do = "store a secret of the form whsec_… under this name, the same that the receiver has"
	text, there, err := s(ctx, d.Secret)
	if err != nil {
		f.warn("these credentials need secretsmanager:GetSecretValue", "the secret of %s is not known: %v", d.Name, err)
		return
	}
	if !there {
		f.fail(do, "%s has no secret %s: nothing can be signed", d.Name, d.Secret)
		return
	}
	keys, err := stdwebhooks.Parse(text)
	if err == nil {
		err = keys.Sign(http.Header{}, stdwebhooks.Message{ID: "msg_doctor", At: time.Now()})
	}
	if err != nil {
		f.fail(do, "the secret of %s is not usable: %v", d.Name, err)
	}
}

// condition: kept is how long a queue keeps the jobs of a destination that is paused.
func condition(f *findings, name string, s delivery.State, err error, now time.Time, kept time.Duration) {
	switch {
	case err != nil:
		f.warn("these credentials need dynamodb:GetItem", "the state of %s is not known: %v", name, err)
	case !s.Off.IsZero():
		f.fail("tollgate destination show "+name+", and after the fix tollgate destination enable "+name, "%s is disabled since %s: %s", name, s.Off.UTC().Format(time.RFC3339), s.Why)
	case !s.Paused.IsZero():
		do, age := "tollgate deliveries resume "+name, now.Sub(s.Paused)
		if age >= kept*7/10 {
			f.fail(do+", now", "%s is paused for %s by %s: its queue deletes jobs after %s", name, age.Round(time.Minute), s.PausedBy, kept)
			return
		}
		f.warn(do, "%s is paused for %s by %s", name, age.Round(time.Second), s.PausedBy)
	case !s.Since.IsZero() && now.Sub(s.Since) >= limits.DestinationDownAfter:
		f.fail("tollgate destination show "+name+"; see infra/README.md#alarm-destination-down", "%s accepts nothing since %s", name, s.Since.UTC().Format(time.RFC3339))
	}
}

// sendQueues checks each group's queue and counts the dead letters.
func sendQueues(ctx context.Context, to Sending, site Target) []Finding {
	f, l := findings{name: "queues of deliveries"}, site.Limits
	q := l.SendQueue()
	l.MaxReceives = q.MaxReceives // for redrivePolicy
	dead, err := to.Dead.Read(ctx)
	if err != nil {
		return unknown(f.name, err, readQueue)
	}
	for _, group := range slices.Sorted(maps.Keys(to.Destinations.Groups())) {
		queue := to.Queue(group)
		is, err := queue.Read(ctx)
		if err != nil {
			for _, u := range unknown(f.name, err, readQueue) {
				f.add(u.Status, u.Fix, "group %s: %s", group, u.Detail)
			}
			continue
		}
		if got, want := attributeSeconds(is, "VisibilityTimeout"), scaled(q.Visibility, l); got < want {
			f.warn(queue.setTime("VisibilityTimeout", want), "group %s: visibility timeout is %s, want %s", group, got, want)
		}
		if got, want := attributeSeconds(is, "MessageRetentionPeriod"), scaled(q.Retention, l); got < want {
			f.fail(queue.setTime("MessageRetentionPeriod", want), "group %s: message retention is %s, want %s: deliveries are lost before their retries end", group, got, want)
		}
		redrivePolicy(&f, queue, is["RedrivePolicy"], dead["QueueArn"], l)
	}
	if n := letters(dead); n > 0 {
		f.fail("tollgate destination list, and after the fix tollgate destination redrive NAME", "%d dead deliveries", n)
	}
	return f.or("%d, no dead deliveries", len(to.Destinations.Groups()))
}
