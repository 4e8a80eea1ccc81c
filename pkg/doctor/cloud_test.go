package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/outbox"
)

type lambda struct {
	functions map[string]Function
	mappings  []Mapping
	account   Account
	err       error
	denied    error // of the account
}

func (l lambda) Function(_ context.Context, name string) (Function, error) {
	f, ok := l.functions[name]
	if !ok {
		return f, errDenied
	}
	return f, nil
}
func (l lambda) Account(context.Context) (Account, error)    { return l.account, l.denied }
func (l lambda) Mappings(context.Context) ([]Mapping, error) { return l.mappings, l.err }

const consumerARN = "arn:aws:lambda:eu-central-1:1:function:tollgate-live-consumer"

func goodLambda() lambda {
	f := Function{Name: "f", State: "Active", Update: "Successful", Reserved: 50, Version: "v1"}
	ingest, consumer, reconcile := f, f, f
	ingest.Timeout, consumer.Timeout, reconcile.Timeout, reconcile.Reserved = 5*time.Second, 30*time.Second, 15*time.Minute, 3
	return lambda{
		account:   Account{Limit: 1000, Unreserved: 800},
		functions: map[string]Function{"tollgate-live-ingest": ingest, "tollgate-live-consumer": consumer, "tollgate-live-reconcile": reconcile},
		mappings:  []Mapping{{ID: "u-1", State: "Enabled", Function: consumerARN, PartialBatches: true, MaxConcurrency: 50, BatchSize: 10}},
	}
}

// TestTimeoutIsSetWhereCallersSeeIt: an alias invokes a published version, which no command changes.
func TestTimeoutIsSetWhereCallersSeeIt(t *testing.T) {
	for released, want := range map[bool]string{false: "aws lambda update-function-configuration --function-name f --timeout 30", true: redeploy} {
		got := function("function f", Function{Name: "f", Reserved: 1, Timeout: time.Minute, Released: released}, 30*time.Second, 1)
		if len(got) != 1 || got[0].Fix != want {
			t.Errorf("released %t: %+v, want %q", released, got, want)
		}
	}
}

func TestFunctions(t *testing.T) {
	healthy(t, CheckFunctions(goodLambda(), "tollgate-live", target()))
	consumer := func(change func(*Function)) func(*lambda) {
		return func(l *lambda) {
			f := l.functions["tollgate-live-consumer"]
			change(&f)
			l.functions["tollgate-live-consumer"] = f
		}
	}
	mapping := func(change func(*Mapping)) func(*lambda) { return func(l *lambda) { change(&l.mappings[0]) } }
	for name, c := range map[string]struct {
		spoil func(*lambda)
		want  want
	}{
		"no such function":              {func(l *lambda) { delete(l.functions, "tollgate-live-ingest") }, want{"function ingest", Warn, "could not be checked"}},
		"a broken function":             {consumer(func(f *Function) { f.State = "Failed" }), want{"function consumer", Fail, "Failed"}},
		"a broken deployment":           {consumer(func(f *Function) { f.Update = "Failed" }), want{"function consumer", Fail, "deployment"}},
		"switched off":                  {consumer(func(f *Function) { f.Reserved = 0 }), want{"function consumer", Fail, "switched off"}},
		"another timeout":               {consumer(func(f *Function) { f.Timeout = time.Minute }), want{"function consumer", Warn, "1m0s"}},
		"no mapping":                    {func(l *lambda) { l.mappings = nil }, want{"trigger", Fail, "no event source mapping"}},
		"two mappings":                  {func(l *lambda) { l.mappings = append(l.mappings, l.mappings[0]) }, want{"trigger", Fail, "2 mappings"}},
		"another function":              {mapping(func(m *Mapping) { m.Function = consumerARN + "-old" }), want{"trigger", Fail, "-old"}},
		"disabled":                      {mapping(func(m *Mapping) { m.State = "Disabled" }), want{"trigger", Fail, "disabled"}},
		"failures count as done":        {mapping(func(m *Mapping) { m.PartialBatches = false }), want{"trigger", Fail, "lost"}},
		"no bound":                      {mapping(func(m *Mapping) { m.MaxConcurrency = 0 }), want{"trigger", Warn, "throttled"}},
		"a bound over what is reserved": {mapping(func(m *Mapping) { m.MaxConcurrency = 51 }), want{"trigger", Fail, "51 consumers with 50"}},
		"other batches":                 {mapping(func(m *Mapping) { m.BatchSize = 100 }), want{"trigger", Warn, "100"}},
		"a version":                     {mapping(func(m *Mapping) { m.Function += ":7" }), want{"trigger", OK, "version 7"}},
		"not the alias":                 {func(l *lambda) { consumer(func(f *Function) { f.Released = true })(l); l.mappings[0].Function += ":7" }, want{"trigger", Fail, "version 7, not to the alias live"}},
		"the alias": {func(l *lambda) {
			consumer(func(f *Function) { f.Released = true })(l)
			l.mappings[0].Function += ":live"
		}, want{"trigger", OK, "version live"}},
		"mappings unknown": {func(l *lambda) { l.err = errDenied }, want{"trigger", Warn, "could not be checked"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := goodLambda()
			c.spoil(&l)
			has(t, CheckFunctions(l, "tollgate-live", target()), c.want)
		})
	}
}

// TestConcurrency: Lambda keeps 100 unreserved, so one stage of 103 takes 203 and two take 306.
func TestConcurrency(t *testing.T) {
	of := func(limit, unreserved int, reserved ...int) Check {
		l := goodLambda()
		l.account = Account{limit, unreserved}
		for i, name := range []string{"ingest", "consumer", "reconcile"} {
			f := l.functions["tollgate-live-"+name]
			f.Reserved = reserved[i]
			l.functions["tollgate-live-"+name] = f
		}
		return CheckFunctions(l, "tollgate-live", target())
	}
	has(t, of(203, 100, 50, 50, 3), want{"concurrency", OK, "103 of the account's 203 reserved, 0 by others, 100 left"})
	has(t, of(202, 99, 50, 50, 3), want{"concurrency", Fail, "limit is 202, and it takes 203 to reserve 103"})
	has(t, of(10, 10, -1, -1, -1), want{"concurrency", Fail, "limit is 10, and it takes 203"})
	has(t, of(305, 202, -1, -1, -1), want{"concurrency", Fail, "limit is 305, and it takes 306 to reserve 103 for this stage, next to 103 that others reserve"})
	has(t, of(306, 203, -1, -1, -1), want{"concurrency", Warn, "3 functions reserve none"})
	has(t, of(306, 106, 50, 50, -1), want{"concurrency", Warn, "1 functions reserve none"})
	l := goodLambda()
	l.denied = errDenied
	has(t, CheckFunctions(l, "tollgate-live", target()), want{"concurrency", Warn, "could not be checked"})
}

func TestVersion(t *testing.T) {
	of := func(own string, deployed ...string) Check {
		l := goodLambda()
		for i, name := range []string{"ingest", "consumer", "reconcile"} {
			f := l.functions["tollgate-live-"+name]
			f.Version = deployed[i]
			l.functions["tollgate-live-"+name] = f
		}
		s := target()
		s.Version = own
		return CheckFunctions(l, "tollgate-live", s)
	}
	has(t, of("v2", "v2", "v2", "v2"), want{"version", OK, "v2, as this command"})
	has(t, of("v2", "v1", "v1", "v1"), want{"version", Fail, "deployed is v1, this command is v2"})
	has(t, of("v2", "v1", "v2", "v2"), want{"version", Fail, "different versions: ingest v1, consumer and reconcile v2"})
	has(t, of("dev", "v1", "v2", "v2"), want{"version", Fail, "different versions"})
	has(t, of("dev", "v1", "v1", "v1"), want{"version", Warn, "deployed is v1, this command is dev"})
	has(t, of("v1", "", "", ""), want{"version", Warn, "deployed is dev, this command is v1"})
	has(t, CheckFunctions(lambda{}, "tollgate-live", target()), want{"version", Warn, "no function was read"})
}

// watch is alarms, and the subscriptions of their topic.
type watch struct {
	list               []Alarm
	confirmed, pending int
	err, topicErr      error
}

func (w watch) Alarms(context.Context, string) ([]Alarm, error) { return w.list, w.err }
func (w watch) Subscribers(context.Context, string) (int, int, error) {
	return w.confirmed, w.pending, w.topicErr
}

func TestAlarms(t *testing.T) {
	topic := []string{"arn:aws:sns:eu-central-1:1:alarms"}
	good := func(more ...Alarm) watch {
		all := []Alarm{{"page-ingest-errors", "", "OK", true, topic}, {"dead-letters", "", "INSUFFICIENT_DATA", true, topic}, {"silence", "", "OK", true, append(topic, "arn:aws:lambda:r:1:function:f")}}
		return watch{list: append(all, more...), confirmed: 1}
	}
	healthy(t, CheckAlarms(good(), "tollgate-live"))
	for name, c := range map[string]struct {
		watch watch
		want  want
	}{
		"none":            {watch{}, want{"alarms", Fail, "no alarm ingest-errors"}},
		"no topic":        {watch{}, want{"alarm topic", Fail, "no alarm has a topic"}},
		"it rings":        {good(Alarm{"page-queue-age", "", "ALARM", true, topic}), want{"alarms", Fail, "page-queue-age is in ALARM"}},
		"silenced":        {good(Alarm{"queue-age", "", "OK", false, topic}), want{"alarms", Fail, "actions disabled"}},
		"unheard":         {good(Alarm{"queue-age", "", "OK", true, nil}), want{"alarms", Fail, "has no action"}},
		"denied":          {watch{err: errDenied}, want{"alarms", Warn, "could not be checked"}},
		"topic denied":    {watch{err: errDenied}, want{"alarm topic", Warn, "could not be checked"}},
		"no subscriber":   {watch{list: good().list}, want{"alarm topic", Fail, "has no subscription"}},
		"unconfirmed":     {watch{list: good().list, pending: 1}, want{"alarm topic", Fail, "no confirmed subscription, and 1 wait"}},
		"one of two":      {watch{list: good().list, confirmed: 1, pending: 1}, want{"alarm topic", OK, "1 confirmed"}},
		"topic is gone":   {watch{list: good().list, topicErr: fmt.Errorf("%w: NotFound", ErrMissing)}, want{"alarm topic", Fail, "does not exist"}},
		"topic is secret": {watch{list: good().list, topicErr: errDenied}, want{"alarm topic", Warn, "could not be checked"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, CheckAlarms(c.watch, "tollgate-live"), c.want) })
	}
	if shared := CheckAlarms(good(Alarm{"page-secret-mismatch-connect", "secret-mismatch", "ALARM", true, topic}), "tollgate-live")(t.Context()); shared[0].Fix != "see infra/README.md#alarm-secret-mismatch" {
		t.Errorf("%+v", shared)
	}
	for _, name := range []string{"page-queue-age", "ticket-queue-age", "queue-age"} { // earlier releases name no severity
		ringing := CheckAlarms(good(Alarm{name, "", "ALARM", true, topic}), "tollgate-live")(t.Context())
		if ringing[0].Fix != "see infra/README.md#alarm-queue-age" {
			t.Errorf("%s: %+v", name, ringing)
		}
	}
}

func TestSchedule(t *testing.T) {
	all := func() []Rule {
		return []Rule{{"q", true, []string{"quarter"}}, {"n", true, []string{"nightly"}}, {"w", true, []string{"weekly"}}, {"o", true, []string{"outbox"}}, {"v", true, []string{"verify"}}}
	}
	of := func(list []Rule, err error) Check {
		return CheckSchedule(func(context.Context) ([]Rule, error) { return list, err })
	}
	healthy(t, of(all(), nil))
	off := all()
	off[3].Enabled = false
	has(t, of(off, nil), want{"schedule", Fail, "the rule o is disabled"})
	has(t, of(all()[1:], nil), want{"schedule", Fail, "no rule starts the task quarter"})
	has(t, of(nil, errDenied), want{"schedule", Warn, "could not be checked"})
}

func TestOutbox(t *testing.T) {
	of := func(more bool, err error, ages ...time.Duration) Check {
		var list []outbox.Message
		for _, age := range ages {
			list = append(list, outbox.Message{Queued: now.Add(-age)})
		}
		return CheckOutbox(func(context.Context) ([]outbox.Message, bool, error) { return list, more, err }, target(), clock)
	}
	healthy(t, of(false, nil))
	healthy(t, of(false, nil, 14*time.Minute))
	has(t, of(false, nil, time.Hour, time.Minute, 16*time.Minute), want{"outbox", Fail, "2 messages wait for over 15m0s to be sent, the oldest for 1h0m0s"})
	has(t, of(true, nil, time.Minute), want{"outbox", Warn, "over 1 messages"})
	has(t, of(false, errDenied), want{"outbox", Warn, "could not be checked"})
}

func TestSources(t *testing.T) {
	const stripes = `{"WEBHOOKS":["3.18.12.63","3.130.192.231","13.235.14.237"]}`
	of := func(published string, allowed ...string) Check {
		var list []netip.Prefix
		for _, a := range allowed {
			list = append(list, netip.MustParsePrefix(a))
		}
		var ips []netip.Prefix
		if published != "" {
			var err error
			if ips, err = ParsePublished([]byte(published)); err != nil {
				t.Fatal(err)
			}
		}
		return CheckSources(func(context.Context) ([]netip.Prefix, error) { return list, nil }, ips)
	}
	healthy(t, of(stripes, "3.18.12.63/32", "3.130.192.231/32", "13.235.14.237/32"))
	healthy(t, of(stripes, "3.18.12.63/32", "3.130.0.0/16", "13.235.14.237/32"))
	has(t, of(stripes), want{"allowed addresses", OK, "nothing is filtered"})
	has(t, of("", "3.18.12.63/32"), want{"allowed addresses", Skipped, "--published-ips"})
	has(t, of("3.18.12.63\n3.130.192.231\r\n", "3.18.12.63/32", "10.0.0.0/8", "2001:db8::1/128"),
		want{"allowed addresses", Fail, "from 3.130.192.231, and they are refused"}, want{"allowed addresses", Warn, "not deliver from 10.0.0.0/8, 2001:db8::1"})
	has(t, of("10.0.0.0/8", "10.0.0.0/16"), want{"allowed addresses", Fail, "from 10.0.0.0/8"})
	for _, err := range []error{errDenied, fmt.Errorf("%w: half", ErrConfiguration)} {
		status := map[bool]Status{true: Warn, false: Fail}[errors.Is(err, errDenied)]
		has(t, CheckSources(func(context.Context) ([]netip.Prefix, error) { return nil, err }, nil), want{"allowed addresses", status, ""})
	}
	for _, bad := range []string{"", " \n", "{", "{}", `{"API":["3.18.12.63"]}`, `{"WEBHOOKS":[]}`, `{"WEBHOOKS":"3.18.12.63"}`, `["3.18.12.63"]`, `{"WEBHOOKS":["fe80::1%eth0"]}`, "<html>404", "3.18.12.63,3.18.12.64", "3.18.12.999"} {
		if list, err := ParsePublished([]byte(bad)); err == nil || !strings.Contains(err.Error(), "ips_webhooks") && !strings.Contains(err.Error(), "WEBHOOKS") {
			t.Errorf("%q: %v, %v", bad, list, err)
		}
	}
}

// FuzzParsePublished: what is read is canonical, and reads the same again.
func FuzzParsePublished(f *testing.F) {
	for _, seed := range []string{`{"WEBHOOKS":["3.18.12.63"]}`, "3.18.12.63\n::ffff:1.2.3.4", "10.1.2.3/8", "{", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := ParsePublished(raw)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%v with %v", list, err)
		}
		var text strings.Builder
		for _, p := range list {
			text.WriteString(p.String() + "\n")
		}
		if again, err := ParsePublished([]byte(text.String())); len(list) > 0 && (err != nil || !slices.Equal(again, list)) {
			t.Fatalf("%v reads as %v, %v", list, again, err)
		}
	})
}

func TestHistory(t *testing.T) {
	of := func(used *NamedTable, err error, others ...NamedTable) Check {
		return CheckHistory(func(context.Context) (*NamedTable, []NamedTable, error) { return used, others, err })
	}
	own := &NamedTable{"tollgate-live-Table-B", now}
	healthy(t, of(own, nil))
	healthy(t, of(own, nil, NamedTable{"tollgate-live-restored", now.Add(time.Hour)}))
	has(t, of(nil, nil), want{"table history", Skipped, "not made by the stack"})
	has(t, of(own, nil, NamedTable{"tollgate-live-Table-A", now.Add(-time.Hour)}), want{"table history", Fail, "tollgate-live-Table-A is older"})
	has(t, of(nil, errDenied), want{"table history", Warn, "could not be checked"})
}
