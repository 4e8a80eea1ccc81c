package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"tollgate/pkg/local/aws/lambda"
)

const (
	id    = "0a6b2a3c-0000-4000-8000-000000000001"
	queue = "arn:aws:sqs:us-east-1:000000000000:events"
	all   = lambda.Path + "event-source-mappings/"
)

func open(t testing.TB, path string) *lambda.Mappings {
	t.Helper()
	m, err := lambda.Open(path, lambda.Mapping{UUID: id, EventSourceARN: queue, FunctionARN: "arn:f", BatchSize: 10, MaximumConcurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type answered struct {
	State, Message      string
	EventSourceMappings []struct{ UUID, State, FunctionArn string }
	code                string
	status              int
}

func ask(t testing.TB, m *lambda.Mappings, method, path, body string) (a answered) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler("").ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s %s: %q: %v", method, path, w.Body, err)
	}
	a.status, a.code = w.Code, w.Header().Get("X-Amzn-Errortype")
	return a
}

// TestSwitch: a mapping polls while it is enabled, its last batch ends before it is Disabled, it is
// not switched while it changes, and it keeps its state.
func TestSwitch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lambda.json")
	synctest.Test(t, func(t *testing.T) {
		m := open(t, path)
		ctx, stop := context.WithCancel(t.Context())
		polls, batch := 0, make(chan struct{})
		ended := make(chan error)
		run := func(ctx context.Context) error {
			polls++
			<-ctx.Done()
			<-batch
			return errors.New("a batch was cut")
		}
		go func() { ended <- m.Run(ctx, id, run) }()
		state := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := ask(t, m, http.MethodGet, all+id, ""); got.State != want {
				t.Fatalf("%+v, want %s", got, want)
			}
		}
		state("Enabled")
		if a := ask(t, m, http.MethodPut, all+id, `{"Enabled":false}`); a.status != http.StatusAccepted || a.State != "Disabling" {
			t.Fatalf("%+v", a)
		}
		state("Disabling")
		if a := ask(t, m, http.MethodPut, all+id, `{"Enabled":true}`); a.status != http.StatusBadRequest || a.code != "ResourceInUseException" {
			t.Errorf("switched while it changes: %+v", a)
		}
		batch <- struct{}{}
		state("Disabled")
		again := open(t, path)
		if a := ask(t, again, http.MethodGet, all+id, ""); a.State != "Disabled" {
			t.Errorf("after a restart: %+v", a)
		}
		if a := ask(t, m, http.MethodPut, all+id, `{"Enabled":true}`); a.State != "Enabling" {
			t.Errorf("%+v", a)
		}
		state("Enabled")
		stop()
		batch <- struct{}{}
		if err := <-ended; err == nil || polls != 2 {
			t.Errorf("%v after %d polls: the last one's error is the run's", err, polls)
		}
	})
}

func TestRefuses(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "lambda.json"))
	for _, c := range []struct{ method, path, body, code string }{
		{http.MethodGet, all + "other", "", "ResourceNotFoundException"},
		{http.MethodPut, all + "other", `{"Enabled":false}`, "ResourceNotFoundException"},
		{http.MethodPut, all + id, `{"Enabled":false,"BatchSize":1}`, "InvalidParameterValueException"},
		{http.MethodPut, all + id, `{"Enabled":false}x`, "InvalidParameterValueException"},
		{http.MethodPut, all + id, `{}`, "InvalidParameterValueException"},
		{http.MethodPut, all + id, `{"Enabled":"no"}`, "InvalidParameterValueException"},
		{http.MethodDelete, all + id, "", "UnknownOperationException"},
		{http.MethodPost, all, `{}`, "UnknownOperationException"},
		{http.MethodGet, lambda.Path + "functions/", "", "UnknownOperationException"},
		{http.MethodGet, all + "?FunctionName=f", "", "InvalidParameterValueException"},
	} {
		if a := ask(t, m, c.method, c.path, c.body); a.code != c.code || a.status < 400 || a.Message == "" {
			t.Errorf("%s %s %s: %+v, want %s", c.method, c.path, c.body, a, c.code)
		}
	}
	for arn, want := range map[string]int{"": 1, queue: 1, queue + "2": 0} {
		if a := ask(t, m, http.MethodGet, strings.TrimSuffix(all, "/")+"?EventSourceArn="+arn, ""); a.status != http.StatusOK || len(a.EventSourceMappings) != want {
			t.Errorf("of %q: %+v", arn, a)
		}
	}
}

// TestKey: nothing is answered without the access key.
func TestKey(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "lambda.json"))
	for given, want := range map[string]int{
		"": http.StatusForbidden, "AWS4-HMAC-SHA256 Credential=other/x": http.StatusForbidden, "AWS4-HMAC-SHA256 Credential=key/x": http.StatusOK,
	} {
		r, w := httptest.NewRequest(http.MethodGet, all+id, nil), httptest.NewRecorder()
		r.Header.Set("Authorization", given)
		if m.Handler("key").ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d, want %d", given, w.Code, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lambda.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.Open(path); err == nil || !strings.Contains(err.Error(), "delete the file") {
		t.Error(err)
	}
	if err := open(t, filepath.Join(t.TempDir(), "x")).Run(t.Context(), "other", nil); err == nil {
		t.Error("a mapping that is not there runs")
	}
}

// FuzzUpdate: only a body with Enabled and nothing else switches a mapping.
func FuzzUpdate(f *testing.F) {
	for _, body := range []string{`{"Enabled":false}`, `{"enabled":false}`, `{}`, `[]`, `{"Enabled":null}`, `{"Enabled":false}x`, `{"Enabled":false,"UUID":"x"}`} {
		f.Add(body)
	}
	path := filepath.Join(f.TempDir(), "lambda.json")
	f.Fuzz(func(t *testing.T, body string) {
		m := open(t, path)
		before := ask(t, m, http.MethodGet, all+id, "").State
		a := ask(t, m, http.MethodPut, all+id, body)
		if after := ask(t, m, http.MethodGet, all+id, "").State; a.status != http.StatusAccepted && after != before {
			t.Errorf("%q is refused and switches from %s to %s", body, before, after)
		}
		os.Remove(path)
	})
}
