package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLinesOfEarlierVersionsAreTakenOver: an event that waits in the queue may still have
// to be fetched.
func TestLinesOfEarlierVersionsAreTakenOver(t *testing.T) {
	folder := t.TempDir()
	o := Options{Path: filepath.Join(folder, "stripe.db"), Lines: filepath.Join(folder, "stripe-events.jsonl")}
	a := says("evt_a", "coupon.updated", 5, `{"id":"x","object":"coupon","mark":"event"}`)
	var lines bytes.Buffer
	for _, e := range []entry{
		{Body: a}, {Body: thinBody("evt_t", "", "2026-11-18T00:00:00Z")},
		{State: &state{objectKey: objectKey{Kind: "customer", ID: "cus_1"}, Put: true, Body: []byte(`{"id":"cus_1","object":"customer","mark":"put"}`)}},
		{State: &state{objectKey: objectKey{Kind: "coupon", ID: "gone"}, Put: true, Gone: true}},
		{Endpoint: &endpoint{ID: "we_1", URL: "http://127.0.0.1/a", Events: []string{"*"}}},
		{Endpoint: &endpoint{ID: "we_2", URL: "http://127.0.0.1/b", Events: []string{"*"}}},
		{Endpoint: &endpoint{ID: "we_1", Deleted: true}},
	} {
		if err := json.NewEncoder(&lines).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	lines.WriteString(`{"body":"half`)
	if err := os.WriteFile(o.Lines, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, url := open(t, o)
		if got := kept(t, s); !slices.Equal(got, []string{"evt_a", "evt_t"}) {
			t.Errorf("kept %v", got)
		}
		if _, _, got := do(t, "GET", url+"/v1/events/evt_a", nil); !bytes.Equal(got, a) {
			t.Errorf("evt_a is not the same bytes: %s", got)
		}
		if mark(t, url, "/v1/customers/cus_1") != "put" || mark(t, url, "/v1/coupons/x") != "event" || mark(t, url, "/v1/coupons/gone") != "" {
			t.Error("the objects are others")
		}
		if len(s.endpoints) != 1 || s.endpoints[0].ID != "we_2" {
			t.Errorf("endpoints %+v", s.endpoints)
		}
		if _, err := os.Stat(o.Lines); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: the old file is still there", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBrokenLinesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ content, want string }{
		"broken line": {"{\n", "line 1"},
		"no event":    {`{"body":"e30="}` + "\n", "not a Stripe event"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Options{Lines: path})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with the path and %q", err, tt.want)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("the file that could not be read is gone: %v", err)
			}
		})
	}
}
