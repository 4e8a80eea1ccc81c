package faultproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestFaults sends one request after another through each fault.
func TestFaults(t *testing.T) {
	type answer struct {
		status int // 0: none
		has    string
		passed bool // the service has seen the request
	}
	good := answer{200, "answered", true}
	for name, c := range map[string]struct {
		fault Fault
		want  []answer
		met   int
	}{
		"none":           {Fault{Operation: "PutItem", Do: Never}, []answer{good}, 0},
		"another item":   {Fault{Item: "EVT#evt_2", Do: Never}, []answer{good}, 0},
		"never":          {Fault{Operation: "UpdateItem", Item: "EVT#evt_1", Times: 1, Do: Never}, []answer{{}, good}, 1},
		"lost":           {Fault{Operation: "UpdateItem", Times: 1, Do: Lost}, []answer{{passed: true}, good}, 1},
		"reset":          {Fault{Times: 1, Do: Reset}, []answer{{}, good}, 1},
		"late":           {Fault{Times: 1, Do: Late(50 * time.Millisecond)}, []answer{good, good}, 1},
		"throttled":      {Fault{Times: 2, Do: Throttle}, []answer{{400, "ThrottlingException", false}, {400, "ThrottlingException", false}, good}, 2},
		"expired":        {Fault{Times: 1, Do: Expire}, []answer{{400, "Signature expired", false}, good}, 1},
		"503":            {Fault{Times: 1, Do: Answer(503, "busy")}, []answer{{503, "busy", false}, good}, 1},
		"for as long as": {Fault{For: time.Hour, Do: Throttle}, []answer{{400, "", false}, {400, "", false}}, 2},
		"time is over":   {Fault{For: time.Nanosecond, Do: Throttle}, []answer{{400, "", false}, good}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int32
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), "EVT#evt_1") {
					t.Errorf("the service reads %q", body)
				}
				seen.Add(1)
				io.WriteString(w, "answered")
			}))
			t.Cleanup(service.Close)
			p, err := Start(service.URL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			armed := p.Add(c.fault)
			for n, want := range c.want {
				before := seen.Load()
				status, text, err := post(t, p.URL, time.Second)
				if status != want.status || !strings.Contains(text, want.has) || (seen.Load() > before) != want.passed {
					t.Errorf("request %d: %d %q, passed %t, error %v; want %+v", n, status, text, seen.Load() > before, err, want)
				}
			}
			if armed.Met() != c.met {
				t.Errorf("met %d requests, want %d", armed.Met(), c.met)
			}
		})
	}
}

// TestLateIsLate: the answer does not come before its time.
func TestLateIsLate(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(service.Close)
	p, err := Start(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	p.Add(Fault{Operation: "POST /v1", Do: Late(time.Hour)})
	if _, _, err := post(t, p.URL+"/v1/x", 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func post(t *testing.T, url string, patience time.Duration) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"pk":"EVT#evt_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.UpdateItem")
	if strings.Contains(url, "/v1") {
		r.Header.Del("X-Amz-Target")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}
