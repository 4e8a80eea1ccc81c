package alarmtest

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/local/localtest"
)

// lines runs the real functions through everything that an alarm watches, and returns what each
// counts by a name of it.
func lines(t *testing.T) map[string][]datum {
	s, all := newSystem(t), map[string][]datum{}
	note := func(what string, step func()) {
		t.Helper()
		if all[what] = s.during(step); len(all[what]) == 0 {
			t.Errorf("%s counts nothing", what)
		}
	}
	s.deliveries(note)
	s.messages(note)
	s.passes(note)
	s.jobs(note)
	return all
}

func (s *system) deliveries(note func(string, func())) {
	answers := func(want int, r request) func() {
		return func() {
			if got := s.deliver(r); got != want {
				s.t.Errorf("%+v: %d, want %d", r, got, want)
			}
		}
	}
	note("delivered", answers(http.StatusOK, request{}))
	note("delivered to connect", answers(http.StatusOK, request{path: "/webhooks/stripe/connect", secret: "whsec_3"}))
	note("no_match", answers(http.StatusBadRequest, request{secret: "whsec_2"}))
	note("no_match of connect", answers(http.StatusBadRequest, request{path: "/webhooks/stripe/connect", secret: "whsec_2"}))
	note("malformed", answers(http.StatusBadRequest, request{signature: "x"}))
	note("too_old", answers(http.StatusBadRequest, request{at: time.Now().Add(-time.Hour)}))
	note("future", answers(http.StatusBadRequest, request{at: time.Now().Add(time.Hour)}))
	note("endpoint", answers(http.StatusNotFound, request{path: "/webhooks/stripe/other"}))
	note("source", answers(http.StatusForbidden, request{source: "10.0.0.1"}))
	note("media_type", answers(http.StatusUnsupportedMediaType, request{media: "text/plain"}))
	s.env["TOLLGATE_WEBHOOK_SECRET_ID"] = "unusable"
	s.wire()
	note("unusable secret", answers(http.StatusOK, request{}))
}

func (s *system) messages(note func(string, func())) {
	note("done", func() { s.webhook("evt_done", 1) })
	fails := func(err error) func(string) error { return func(string) error { return err } }
	s.handle = fails(errors.New("no"))
	note("failed", func() { s.webhook("evt_failed", 1) })
	s.handle = fails(dispatch.Permanent(errors.New("no")))
	note("dead", func() { s.webhook("evt_dead", 1) })
	s.handle = func(id string) error { // another attempt takes over
		s.change(id, "own", &types.AttributeValueMemberS{Value: "other"})
		return nil
	}
	note("superseded", func() { s.webhook("evt_superseded", 2) })
	s.handle = fails(nil)
	for fault, what := range map[string]string{"AccessDeniedException": "store down", "ProvisionedThroughputExceededException": "throttled"} {
		s.fault.Store(fault)
		m := s.message("evt_fault", "charge.succeeded", "default", event.Webhook, 2)
		note(what, func() {
			if _, err := localtest.Consume(s.t.Context(), s.consumer, []events.SQSMessage{m}); err == nil && what == "store down" {
				s.t.Errorf("%s: the batch does not fail", what)
			}
		})
	}
	s.fault.Store("")
	note("no time", func() {
		s.consume(2*time.Second, s.message("evt_late", "charge.succeeded", "default", event.Webhook, 1))
	})
	note("policy ignored", func() {
		s.consume(time.Minute, s.message("evt_other", "charge.succeeded", "connect", event.Webhook, 1))
	})
	for _, endpoint := range []string{"default", "connect"} {
		id := "evt_missed_" + endpoint
		policies := s.env["TOLLGATE_ENDPOINTS"]
		s.env["TOLLGATE_ENDPOINTS"] = `{}`
		s.wire()
		s.consume(time.Minute, s.message(id, "charge.succeeded", endpoint, event.Reconcile, 1))
		s.change(id, "done_at", ago(16*time.Minute))
		note("missed by "+endpoint, func() { s.consume(time.Minute, s.message(id, "charge.succeeded", endpoint, event.Reconcile, 2)) })
		s.env["TOLLGATE_ENDPOINTS"] = policies
		s.wire()
	}
}

func (s *system) passes(note func(string, func())) {
	note("pass", func() { s.task("quarter") })
	s.change("evt_dead", "upd", ago(8*24*time.Hour))
	note("pass with an old dead event", func() { s.task("quarter") })
	for _, d := range s.during(func() { s.task("quarter") }) {
		if d.name == "OldestDead" && (d.value < 8*24*3600 || d.value > 8*24*3600+600) {
			s.t.Errorf("the oldest dead event is %v s old", d.value)
		}
	}
	s.pause("charge.succeeded", 11*24*time.Hour)
	note("pass in a long pause", func() { s.task("quarter") })
	for _, d := range s.during(func() { s.task("quarter") }) {
		if d.name == "PausedFor" && (d.value < 11*24*3600 || d.value > 11*24*3600+600) {
			s.t.Errorf("the oldest pause is %v s old", d.value)
		}
	}
	note("outbox", func() { s.task("outbox") })
	note("verify", func() { s.task("verify") })
	s.env["TOLLGATE_API_KEY_SECRET_ID"] = "none"
	s.wire()
	note("failed pass", func() { s.task("quarter") })
}

func (s *system) jobs(note func(string, func())) {
	destinations, err := dynamostore.NewDeliveries(dynamostore.NewClient(localtest.Config(s.aws.URL, awsclient.Options{})), "tollgate", dynamostore.Options{})
	check(s.t, err)
	enqueue := func(id string) {
		s.consume(time.Minute, s.message(id, "account.updated", "default", event.Webhook, 1))
	}
	enqueue("evt_forward_1")
	note("accepted by the destination", s.send)
	s.receiver.Store(http.StatusServiceUnavailable)
	state, err := destinations.State(s.t.Context(), "crm")
	check(s.t, err)
	if won, err := destinations.SwapState(s.t.Context(), "crm", delivery.State{Ver: state.Ver, Since: time.Now().Add(-2 * time.Hour), Seen: time.Now().Add(-time.Minute), By: "test"}); err != nil || !won {
		s.t.Fatal(won, err)
	}
	s.wire() // a process remembers the state for a while
	enqueue("evt_forward_2")
	note("destination down", s.send)
	s.receiver.Store(http.StatusGone)
	enqueue("evt_forward_3")
	note("destination gone", s.send)
}
