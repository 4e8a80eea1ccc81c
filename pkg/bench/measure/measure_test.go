package main

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/pkg/bench"
	"tollgate/pkg/local"
)

func loadOf(t *testing.T, h http.Handler, typ string) *load {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	l, err := newLoad(&process{Info: local.Info{URL: server.URL, Secret: bench.Secret}}, typ, &atomic.Int64{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestOpenLoopOmitsNothing: a server that answers nothing for a while delays every delivery
// that is due in that time, and each of them counts.
func TestOpenLoopOmitsNothing(t *testing.T) {
	const stall = 400 * time.Millisecond
	l := loadOf(t, http.HandlerFunc(func() func(http.ResponseWriter, *http.Request) {
		began := time.Now()
		return func(http.ResponseWriter, *http.Request) { <-time.After(time.Until(began.Add(stall))) }
	}()), bench.Ignored)
	l.open(t.Context(), 100, stall)
	if err := l.check(); err != nil || l.accepted != 40 {
		t.Fatalf("%d accepted, %v; want 40", l.accepted, err)
	}
	slow := 0
	for _, bar := range l.latency.Distribution() {
		if bar.From >= stall.Microseconds()/2 {
			slow += int(bar.Count)
		}
	}
	if slow < 18 { // those due in the first half
		t.Errorf("%d deliveries took half of the stall or more, want about 20", slow)
	}
}

// TestDurable: the floor keeps each event once, whole and in order of its answer.
func TestDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := &journal{file: f, seen: map[string]bool{}, synced: make(chan struct{})}
	l := loadOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { j.ServeHTTP(w, r) }), "invoice.paid")
	l.closed(t.Context(), 8, 100*time.Millisecond)
	again := l.number.Load()
	l.number.Store(0) // the same events
	l.closed(t.Context(), 8, 20*time.Millisecond)
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stored := int64(0)
	for rest := raw; len(rest) > 0; stored++ {
		size, n := binary.Uvarint(rest)
		if body := rest[n : n+int(size)]; !bytes.Contains(body, []byte(`"type": "invoice.paid"`)) {
			t.Fatalf("stored %q", body)
		}
		rest = rest[n+int(size):]
	}
	if want := max(again, l.number.Load()); stored != want {
		t.Errorf("%d events are stored, want %d", stored, want)
	}
	l.secret = "whsec_other"
	l.post(time.Now())
	if l.failures["answered 400"] != 1 {
		t.Errorf("a forged delivery: %v, want one 400", l.failures)
	}
}

// TestDone reads the lines of tollgate dev, also in parts.
func TestDone(t *testing.T) {
	d := newDone()
	text := "16:23:01 INFO  ingest   delivery outcome=enqueued event_id=evt_N0000001 event_type=plan.created\n" +
		"16:23:01 INFO  consumer event event_id=evt_N0000002 event_type=plan.created endpoint=default outcome=ignored attempt=1\n" +
		"16:23:01 INFO  consumer event event_id=evt_1T0000003E9ANXlWrBcs6Gw4 event_type=invoice.paid outcome=applied attempt=1\n" +
		"16:23:01 WARN  consumer event event_id=evt_1T0000004E9ANXlWrBcs6Gw4 event_type=invoice.paid outcome=failed attempt=1\n"
	for _, b := range []byte(text) {
		if _, err := d.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	_, two := d.at["N0000002"]
	_, three := d.at["T0000003"]
	if len(d.at) != 2 || !two || !three || d.note == "" {
		t.Errorf("done %v, note %q; want N0000002 and T0000003, and the failed line", d.at, d.note)
	}
}
