//go:build unix

package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/limits"
	"tollgate/pkg/stdwebhooks"
)

const (
	crm         = "crm" // the destination
	sendTimeout = 2 * time.Second

	// hidden is the visibility timeout of the queue of deliveries instead of minutes: longer than a lease.
	hidden = 9 * time.Second
	// apart is the least time between two arrivals of a delivery that was accepted. It is less than the
	// send's timeout, after which a slow machine sends again.
	apart = time.Second
)

// sendingPoints is every point of handing over and sending.
func sendingPoints(action string) (all []point) {
	add := func(who role, gone bool, calls ...string) {
		for _, call := range calls {
			for _, when := range []string{".before", ".after"} {
				all = append(all, point{
					name: call + when, who: who, action: action, load: []string{"works", "takes_time", "pure", "writes_nothing"},
					small: action == "stop" && call+when == "sender.begin.after", sends: true, gone: gone,
				})
			}
		}
	}
	add(function, false, "consumer.handover", "consumer.mark",
		"sender.GetItem", "sender.UpdateItem", "sender.begin", "sender.send", "sender.end", "sender.ChangeMessageVisibility", "sender.response")
	add(function, true, "sender.SendMessage")
	if action == "kill" {
		all = append(all, point{name: "sender.next.after", action: action, load: all[0].load, sends: true})
		add(host, false, "host.sender")
	}
	return all
}

// takenOver is the longest time until another attempt has taken over.
func (p point) takenOver() time.Duration {
	if p.sends {
		return hidden + time.Second
	}
	return lease()
}

// receiver verifies what is sent to it, and keeps when each event arrived.
type receiver struct {
	s    *system
	file string // of the destinations

	mu       sync.Mutex
	arrivals map[string]*arrival // by event
	check    tableCheck
}

type arrival struct {
	id       string // of the message
	times    int
	last     time.Time
	accepted bool
}

func newReceiver(t *testing.T, s *system) *receiver {
	t.Helper()
	r := &receiver{s: s, file: filepath.Join(t.TempDir(), "destinations.json"), arrivals: map[string]*arrival{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	text := fmt.Sprintf(`{%q:{"type":"http","url":%q,"secret":"crm","events":["*"],"timeout":%q,"rate":1000,"concurrency":60,"insecure_http":true,"allow":["127.0.0.0/8"]}}`,
		crm, server.URL, sendTimeout)
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// refused reports that an event is refused for good.
func (p point) refused(n int) bool { return p.gone && n%3 == 1 }

// ServeHTTP refuses some events the first time.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var in struct{ Data struct{ Event string } }
	keys, err := stdwebhooks.Parse(r.s.info().DestinationSecrets[crm])
	if err == nil {
		_, err = keys.Verify(req.Header, body, time.Now())
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	event, known := strings.CutPrefix(in.Data.Event, "evt_")
	n, _ := strconv.Atoi(strings.TrimPrefix(event, "crash_"))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !known {
		r.check.fault(&r.check.lost, "received %q of event %q: %v", body, in.Data.Event, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a, id, now := r.arrivals[event], req.Header.Get(stdwebhooks.HeaderID), time.Now()
	if a == nil {
		a = &arrival{id: id}
		r.arrivals[event] = a
	}
	if a.id != id {
		r.check.fault(&r.check.doubled, "%s was sent as %s and as %s", event, a.id, id)
	}
	// A paused send was begun under its lease, and arrives late.
	late := r.s.point.action == "stop" && strings.HasPrefix(r.s.point.name, "sender.send")
	if a.accepted && now.Sub(a.last) < apart && !late {
		r.check.fault(&r.check.stuck, "%s was sent again after %v, under the lease of the attempt before or after its end", event, now.Sub(a.last))
	}
	a.times, a.last = a.times+1, now
	switch {
	case r.s.point.refused(n):
		w.WriteHeader(http.StatusNotFound)
	case n%5 == 0 && a.times == 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		a.accepted = true
		w.WriteHeader(http.StatusNoContent)
	}
}

// jobs is the URL of the queue of deliveries.
func (s *system) jobs() string { return strings.TrimSuffix(s.info().SendDLQURL, "dead") + crm }

// hideShortly sets the visibility timeout of the queue of deliveries, which each start resets.
func (s *system) hideShortly() error {
	url := s.jobs()
	_, err := sqs.NewFromConfig(s.info().AWSConfig()).SetQueueAttributes(context.Background(), &sqs.SetQueueAttributesInput{
		QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(int(hidden.Seconds() * timeScale))},
	})
	return err
}

// allSent waits until no message waits to be handed over and no job is left.
func (s *system) allSent(limit time.Duration) error {
	return eventually(limit+2*limits.SendTimeout, 300*time.Millisecond, func() error {
		all, err := s.table()
		if err != nil {
			return err
		}
		for key, m := range items(all, "OUT#") {
			if m["lst"] != "" {
				return fmt.Errorf("%s was not handed over", key)
			}
		}
		n, err := s.depth(s.jobs())
		if err == nil && n > 0 {
			err = fmt.Errorf("%d jobs are in the queue", n)
		}
		return err
	})
}

var eventOf = regexp.MustCompile(`crash_[0-9]{5}`)

// checkSent compares the receiver and the rows with the events: each was accepted under one id and is
// done, or was refused and is a dead letter.
func (s *system) checkSent(events int) (v tableCheck, err error) {
	all, err := s.table()
	if err != nil {
		return v, err
	}
	rows := map[string]string{}
	for key, row := range items(all, "DLV#") {
		rows[eventOf.FindString(key)] = row["st"]
	}
	dead, err := s.deadJobs()
	if err != nil {
		return v, err
	}
	s.got.mu.Lock()
	defer s.got.mu.Unlock()
	ids := map[string]string{}
	for n := range events {
		id := eventID(n)
		a, want := s.got.arrivals[id], "done"
		if s.point.refused(n) {
			want = "failed"
		}
		switch {
		case a == nil || a.accepted != (want == "done"):
			v.fault(&v.lost, "%s was not received, want it %s; its row is %q", id, want, rows[id])
			continue
		case rows[id] != want || dead[id] != (want == "failed"):
			v.fault(&v.stuck, "the delivery of %s is %q, a dead letter: %v; want it %s", id, rows[id], dead[id], want)
		case ids[a.id] != "":
			v.fault(&v.doubled, "%s and %s were sent as %s", id, ids[a.id], a.id)
		}
		ids[a.id] = id
	}
	v.faults = append(v.faults, s.got.check.faults...)
	return v, nil
}

// deadJobs returns the events in the dead-letter queue of deliveries.
func (s *system) deadJobs() (map[string]bool, error) {
	dead, url := map[string]bool{}, s.info().SendDLQURL
	for {
		out, err := sqs.NewFromConfig(s.info().AWSConfig()).ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 12 * 3600,
		})
		if err != nil || len(out.Messages) == 0 {
			return dead, err
		}
		for _, m := range out.Messages {
			dead[eventOf.FindString(*m.Body)] = true
		}
	}
}
