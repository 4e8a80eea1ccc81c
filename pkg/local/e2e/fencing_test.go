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

// TestAZombieHasNoSecondEffect stops a consumer in the middle of its handler until its
// lease is over and another attempt is done, then lets it go on. The system's own host
// would kill it at its deadline, so this consumer has a host that does not.
func TestAZombieHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), drillArgs()...)
	body := trial("zombie", "sleeps")
	z := startZombie(s, body)
	z.stop()

	s.enqueue(body)
	eventually(t, func() (bool, string) {
		return len(s.log.lines("event_id=evt_zombie", "outcome=busy")) > 0, "the event is not held busy while its lease runs"
	})
	before := s.becomesDone("zombie")
	if answer := z.wake(); answer != `{"batchItemFailures":[]}` {
		t.Errorf("the zombie answers %s, want its message acknowledged: the event is done", answer)
	}
	z.changedNothing()
	if diff := cmp.Diff(before, s.record("zombie")); diff != "" {
		t.Errorf("the zombie changed the record (-before +after):\n%s", diff)
	}
}

// TestAZombieCannotFinishForTheAttemptThatTookOver lets it go on while that one is at work,
// when the record says "running" as it did at the zombie's own claim.
func TestAZombieCannotFinishForTheAttemptThatTookOver(t *testing.T) {
	t.Parallel()
	// A handler has a second here, so that the zombie comes in its middle.
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "8")...)
	body := trial("zombie", "sleeps_long")
	z := startZombie(s, body)
	z.stop()

	s.enqueue(body)
	eventually(t, func() (bool, string) { return len(s.log.lines("took over")) > 0, "no other attempt takes over" })
	z.wake()
	s.becomesDone("zombie")
	z.changedNothing()
}

// changedNothing checks what is left of an event that attempt 2 finished: its own effects.
func (z *zombie) changedNothing() {
	z.s.t.Helper()
	eventually(z.s.t, func() (bool, string) {
		return len(z.log.lines(`"event_id":"evt_zombie"`, `"outcome":"superseded"`, `"attempt":1`)) == 1,
			"its log does not say that it was superseded: " + z.log.String()
	})
	z.s.drained()
	if r := z.s.record("zombie"); r["st"] != "DONE" || r["att"] != "2" || r["outcome"] != "applied" {
		z.s.t.Errorf("record %v, want it done by attempt 2", r)
	}
	if facts := z.s.items("FACT#"); len(facts) != 1 || facts["FACT#test#-#in_zombie#trial#2"] == nil {
		z.s.t.Errorf("facts %v, want the one of attempt 2", facts)
	}
}

// zombie is a consumer process outside of the system, on the system's table and queues.
type zombie struct {
	s      *system
	cmd    *exec.Cmd
	log    *logBuffer
	answer chan string
}

// startZombie runs the trial consumer on one message, at a time scale that gives it some
// seconds until its deadline.
func startZombie(s *system, body []byte) *zombie {
	s.t.Helper()
	z := &zombie{s: s, log: &logBuffer{}, answer: make(chan string, 1)}
	api := httptest.NewServer(z.runtimeAPI(sqsEvent(s, body)))
	z.cmd = exec.Command(filepath.Join(binaries, "trials", "consumer"))
	z.cmd.Stderr = z.log
	z.cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=zombie",
		"AWS_REGION=" + s.info.Region, "AWS_ACCESS_KEY_ID=" + s.info.AccessKey.ID, "AWS_SECRET_ACCESS_KEY=" + s.info.AccessKey.Secret, "AWS_ENDPOINT_URL=" + s.info.Endpoint,
		"TOLLGATE_STAGE=local", "TOLLGATE_LOG_LEVEL=info", "TOLLGATE_TIME_SCALE=2",
		"TOLLGATE_TABLE=" + s.info.Table, "TOLLGATE_QUEUE_URL=" + s.info.QueueURL, "TOLLGATE_DLQ_URL=" + s.info.DLQURL,
	}
	if err := z.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		z.cmd.Process.Kill()
		z.cmd.Wait()
		api.CloseClientConnections()
		api.Close()
	})
	return z
}

// stop makes it stand still in the middle of its handler.
func (z *zombie) stop() {
	z.s.t.Helper()
	eventually(z.s.t, func() (bool, string) {
		return len(z.log.lines("asleep")) == 1, "the handler has not begun: " + z.log.String()
	})
	if err := z.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		z.s.t.Fatal(err)
	}
}

// wake lets it go on, and returns what it then answers about its message.
func (z *zombie) wake() (answer string) {
	z.s.t.Helper()
	if err := z.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		z.s.t.Fatal(err)
	}
	select {
	case answer = <-z.answer:
	case <-time.After(patience):
		z.s.t.Fatalf("the zombie does not answer: %s", z.log)
	}
	return answer
}

// zombieLife is what the zombie is told of its deadline: enough at its time scale to
// begin a handler. Its lease ends a second later.
const zombieLife = 6 * time.Second

// runtimeAPI hands out one invocation, and enforces no deadline.
func (z *zombie) runtimeAPI(event []byte) http.Handler {
	const path = "/2018-06-01/runtime/invocation/"
	once := make(chan []byte, 1)
	once <- event
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path+"next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case payload := <-once:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "zombie-1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(zombieLife).UnixMilli()))
			w.Write(payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+path+"zombie-1/{what}", func(w http.ResponseWriter, r *http.Request) {
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
		MessageId: "zombie-message", ReceiptHandle: "zombie-receipt", Body: text, EventSource: "aws:sqs",
		EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:tollgate-events", AWSRegion: "us-east-1",
		Attributes: map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(time.Now().UnixMilli())},
	}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}
