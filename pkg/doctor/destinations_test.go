package doctor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
)

func TestDestinations(t *testing.T) {
	const hook = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDQUJDREVGR0g="
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	attributes := func(change map[string]string) Queue {
		return Queue{"https://sqs.test/1/q", func(context.Context) (map[string]string, error) {
			all := map[string]string{
				"VisibilityTimeout": "360", "MessageRetentionPeriod": "864000", "QueueArn": "arn:aws:sqs:r:1:dead",
				"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:r:1:dead","maxReceiveCount":1000}`,
			}
			for name, v := range change {
				all[name] = v
			}
			return all, nil
		}}
	}
	unread := queue(nil, errDenied)
	gone := queue(nil, fmt.Errorf("%w: no queue", ErrMissing))
	type given struct {
		err         error // of the configuration
		secret      string
		secretErr   error
		state       delivery.State
		stateErr    error
		queue, dead Queue
		sender      Function
	}
	check := func(change func(*given)) Check {
		g := given{secret: hook, queue: attributes(nil), dead: attributes(nil), sender: Function{State: "Active", Timeout: time.Minute, Reserved: 2}}
		change(&g)
		to := Sending{
			Destinations: destination.Set{"crm": {Name: "crm", Group: "hooks", Type: destination.HTTP, Secret: "tollgate/crm"}},
			Queue:        func(string) Queue { return g.queue }, Dead: g.dead,
			Sender: func(context.Context) (Function, error) { return g.sender, nil },
		}
		return CheckDestinations(func(context.Context) (Sending, error) { return to, g.err },
			func(context.Context, string) (string, bool, error) { return g.secret, g.secret != "", g.secretErr },
			func(context.Context, string) (delivery.State, error) { return g.state, g.stateErr },
			Target{Limits: limits.AWS()}, func() time.Time { return now })
	}
	healthy(t, check(func(*given) {}))
	healthy(t, check(func(g *given) { g.state.Since = now.Add(-59 * time.Minute) }))
	healthy(t, check(func(g *given) { g.secret = hook + " " + hook }))
	for _, c := range []struct {
		change func(*given)
		want   want
	}{
		{func(g *given) { g.err = fmt.Errorf("%w: no JSON", ErrConfiguration) }, want{"destinations", Fail, "no JSON"}},
		{func(g *given) { g.err = errDenied }, want{"destinations", Warn, "could not be checked"}},
		{func(g *given) { g.secret = "" }, want{"destinations", Fail, "crm has no secret tollgate/crm"}},
		{func(g *given) { g.secret = "SENSITIVE" }, want{"destinations", Fail, "the secret of crm is not usable: parse key 1"}},
		{func(g *given) { g.secret = "whpk_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" }, want{"destinations", Fail, "not usable: a public key"}},
		{func(g *given) { g.secretErr = errDenied }, want{"destinations", Warn, "the secret of crm is not known"}},
		{func(g *given) { g.state = delivery.State{Off: now, Why: "status 410"} }, want{"destinations", Fail, "crm is disabled since 2026-11-28T12:00:00Z: status 410"}},
		{func(g *given) { g.state = delivery.State{Paused: now.Add(-time.Hour), PausedBy: "ann"} }, want{"destinations", Warn, "crm is paused for 1h0m0s by ann"}},
		{func(g *given) { g.state = delivery.State{Paused: now.Add(-7 * 24 * time.Hour), PausedBy: "ann"} }, want{"destinations", Fail, "crm is paused for 168h0m0s by ann: its queue deletes jobs after 240h0m0s"}},
		{func(g *given) { g.state.Since = now.Add(-time.Hour) }, want{"destinations", Fail, "crm accepts nothing since 2026-11-28T11:00:00Z"}},
		{func(g *given) { g.stateErr = errors.New("throttled") }, want{"destinations", Warn, "the state of crm is not known: throttled"}},
		{func(g *given) { g.queue = gone }, want{"queues of deliveries", Fail, "group hooks: it does not exist"}},
		{func(g *given) { g.queue = unread }, want{"queues of deliveries", Warn, "group hooks: could not be checked: AccessDenied"}},
		{func(g *given) { g.dead = unread }, want{"queues of deliveries", Warn, "could not be checked: AccessDenied"}},
		{func(g *given) { g.queue = attributes(map[string]string{"VisibilityTimeout": "359"}) }, want{"queues of deliveries", Warn, "5m59s, want 6m0s"}},
		{func(g *given) { g.queue = attributes(map[string]string{"MessageRetentionPeriod": "345600"}) }, want{"queues of deliveries", Fail, "retention is 96h0m0s"}},
		{func(g *given) { g.queue = attributes(map[string]string{"RedrivePolicy": ""}) }, want{"queues of deliveries", Fail, "no dead-letter queue"}},
		{func(g *given) { g.dead = attributes(map[string]string{"ApproximateNumberOfMessages": "2"}) }, want{"queues of deliveries", Fail, "2 dead deliveries"}},
		{func(g *given) { g.sender.Reserved = 0 }, want{"function sender", Fail, "switched off"}},
	} {
		has(t, check(c.change), c.want)
	}
	none := CheckDestinations(func(context.Context) (Sending, error) { return Sending{}, nil }, nil, nil, Target{}, nil)
	has(t, none, want{"destinations", Skipped, "none is configured"})
}
