package lambdahost

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// ask sends one request for the next invocation.
func (a *runtimeAPI) ask(ctx context.Context, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path+apiPath+"invocation/next", nil)
	r.Host = "127.0.0.1:9001"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	a.handler().ServeHTTP(w, r)
	return w
}

// TestNextIsForTheProcessAlone: an invocation that another program takes is lost, though
// ingest's was answered 200.
func TestNextIsForTheProcessAlone(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name   string
		noKey  bool
		change func(*http.Request)
		want   int
	}{
		{"a name that leads here", false, func(r *http.Request) { r.Host = "rebound.example:9001" }, http.StatusForbidden},
		{"a page", false, header("Origin", "https://shop.example"), http.StatusForbidden},
		{"a page without CORS", false, header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"a program without the key", true, nil, http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newRuntimeAPI("arn")
			path := "/" + a.key
			if c.noKey {
				path = ""
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if w := a.ask(ctx, path, c.change); w.Code != c.want {
				t.Errorf("status %d, want %d", w.Code, c.want)
			}
			if len(a.parked) > 0 {
				t.Error("it counts as the process")
			}
		})
	}
}

func TestOneRequestWaitsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRuntimeAPI("arn")
		ctx, hangUp := context.WithCancel(t.Context())
		lost := make(chan struct{})
		go func() { a.ask(ctx, "/"+a.key, nil); close(lost) }()
		synctest.Wait()
		if w := a.ask(t.Context(), "/"+a.key, nil); w.Code != http.StatusForbidden {
			t.Fatalf("a second request: status %d, want 403", w.Code)
		}
		hangUp()
		<-lost
		got := make(chan *httptest.ResponseRecorder)
		go func() { got <- a.ask(t.Context(), "/"+a.key, nil) }()
		a.jobs <- &invocation{id: "id", payload: []byte("{}")}
		if w := <-got; w.Code != http.StatusOK || w.Header().Get("Lambda-Runtime-Aws-Request-Id") != "id" {
			t.Errorf("after a lost connection: status %d, want the invocation", w.Code)
		}
		if w := a.ask(t.Context(), "/"+a.key, nil); w.Code != http.StatusForbidden {
			t.Errorf("with an invocation that has no answer: status %d, want 403", w.Code)
		}
	})
}
