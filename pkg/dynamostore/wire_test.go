package dynamostore

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// wire is a transport that follows a script: each request takes the next step.
// Requests after the last step go through, where there is a server behind.
type wire struct {
	t    testing.TB
	next http.RoundTripper // nil: nothing is behind

	mu    sync.Mutex
	steps []step
	sent  []sent
}

// sent is a request as it was sent.
type sent struct {
	target string // "UpdateItem"
	body   []byte
}

// step answers a request, or does not.
type step func(r *http.Request, next http.RoundTripper) (*http.Response, error)

func newWire(t testing.TB, next http.RoundTripper, steps ...step) *wire {
	return &wire{t: t, next: next, steps: steps}
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	w.sent = append(w.sent, sent{target: target, body: body})
	s := step(pass)
	if len(w.steps) > 0 {
		s, w.steps = w.steps[0], w.steps[1:]
	} else if w.next == nil {
		w.t.Errorf("request %d is one too many: %s", len(w.sent), target)
		s = loseRequest
	}
	w.mu.Unlock()
	return s(r, w.next)
}

// requests returns what was sent and wants that all steps were taken.
func (w *wire) requests() []sent {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.steps) > 0 {
		w.t.Errorf("%d steps of the script were not reached", len(w.steps))
	}
	return w.sent
}

func pass(r *http.Request, next http.RoundTripper) (*http.Response, error) { return next.RoundTrip(r) }

var errWire = errors.New("connection reset by peer")

func loseRequest(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, errWire }

func loseResponse(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	response, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return nil, errWire
}

// hang never answers; it ends with the request's context.
func hang(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// respond answers with a body of the service.
func respond(status int, body string) step {
	return func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body:   io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

const namespace = "com.amazonaws.dynamodb.v20120810#"

// failWith answers with an error of the service.
func failWith(status int, code string) step {
	return failWithMessage(status, code, "told by the service")
}

func failWithMessage(status int, code, message string) step {
	return failWithFields(status, code, map[string]any{"message": message})
}

func failWithFields(status int, code string, fields map[string]any) step {
	body := map[string]any{"__type": namespace + code}
	for k, v := range fields {
		body[k] = v
	}
	raw, _ := json.Marshal(body)
	return respond(status, string(raw))
}

// cancelWith cancels a transaction with one initial for each reason.
func cancelWith(initials string) step {
	codes := map[rune]string{
		'-': "None", 'C': "ConditionalCheckFailed", 'T': "TransactionConflict", 'H': "ThrottlingError",
		'P': "ProvisionedThroughputExceeded", 'V': "ValidationError", 'S': "ItemCollectionSizeLimitExceeded",
		'D': "DuplicateItem", '?': "SomethingNew",
	}
	var reasons []any
	for _, l := range initials {
		reasons = append(reasons, map[string]any{"Code": codes[l]})
	}
	return failWithFields(http.StatusBadRequest, "TransactionCanceledException", map[string]any{
		"Message": "Transaction cancelled", "CancellationReasons": reasons,
	})
}

// all repeats a step.
func all(n int, s step) []step {
	steps := make([]step, n)
	for i := range steps {
		steps[i] = s
	}
	return steps
}

// members decodes a request's body.
func (s sent) members(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(s.body, &m); err != nil {
		t.Fatalf("decode request: %v", err)
	}
	return m
}

func (s sent) token(t testing.TB) string {
	t.Helper()
	token, _ := s.members(t)["ClientRequestToken"].(string)
	return token
}

// keys returns the keys of a transaction's items, the record first.
func (s sent) keys(t testing.TB) []string {
	t.Helper()
	var in struct {
		TransactItems []struct {
			Update, ConditionCheck struct{ Key map[string]map[string]string }
			Put                    struct{ Item map[string]map[string]any }
		}
	}
	if err := json.Unmarshal(s.body, &in); err != nil {
		t.Fatalf("decode transaction: %v", err)
	}
	var keys []string
	for _, item := range in.TransactItems {
		pk := item.Update.Key["pk"]["S"] + item.ConditionCheck.Key["pk"]["S"]
		if put, ok := item.Put.Item["pk"]["S"].(string); ok {
			pk += put
		}
		keys = append(keys, pk)
	}
	return keys
}
