package doctor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tollgate/pkg/pause"
)

type switchOf struct {
	state   pause.State
	err     error
	mapping string
}

func (s switchOf) Pauses(context.Context) (pause.State, error) { return s.state, s.err }
func (s switchOf) Mapping(context.Context) (string, error)     { return s.mapping, nil }

func TestCheckPauses(t *testing.T) {
	attributes := map[string]string{"MessageRetentionPeriod": "1209600", "SqsManagedSseEnabled": "true"}
	queue := func(more ...string) Queue {
		all := map[string]string{}
		for name, value := range attributes {
			all[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return Queue{URL: "http://hold", Read: func(context.Context) (map[string]string, error) { return all, nil }}
	}
	paused := func(name string, since time.Duration) pause.State {
		return pause.State{Paused: map[string]pause.Mark{name: {At: now.Add(-since), By: "ann", Why: "tax is down"}}}
	}
	resumed := func(name string, since time.Duration) pause.State {
		return pause.State{Resuming: map[string]pause.Span{name: {From: now.Add(-time.Hour), Until: now.Add(-since), By: "ann"}}}
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		hold Queue
		s    switchOf
		want want
	}{
		"nothing":                      {queue(), switchOf{}, want{"pauses", OK, "nothing is paused"}},
		"a type":                       {queue("ApproximateNumberOfMessages", "7"), switchOf{state: paused("invoice.paid", time.Hour)}, want{"pauses", Warn, "invoice.paid is paused for 1h0m0s by ann (tax is down)"}},
		"a type, just before ten days": {queue(), switchOf{state: paused("invoice.paid", 10*day-1)}, want{"pauses", Warn, "invoice.paid"}},
		"a type for ten days":          {queue(), switchOf{state: paused("invoice.paid", 10*day)}, want{"pauses", Fail, "deleted after 336h"}},
		"everything":                   {queue(), switchOf{state: paused("*", time.Hour), mapping: "Disabled"}, want{"pauses", Warn, "everything is paused for 1h0m0s"}},
		"everything, and it runs":      {queue(), switchOf{state: paused("*", time.Hour), mapping: "Enabled"}, want{"pauses", Fail, "and the consumer runs"}},
		"everything for two days":      {queue(), switchOf{state: paused("*", 2*day), mapping: "Disabled"}, want{"pauses", Fail, "the queue deletes events after 96h"}},
		"a resume that runs":           {queue("ApproximateNumberOfMessages", "7"), switchOf{state: resumed("invoice.paid", time.Minute)}, want{"pauses", Warn, "being resumed by ann"}},
		"a resume that ended early":    {queue(), switchOf{state: resumed("invoice.paid", time.Hour)}, want{"pauses", Fail, "is being resumed for 1h0m0s"}},
		"of everything":                {queue(), switchOf{state: resumed("*", time.Hour)}, want{"pauses", Fail, "everything is being resumed"}},
		"events of no pause":           {queue("ApproximateNumberOfMessagesNotVisible", "2"), switchOf{}, want{"pauses", Fail, "2 events are held, and no type is paused"}},
		"events of no type's pause":    {queue("ApproximateNumberOfMessages", "2"), switchOf{state: paused("*", 1), mapping: "Disabled"}, want{"pauses", Fail, "2 events are held"}},
		"a newer switch":               {queue(), switchOf{err: fmt.Errorf("%w: form 2", pause.ErrUnreadable)}, want{"pauses", Fail, "handles nothing"}},
		"no right":                     {queue(), switchOf{err: errDenied}, want{"pauses", Warn, "could not be checked"}},
		"a shorter retention":          {queue("MessageRetentionPeriod", "345600"), switchOf{}, want{"hold queue", Fail, "kept for 96h0m0s, want 336h0m0s"}},
		"a redrive policy":             {queue("RedrivePolicy", "{}"), switchOf{}, want{"hold queue", Fail, "redrive policy"}},
		"without encryption":           {queue("SqsManagedSseEnabled", "false"), switchOf{}, want{"hold queue", Warn, "not encrypted"}},
		"no queue":                     {Queue{Read: func(context.Context) (map[string]string, error) { return nil, ErrMissing }}, switchOf{}, want{"hold queue", Fail, "does not exist"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, CheckPauses(c.hold, c.s, target(), clock), c.want) })
	}
	healthy(t, CheckPauses(queue(), switchOf{mapping: "Disabled"}, target(), clock)) // the trigger's finding
	local := target()
	local.Local = true
	has(t, CheckPauses(queue(), switchOf{mapping: "Disabled"}, local, clock), want{"pauses", Fail, "is disabled, and nothing is paused"})
	has(t, CheckPauses(queue(), switchOf{state: paused("*", time.Hour), mapping: "Disabled"}, local, clock), want{"pauses", Warn, "everything is paused"})
	healthy(t, CheckPauses(queue(), switchOf{mapping: "Enabled"}, local, clock))
}
