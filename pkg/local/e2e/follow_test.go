//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// attribute returns a member of a readable log line, "" without it.
func attribute(line, name string) string {
	m := regexp.MustCompile(` ` + name + `=(\S+)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return m[1]
}

// TestFollowOneEvent: the message's id leads from ingest's line to every one of the consumer's, each
// line names its invocation, and no function has a line outside of one.
func TestFollowOneEvent(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "20")...)
	s.enqueue(trial("followed", "fails_twice"))
	s.enqueue(trial("other", "works"))
	s.enqueue(trial("refused", "refuses"))
	s.becomesDone("followed")
	s.becomesDone("other")
	eventually(t, func() (bool, string) {
		return len(s.log.lines("event_id=evt_followed", "outcome=applied")) == 1 && len(s.log.lines("outcome=dead_lettered")) == 1 &&
			len(s.log.lines("reconcile", "outbox")) > 0, "no lines of the end"
	})
	delivery := s.log.lines(" ingest ", "event_id=evt_followed")
	if len(delivery) != 1 || attribute(delivery[0], "message_id") == "" {
		t.Fatalf("ingest's lines %q, want one with a message_id", delivery)
	}
	receives := s.log.lines(" consumer ", "event_id=evt_followed")
	requests := map[string]bool{}
	for _, line := range receives {
		if attribute(line, "message_id") != attribute(delivery[0], "message_id") {
			t.Errorf("%q is about another message than %q", line, delivery[0])
		}
		requests[attribute(line, "request_id")] = true
	}
	if len(receives) != 3 || len(requests) != 3 || requests[attribute(delivery[0], "request_id")] || requests[""] {
		t.Errorf("3 receives in invocations of their own wanted:\n%s", strings.Join(receives, "\n"))
	}
	if others := s.log.lines(" consumer ", "event_id=evt_other"); len(others) != 1 || attribute(others[0], "message_id") == attribute(delivery[0], "message_id") {
		t.Errorf("lines of the other event %q, want one about its own message", others)
	}
	out, errOut, code := s.tollgate("events", "show", "evt_followed", "--story")
	if from := out; code != 0 {
		t.Errorf("exit %d: %s", code, errOut)
	} else {
		for _, want := range []string{"to endpoint default", attribute(delivery[0], "message_id"), "Attempt 1: failed", "Attempt 2: failed", "Attempt 3: applied", "Done: applied"} {
			_, rest, found := strings.Cut(from, want)
			if !found {
				t.Errorf("the story lacks %q in its place:\n%s", want, out)
			}
			from = rest
		}
	}
	for _, name := range queried(t) {
		if !slices.ContainsFunc(s.log.lines("event_id=evt_"), func(line string) bool { return attribute(line, name) != "" }) {
			t.Errorf("no line has the member %s that infra/README.md asks for", name)
		}
	}
	line := regexp.MustCompile(`^\d\d:\d\d:\d\d [A-Z]+ +(ingest|consumer|reconcile|sender) `)
	for text := range strings.Lines(s.log.String()) {
		if line.MatchString(text) && attribute(text, "request_id") == "" {
			t.Errorf("a line outside of an invocation: %s", text)
		}
	}
}

// queried are the members that the runbook's query for an event reads.
func queried(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../../../infra/README.md")
	must(t, err)
	m := regexp.MustCompile(`fields @timestamp, message, (.*)\n +\| filter event_id`).FindSubmatch(raw)
	if m == nil {
		t.Fatal("infra/README.md has no query for an event")
	}
	return strings.Split(string(m[1]), ", ")
}

// oneInvocation gives a function process one invocation.
type oneInvocation struct {
	headers map[string]string
	payload []byte
	answer  chan string
}

func (r *oneInvocation) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	const path = "/2018-06-01/runtime/invocation/"
	switch {
	case strings.HasSuffix(req.URL.Path, path+"next") && r.payload != nil:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
		for name, value := range r.headers {
			w.Header().Set(name, value)
		}
		w.Write(r.payload)
		r.payload = nil
	case strings.HasSuffix(req.URL.Path, path+"next"):
		<-req.Context().Done()
	default:
		text, _ := io.ReadAll(req.Body)
		w.WriteHeader(http.StatusAccepted)
		r.answer <- string(text)
	}
}

// invoke runs a function's binary on one invocation and returns its answer and its lines.
func (s *system) invoke(function string, env, headers map[string]string, payload any) (answer string, lines *logBuffer) {
	s.t.Helper()
	raw, err := json.Marshal(payload)
	must(s.t, err)
	r := &oneInvocation{headers, raw, make(chan string, 1)}
	api := httptest.NewServer(r)
	lines = &logBuffer{}
	cmd := exec.Command(filepath.Join(binaries, function))
	all := map[string]string{
		"AWS_LAMBDA_RUNTIME_API": strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME": function, "AWS_REGION": s.info.Region,
		"AWS_ACCESS_KEY_ID": s.info.AccessKey.ID, "AWS_SECRET_ACCESS_KEY": s.info.AccessKey.Secret, "AWS_ENDPOINT_URL": s.info.Endpoint,
		"TOLLGATE_STAGE": "alone", "TOLLGATE_VERSION": "v9", "TOLLGATE_QUEUE_URL": s.info.QueueURL, "TOLLGATE_WEBHOOK_SECRET_ID": "tollgate/webhook",
		"TOLLGATE_TABLE": s.info.Table, "TOLLGATE_DLQ_URL": s.info.DLQURL,
	}
	maps.Copy(all, env)
	for name, value := range all {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = lines, lines
	must(s.t, cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		api.CloseClientConnections()
		api.Close()
	})
	select {
	case answer = <-r.answer:
	case <-ended:
	case <-time.After(patience):
		s.t.Fatalf("%s does not answer:\n%s", function, lines)
	}
	return answer, lines
}

// delivery is API Gateway's event of a signed body.
func (s *system) delivery(body []byte) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: "/webhooks/stripe", Body: string(body), Headers: deliveryHeaders(body, s.info.Secret),
		RequestContext: events.APIGatewayV2HTTPRequestContext{HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: http.MethodPost}},
	}
}

// TestTraceThroughTheQueue: the id of a recorded trace that Lambda gives ingest is in the consumer's
// line; a header that nothing can read, or a trace that is not recorded, is in no line and costs
// no event.
func TestTraceThroughTheQueue(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	const id = "1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30"
	for name, c := range map[string]struct{ header, want string }{
		"recorded":  {"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0", id},
		"not":       {"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=0", ""},
		"malformed": {"Root=1-6afe5866;Parent=\"x\";Sampled=1", ""},
		"text":      {"none", ""},
		"missing":   {"", ""},
	} {
		answer, lines := s.invoke("ingest", nil, map[string]string{"Lambda-Runtime-Trace-Id": c.header}, s.delivery(event("trace_"+name, "customer.created")))
		if !strings.Contains(answer, `"statusCode":200`) {
			t.Fatalf("%s: ingest answered %s\n%s", name, answer, lines)
		}
		s.becomesDone("trace_" + name)
		eventually(t, func() (bool, string) {
			return len(s.log.lines(" consumer ", "event_id=evt_trace_"+name)) == 1, name + ": no line of the consumer"
		})
		if got := attribute(s.log.lines(" consumer ", "event_id=evt_trace_"+name)[0], "trace"); got != c.want {
			t.Errorf("%s: the consumer's line names the trace %q, want %q", name, got, c.want)
		}
		if want := `"trace":"` + c.want + `"`; strings.Contains(lines.String(), want) != (c.want != "") {
			t.Errorf("%s: ingest's line %s", name, lines)
		}
	}
}

// TestLinesOfFailures: whatever ends a start or an invocation is one JSON line with a level, a stage
// and a release.
func TestLinesOfFailures(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for name, c := range map[string]struct {
		function string
		env      map[string]string
		payload  any
		want     []map[string]any // of each line
	}{
		"ingest does not start": {"ingest", map[string]string{"TOLLGATE_QUEUE_URL": ""}, nil, []map[string]any{
			{"level": "ERROR", "message": "ingest cannot start", "request_id": nil}}},
		"consumer does not start": {"consumer", map[string]string{"TOLLGATE_TABLE": "", "TOLLGATE_MAX_RECEIVES": "1"}, nil, []map[string]any{
			{"level": "ERROR", "message": "consumer cannot start", "request_id": nil}}},
		"reconcile does not start": {"reconcile", map[string]string{"TOLLGATE_TABLE": ""}, nil, []map[string]any{
			{"level": "ERROR", "message": "reconcile cannot start", "request_id": nil}}},
		"sender does not start": {"sender", nil, nil, []map[string]any{
			{"level": "ERROR", "message": "sender cannot start", "request_id": nil}}},
		"the queue is gone": {"ingest", map[string]string{"TOLLGATE_QUEUE_URL": s.info.QueueURL + "-gone"}, s.delivery(event("lines", "invoice.paid")), []map[string]any{
			{"level": "ERROR", "message": "delivery", "request_id": "request-1"},
			{"level": "ERROR", "message": "invocation failed", "request_id": "request-1", "error_type": "wrapError"}}},
		"not an event of SQS": {"consumer", nil, map[string]any{"Records": 1}, []map[string]any{
			{"level": "ERROR", "message": "invocation failed", "request_id": "request-1", "error_type": "wrapError"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, lines := s.invoke(c.function, c.env, nil, c.payload)
			eventually(t, func() (bool, string) {
				return strings.Count(lines.String(), "\n") >= len(c.want), fmt.Sprintf("lines %s", lines)
			})
			text := strings.Split(strings.TrimSpace(lines.String()), "\n")
			if len(text) != len(c.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(text), len(c.want), lines)
			}
			for i, want := range c.want {
				var got map[string]any
				if err := json.Unmarshal([]byte(text[i]), &got); err != nil {
					t.Fatalf("%v in %s", err, text[i])
				}
				want["stage"], want["version"] = "alone", "v9"
				for key, value := range want {
					if got[key] != value {
						t.Errorf("%s is %v, want %v in %s", key, got[key], value, text[i])
					}
				}
				if got["timestamp"] == nil || got["error"] == "" || got["error"] == nil {
					t.Errorf("no time or no error in %s", text[i])
				}
			}
		})
	}
}

// TestCountsOfRealFunctions: the binaries read from their environment what they count separately.
func TestCountsOfRealFunctions(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	byType, byEndpoint := `["stage","event_type"]`, `["stage","endpoint"]`
	for _, c := range []struct {
		name, function string
		env            map[string]string
		want           []string
		not            []string
	}{
		{"the_option", "trials/consumer", map[string]string{"TOLLGATE_EVENT_METRICS": "true"}, []string{byType, `"Done":1`, `"HandlerMillis":`}, nil},
		{"not_the_option", "trials/consumer", nil, []string{`"Done":1`, `"handler_ms":`}, []string{byType, "HandlerMillis"}},
		{"a_name", "ingest", map[string]string{"TOLLGATE_ENDPOINT_NAMES": "connect,default"}, []string{byEndpoint, `"Enqueued":1`}, nil},
		{"another_name", "ingest", map[string]string{"TOLLGATE_ENDPOINT_NAMES": "connect"}, []string{`"Enqueued":1`}, []string{byEndpoint}},
	} {
		body := trial("counts_"+c.name, "works")
		var payload any = json.RawMessage(sqsEvent(s, body))
		if c.function == "ingest" {
			payload = s.delivery(body)
		}
		answer, lines := s.invoke(c.function, c.env, nil, payload)
		if strings.Contains(answer, "errorMessage") {
			t.Fatalf("%s: %s\n%s", c.name, answer, lines)
		}
		eventually(t, func() (bool, string) { return strings.Contains(lines.String(), "\n"), c.name + " has no line" })
		for _, text := range c.want {
			if !strings.Contains(lines.String(), text) {
				t.Errorf("%s: no %s in %s", c.name, text, lines)
			}
		}
		for _, text := range c.not {
			if strings.Contains(lines.String(), text) {
				t.Errorf("%s: %s in %s", c.name, text, lines)
			}
		}
	}
}
