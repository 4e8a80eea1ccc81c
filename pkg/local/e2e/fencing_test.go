//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// TestPausedConsumerHasNoSecondEffect pauses a consumer in its handler until its lease has
// expired and another attempt is done, then resumes it. The system's host would kill it at its
// deadline, so this consumer has a host that does not.
func TestPausedConsumerHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), failureArgs()...)
	body := trial("paused", "sleeps")
	z := startPaused(s, body)
	z.stop()

	s.enqueue(body)
	eventually(t, func() (bool, string) {
		return len(s.log.lines("event_id=evt_paused", "outcome=busy")) > 0, "the event is not held busy while its lease runs"
	})
	before := s.becomesDone("paused")
	if answer := z.wake(); answer != `{"batchItemFailures":[]}` {
		t.Errorf("the paused consumer answers %s, want its message acknowledged: the event is done", answer)
	}
	z.changedNothing()
	if diff := cmp.Diff(before, s.record("paused")); diff != "" {
		t.Errorf("the paused consumer changed the record (-before +after):\n%s", diff)
	}
}

// TestPausedConsumerCannotCompleteAnotherAttempt resumes it while the other attempt is running:
// the record's state is "running", as after the paused consumer's own claim.
func TestPausedConsumerCannotCompleteAnotherAttempt(t *testing.T) {
	t.Parallel()
	// A handler has a second here, so that the paused consumer resumes during it.
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "8")...)
	body := trial("paused", "sleeps_long")
	z := startPaused(s, body)
	z.stop()

	s.enqueue(body)
	eventually(t, func() (bool, string) { return len(s.log.lines("took over")) > 0, "no other attempt takes over" })
	z.wake()
	s.becomesDone("paused")
	z.changedNothing()
}

// changedNothing checks that an event completed by attempt 2 has only its effects.
func (z *pausedConsumer) changedNothing() {
	z.s.t.Helper()
	eventually(z.s.t, func() (bool, string) {
		return len(z.log.lines(`"event_id":"evt_paused"`, `"outcome":"superseded"`, `"attempt":1`)) == 1,
			"its log does not report that it was superseded: " + z.log.String()
	})
	z.s.drained()
	if r := z.s.record("paused"); r["st"] != "DONE" || r["att"] != "2" || r["outcome"] != "applied" {
		z.s.t.Errorf("record %v, want it done by attempt 2", r)
	}
	if facts := z.s.items("FACT#"); len(facts) != 1 || facts["FACT#test#-#in_paused#trial#2"] == nil {
		z.s.t.Errorf("facts %v, want the one of attempt 2", facts)
	}
}

// pausedConsumer is a consumer process outside of the system, on the system's table and queues.
type pausedConsumer struct {
	s      *system
	cmd    *exec.Cmd
	log    *logBuffer
	answer chan string
}

// startPaused runs the trial consumer on one message, at a time scale that gives it some
// seconds until its deadline.
func startPaused(s *system, body []byte) *pausedConsumer {
	s.t.Helper()
	z := &pausedConsumer{s: s, log: &logBuffer{}, answer: make(chan string, 1)}
	api := httptest.NewServer(z.runtimeAPI(sqsEvent(s, body)))
	z.cmd = exec.Command(filepath.Join(binaries, "trials", "consumer"))
	z.cmd.Stderr = z.log
	z.cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=paused",
		"AWS_REGION=" + s.info.Region, "AWS_ACCESS_KEY_ID=" + s.info.AccessKey.ID, "AWS_SECRET_ACCESS_KEY=" + s.info.AccessKey.Secret, "AWS_ENDPOINT_URL=" + s.info.Endpoint,
		"TOLLGATE_STAGE=local", "TOLLGATE_LOG_LEVEL=info", "TOLLGATE_TIME_SCALE=2",
		"TOLLGATE_TABLE=" + s.info.Table, "TOLLGATE_QUEUE_URL=" + s.info.QueueURL, "TOLLGATE_DLQ_URL=" + s.info.DLQURL,
	}
	must(s.t, z.cmd.Start())
	s.t.Cleanup(func() {
		z.cmd.Process.Kill()
		z.cmd.Wait()
		api.CloseClientConnections()
		api.Close()
	})
	return z
}

// stop pauses it in its handler.
func (z *pausedConsumer) stop() {
	z.s.t.Helper()
	eventually(z.s.t, func() (bool, string) {
		return len(z.log.lines("asleep")) == 1, "the handler has not begun: " + z.log.String()
	})
	if err := z.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		z.s.t.Fatal(err)
	}
}

// wake resumes it, and returns its answer about the message.
func (z *pausedConsumer) wake() (answer string) {
	z.s.t.Helper()
	if err := z.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		z.s.t.Fatal(err)
	}
	select {
	case answer = <-z.answer:
	case <-time.After(patience):
		z.s.t.Fatalf("the paused consumer does not answer: %s", z.log)
	}
	return answer
}

// pausedDeadline is the time until the paused worker's deadline: enough at its time scale to
// begin a handler. Its lease ends a second later.
const pausedDeadline = 6 * time.Second

// runtimeAPI gives one invocation and does not enforce the deadline.
func (z *pausedConsumer) runtimeAPI(event []byte) http.Handler {
	const path = "/2018-06-01/runtime/invocation/"
	once := make(chan []byte, 1)
	once <- event
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path+"next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case payload := <-once:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "paused-1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(pausedDeadline).UnixMilli()))
			w.Write(payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+path+"paused-1/{what}", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		z.answer <- strings.TrimSpace(string(text))
	})
	return mux
}

func sqsEvent(s *system, body []byte) []byte {
	s.t.Helper()
	text, _ := message(s, body)
	raw, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "paused-message", ReceiptHandle: "paused-receipt", Body: text, EventSource: "aws:sqs",
		EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:tollgate-events", AWSRegion: "us-east-1",
		Attributes: map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(time.Now().UnixMilli())},
	}}})
	must(s.t, err)
	return raw
}
