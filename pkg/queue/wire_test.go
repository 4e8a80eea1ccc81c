package queue_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/queue"
)

// update writes the folder of a version that is new. It never changes a file that is there.
var update = flag.Bool("update", false, "write the golden messages of a new version")

// golden is where each release's messages and records are kept, one folder for each version.
const golden = "../../testdata/wire"

// wireEnvelopes are the envelopes behind the golden messages, by file name.
func wireEnvelopes() map[string]event.Envelope {
	whole := func(change func(*event.Envelope)) event.Envelope {
		e := event.Envelope{
			ID: "evt_1TollgateWire", Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "connect-eu", Account: "acct_1TollgateWire",
			Livemode: true, APIVersion: "2023-10-16", Created: 1_795_053_664, ReceivedAt: time.UnixMilli(1_795_053_665_123).UTC(),
			ObjectID: "in_1TollgateWire", Source: event.Webhook,
			Body: []byte(`{"id":"evt_1TollgateWire","object":"event","type":"invoice.paid"}`),
		}
		change(&e)
		return e
	}
	return map[string]event.Envelope{
		"webhook":   whole(func(*event.Envelope) {}),
		"reconcile": whole(func(e *event.Envelope) { e.Source = event.Reconcile }),
		"backfill":  whole(func(e *event.Envelope) { e.Source = event.Backfill }),
		"replay":    whole(func(e *event.Envelope) { e.Source = event.Replay }),
		"id-only":   whole(func(e *event.Envelope) { e.Body = nil }),
		"zstd":      whole(func(e *event.Envelope) { e.Body = bytes.Repeat([]byte(`{"line":"item"} `), 5000) }),
		"chosen-id": whole(func(e *event.Envelope) { e.ObjectID = "20 % été 🎁 \ufffe" }),
		"context":   whole(func(e *event.Envelope) { e.AccountFrom = event.FromContext }),
		"least": {
			ID: "evt_1TollgateWire", Object: event.ObjectSnapshot, Type: "balance.available", ReceivedAt: time.UnixMilli(0).UTC(),
			Source: event.Webhook, Body: []byte("{}"),
		},
		"thin": whole(func(e *event.Envelope) {
			e.Object, e.Type, e.APIVersion, e.ObjectID = event.ObjectThin, "v1.billing.meter.error_report_triggered", "", "mtr_1TollgateWire"
			e.CreatedRaw, e.Body = "2026-11-19T02:01:04.123Z", []byte(`{"id":"evt_1TollgateWire","object":"v2.core.event"}`)
		}),
	}
}

// TestReadsEveryVersion: what any release wrote is read by this one.
func TestReadsEveryVersion(t *testing.T) {
	want := wireEnvelopes()
	paths, err := filepath.Glob(filepath.Join(golden, "v*", "messages", "*.json"))
	if err != nil || len(paths) < len(want) {
		t.Fatalf("%d golden messages (%v), want at least %d", len(paths), err, len(want))
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		e, known := want[name]
		if !known {
			t.Errorf("%s: no envelope of that name", path)
			continue
		}
		got, err := queue.Decode(string(readGolden(t, path)))
		if diff := cmp.Diff(e, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", path, err, diff)
		}
	}
}

// TestWritesTheGoldenForm: this release writes each message as the release that introduced
// its version did. A change of the form needs a new version, and with it a folder.
func TestWritesTheGoldenForm(t *testing.T) {
	for name, e := range wireEnvelopes() {
		t.Run(name, func(t *testing.T) {
			message, err := queue.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			written := members(t, []byte(message))
			path := filepath.Join(golden, fmt.Sprintf("v%v", written["v"]), "messages", name+".json")
			if _, err := os.Stat(path); err != nil && *update {
				writeGolden(t, path, message)
			}
			if diff := cmp.Diff(members(t, readGolden(t, path)), written); diff != "" {
				t.Errorf("a message of another form needs another version and its own folder (-golden +written):\n%s", diff)
			}
		})
	}
}

// members returns a message's members. One compression's bytes are as good as another's,
// so a compressed body is replaced by what it holds.
func members(t *testing.T, message []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	if m["body_encoding"] == "zstd+base64" {
		e, err := queue.Decode(string(message))
		if err != nil {
			t.Fatal(err)
		}
		m["body"] = string(e.Body)
	}
	return m
}

func readGolden(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("the version has no golden message: run with -update, and deploy its readers first: %v", err)
	}
	return bytes.TrimSuffix(data, []byte("\n"))
}

func writeGolden(t *testing.T, path, message string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(message+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
