//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// mapping is the event source mapping of the queue of events, as AWS's tools find it.
func (s *system) mapping() types.EventSourceMappingConfiguration {
	s.t.Helper()
	out, err := lambda.NewFromConfig(s.info.AWSConfig()).ListEventSourceMappings(s.t.Context(), &lambda.ListEventSourceMappingsInput{
		EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:tollgate-events"),
	})
	must(s.t, err)
	if len(out.EventSourceMappings) != 1 {
		s.t.Fatalf("%d mappings", len(out.EventSourceMappings))
	}
	return out.EventSourceMappings[0]
}

// becomes waits until the mapping is in a state.
func (s *system) becomes(state string) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		got := aws.ToString(s.mapping().State)
		return got == state, "the mapping is " + got + ", want " + state
	})
}

// TestMappingIsDisabled by AWS's own SDK: events wait in the queue, also after a kill, until it is
// enabled. No one else may do it.
func TestMappingIsDisabled(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data)
	s.becomes("Enabled")
	id := s.mapping().UUID
	_, err := lambda.NewFromConfig(s.info.AWSConfig()).UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(false)})
	must(t, err)
	s.becomes("Disabled")
	s.enqueue(event("waits", "invoice.paid"))
	s.kill()

	s = start(t, data)
	s.becomes("Disabled")
	url := s.info.Endpoint + "/2015-03-31/event-source-mappings/" + *id
	for name, headers := range map[string]map[string]string{
		"without a key": {}, "with another": {"Authorization": "AWS4-HMAC-SHA256 Credential=other/x"},
		"from a page": {"Authorization": "AWS4-HMAC-SHA256 Credential=" + s.info.AccessKey.ID + "/x", "Origin": "http://example.com"},
	} {
		if status, _ := request(http.MethodPut, url, []byte(`{"Enabled":true}`), headers); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if n := s.depth(s.info.QueueURL); n != 1 || s.record("waits")["st"] != "" {
		t.Errorf("%d messages wait, record %v", n, s.record("waits"))
	}
	_, err = lambda.NewFromConfig(s.info.AWSConfig()).UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(true)})
	must(t, err)
	if r := s.becomesDone("waits"); r["att"] != "1" {
		t.Error(fmt.Sprint(r))
	}
}

// pauseScale makes a resume wait 1.5 s for the consumers, and passes come every 15 s.
const pauseScale = "60"

// heldOf waits until the hold queue has n events of a type.
func (s *system) heldOf(typ string, n int) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		for _, v := range jsonLines[heldView](s, "hold", "list", "--wait-hidden") {
			if v.Type == typ {
				return v.Held == n, fmt.Sprintf("%d events of %s are held, want %d", v.Held, typ, n)
			}
		}
		return n == 0, "none is held of " + typ
	})
}

type heldView struct {
	Type, State, By, Why string
	Held                 int
}

// killConsumers ends every consumer process in the middle of what it does.
func (s *system) killConsumers() {
	for _, pid := range s.children("consumer") {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

// doneOnce waits until n events of a kind are done, and checks that each has one fact.
func (s *system) doneOnce(kind string, n int) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		done := 0
		for _, r := range s.items("EVT#evt_" + kind) {
			if r["st"] == "DONE" {
				done++
			}
		}
		return done == n, fmt.Sprintf("%d events are done, want %d", done, n)
	})
	if facts := s.items("FACT#test#-#in_" + kind); len(facts) != n {
		s.t.Errorf("%d facts of %d events", len(facts), n)
	}
}

// TestPauseTypeInTheMiddle pauses a type in a stream of events and kills the consumer, and the system,
// while it holds them. A resume that is killed is repeated. In the end every event, also one that
// Stripe never delivered, is done once, and none of the held ones has used up a receive.
func TestPauseTypeInTheMiddle(t *testing.T) {
	t.Parallel()
	needsProc(t)
	data := t.TempDir()
	args := []string{"--time-scale", pauseScale, "--begin", time.Now().Format(time.RFC3339)}
	s := start(t, data, args...)
	const before, during = 20, 40
	stream := func(from, to int) {
		for n := from; n < to; n++ {
			s.enqueue(event(fmt.Sprintf("held%d", n), "invoice.paid"))
			s.enqueue(otherType(fmt.Sprintf("goes%d", n)))
			if n%13 == 7 {
				s.killConsumers()
			}
		}
	}
	stream(0, before)
	s.ok("pause", "invoice.paid", "--note", "tax is down")
	eventually(t, func() (bool, string) { // the pause reaches no attempt that runs
		id := fmt.Sprintf("probe%d", time.Now().UnixNano())
		s.enqueue(event(id, "invoice.paid"))
		return len(s.log.lines("event_id=evt_"+id, "outcome=held")) > 0 || s.depth(s.info.HoldURL) > 0, "nothing is held"
	})
	stream(before, before+during)
	if status, answer := s.atStripe(http.MethodPost, "/_fake/events", event("held_missed", "invoice.paid")); status != http.StatusOK {
		t.Fatalf("give event: %d %s", status, answer)
	}
	s.drained()
	s.goesOn(before + during)
	s.kill()

	s = start(t, data, args...)
	eventually(t, func() (bool, string) {
		passes := s.log.lines("reconcile pass", " requeued=0 ")
		return slices.ContainsFunc(passes, func(line string) bool { return !strings.Contains(line, " paused=0 ") }), fmt.Sprint("no pass has left the event that was not delivered: ", s.log.lines("reconcile pass"))
	})
	for id, r := range s.items("EVT#evt_held") {
		if r["st"] != "DONE" {
			t.Errorf("a held event has a record: %s %v", id, r)
		}
	}
	v := jsonLines[heldView](s, "hold", "list", "--wait-hidden")
	if len(v) != 1 || v[0].State != "paused" || v[0].Why != "tax is down" || v[0].Held < during {
		t.Fatalf("%+v", v)
	}
	s.killedResume("invoice.paid")
	out := s.ok("resume", "invoice.paid", "--rate", "200")
	if !strings.Contains(out, "resumed invoice.paid: ") {
		t.Error(out)
	}
	s.doneOnce("held", before+during+1)
	if r := s.record("held_missed"); r["src"] != "backfill" && r["src"] != "reconcile" {
		t.Errorf("%v", r)
	}
	for id, r := range s.items("EVT#evt_held") {
		if n, _ := strconv.Atoi(r["att"]); n > 2 {
			t.Errorf("%s took %d attempts", id, n)
		}
	}
	s.heldOf("invoice.paid", 0)
	s.inDLQ(0)
	if out := s.ok("hold", "list"); !strings.Contains(out, "Nothing is paused, and nothing is held.") {
		t.Error(out)
	}
	s.interrupt()
}

// otherType makes an event that no handler takes.
func otherType(id string) []byte { return event(id, "charge.expired") }

// goesOn waits until all events of the other type are done.
func (s *system) goesOn(n int) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		done := 0
		for _, r := range s.items("EVT#evt_goes") {
			if r["st"] == "DONE" {
				done++
			}
		}
		return done == n, fmt.Sprintf("%d of %d events of the other type are done", done, n)
	})
}

// killedResume kills a resume as soon as it has sent something.
func (s *system) killedResume(typ string) {
	s.t.Helper()
	held := s.depth(s.info.HoldURL)
	cmd := exec.Command(filepath.Join(binaries, "tollgate"), "resume", typ, "--rate", "5", "--data", s.data)
	cmd.Env = []string{"HOME=/"}
	must(s.t, cmd.Start())
	eventually(s.t, func() (bool, string) { return s.depth(s.info.HoldURL) < held, "the resume sends nothing" })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if v := jsonLines[heldView](s, "hold", "list", "--wait-hidden"); len(v) != 1 || v[0].State != "resuming" {
		s.t.Errorf("after a resume that was killed: %+v", v)
	}
}

// ok runs a verb that must end well.
func (s *system) ok(args ...string) string {
	s.t.Helper()
	out, errOut, code := s.tollgate(args...)
	if code != 0 {
		s.t.Fatalf("tollgate %v: exit %d: %s%s", args, code, out, errOut)
	}
	return out
}

// TestPauseAll: deliveries are accepted and wait, also over a restart; after the resume each is done
// once.
func TestPauseAll(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	args := []string{"--time-scale", pauseScale, "--begin", time.Now().Format(time.RFC3339)}
	s := start(t, data, args...)
	s.enqueue(event("held0", "invoice.paid"))
	s.becomesDone("held0")
	s.ok("pause", "--all", "--note", "moving")
	s.becomes("Disabled")
	const n = 30
	for i := 1; i < n; i++ {
		s.enqueue(event(fmt.Sprint("held", i), "invoice.paid"))
	}
	s.kill()
	s = start(t, data, args...)
	if waiting := s.depth(s.info.QueueURL); waiting != n-1 || len(s.items("EVT#")) != 1 {
		t.Errorf("%d wait, %v", waiting, s.items("EVT#"))
	}
	if out, _, _ := s.tollgate("doctor"); !strings.Contains(out, "everything is paused for") {
		t.Errorf("doctor says %s", out)
	}
	if _, errOut, code := s.tollgate("resume", "invoice.paid"); code != 2 {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if out := s.ok("resume", "--all"); !strings.Contains(out, "resumed everything") {
		t.Error(out)
	}
	s.becomes("Enabled")
	s.doneOnce("held", n)
	s.drained()
	s.inDLQ(0)
	s.interrupt()
}

// TestPauseAcrossReleases: an earlier release knows no pause: it handles events of the paused type, and
// leaves the held ones. The later release goes on with the pause, and after the resume each event is
// done once.
func TestPauseAcrossReleases(t *testing.T) {
	old, data := earlier(t), t.TempDir()
	args := []string{"--time-scale", pauseScale, "--begin", time.Now().Format(time.RFC3339)}
	const each = 10
	for i, functions := range []string{binaries, old, binaries} {
		s := start(t, data, append(args, "--functions", functions)...)
		if i == 0 {
			s.ok("pause", "invoice.paid", "--note", "x") // no process has read the switch before
		}
		for n := range each {
			s.enqueue(event(fmt.Sprintf("held%d_%d", i, n), "invoice.paid"))
		}
		s.drained()
		done := 0
		for _, r := range s.items("EVT#evt_held" + fmt.Sprint(i)) {
			if r["st"] == "DONE" {
				done++
			}
		}
		if want := each * (i % 2); done != want {
			t.Errorf("release %d: %d of its events are done, want %d", i, done, want)
		}
		if i == 2 {
			s.ok("resume", "invoice.paid", "--rate", "100")
			s.doneOnce("held", 3*each)
			s.heldOf("invoice.paid", 0)
			s.inDLQ(0)
		}
		s.interrupt()
	}
}
