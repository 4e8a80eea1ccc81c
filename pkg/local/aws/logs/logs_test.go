package logs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/logs"
)

// answer is what FilterLogEvents answers, or an error's type.
type answer struct {
	Events []struct {
		Message   string
		Timestamp int64
	}
	NextToken string
	Type      string `json:"__type"`
}

func filter(t *testing.T, s *logs.Store, request string) (a answer) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(request))
	r.Header.Set("X-Amz-Target", "Logs_20140328.FilterLogEvents")
	w := httptest.NewRecorder()
	awsjson.Handler(s.Service()).ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func put(s *logs.Store, ms int64, text string) { s.Put("g", time.UnixMilli(ms), []byte(text)) }

func TestFilter(t *testing.T) {
	s := logs.New("g")
	for i, text := range []string{
		`{"message":"delivery","event_id":"evt_1"}` + "\n", `{"event_id":"evt_10"}`, `{"other":"evt_1"}`, `evt_1 "event_id"`,
		`{"event_id":["evt_1"]}`, `{"event_id":"evt_1","n":2}`, `{"nested":{"event_id":"evt_1"}}`, `{"event_id":"evt_1`,
	} {
		put(s, int64(100+i), text)
	}
	s.Put("none", time.UnixMilli(1), []byte("x"))
	const of = `"logGroupName":"g","filterPattern":"{ $.event_id = \"evt_1\" }"`
	for request, want := range map[string]string{
		`{` + of + `}`:                                                   "100 105",
		`{` + of + `,"startTime":101}`:                                   "105",
		`{` + of + `,"startTime":100,"endTime":104}`:                     "100",
		`{` + of + `,"endTime":100}`:                                     "100",
		`{` + of + `,"limit":1}`:                                         "100 token",
		`{` + of + `,"nextToken":"1"}`:                                   "105",
		`{` + of + `,"nextToken":"99"}`:                                  "",
		`{"logGroupName":"g","limit":2}`:                                 "100 101 token",
		`{"logGroupName":"none"}`:                                        "ResourceNotFoundException",
		`{"logGroupName":"g","limit":0}`:                                 "InvalidParameterException",
		`{"logGroupName":"g","nextToken":"x"}`:                           "InvalidParameterException",
		`{"logGroupName":"g","interleaved":true}`:                        "InvalidParameterException",
		`{"logGroupName":"g","filterPattern":"{ $.event_id = \"\" }"}`:   "InvalidParameterException",
		`{"logGroupName":"g","filterPattern":"{ $.a = \"\\\" || 1\" }"}`: "InvalidParameterException",
		`{"logGroupName":"g","filterPattern":"evt_1"}`:                   "InvalidParameterException",
		`{"logGroupName":1}`:                                             "SerializationException",
	} {
		a := filter(t, s, request)
		got := a.Type
		for _, e := range a.Events {
			got += fmt.Sprintf(" %d", e.Timestamp)
		}
		if a.NextToken != "" {
			got += " token"
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	if got := filter(t, s, `{`+of+`}`).Events[0].Message; got != `{"message":"delivery","event_id":"evt_1"}` {
		t.Errorf("the line is %q", got)
	}
}

// TestBounds: a group keeps the newest 16 MiB, a line 256 KiB, and a page that finds nothing in
// 2 MiB is empty and goes on.
func TestBounds(t *testing.T) {
	s := logs.New("g")
	put(s, 1, `{"event_id":"evt_old"}`)
	big := strings.Repeat("x", 300<<10)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 20 {
				put(s, 2, big)
				filter(t, s, `{"logGroupName":"g","limit":1}`)
			}
		})
	}
	wait.Wait()
	put(s, 3, `{"event_id":"evt_new"}`)
	lines, pages, token := 0, 0, ""
	for ok := true; ok; ok = token != "" {
		a := filter(t, s, `{"logGroupName":"g","nextToken":"`+token+`"}`)
		token, pages, lines = a.NextToken, pages+1, lines+len(a.Events)
		for _, e := range a.Events {
			if len(e.Message) > 256<<10 || strings.Contains(e.Message, "evt_old") {
				t.Fatalf("a line of %d bytes: %.40s", len(e.Message), e.Message)
			}
		}
	}
	if lines != 64 || pages < 7 {
		t.Errorf("%d lines in %d pages", lines, pages)
	}
	a := filter(t, s, `{"logGroupName":"g","filterPattern":"{ $.event_id = \"evt_new\" }"}`)
	if len(a.Events) != 0 || a.NextToken == "" {
		t.Errorf("the first page has %d lines, token %q", len(a.Events), a.NextToken)
	}
}
