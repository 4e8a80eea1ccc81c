package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/members"
)

// wire is the JSON form of a message body. The pointers tell a missing member from a
// zero: a message without livemode must not read as one of test mode.
type wire struct {
	Version      int    `json:"v"`
	ID           string `json:"id"`
	Object       string `json:"object"`
	Type         string `json:"type"`
	Endpoint     string `json:"endpoint,omitempty"`
	Account      string `json:"account,omitempty"`
	Context      bool   `json:"context,omitempty"` // Account was read from the event's context
	Livemode     *bool  `json:"livemode"`
	APIVersion   string `json:"api_version,omitempty"`
	Created      *int64 `json:"created"`
	CreatedRaw   string `json:"created_raw,omitempty"`
	ReceivedAt   *int64 `json:"received_at"`
	ObjectID     string `json:"object_id,omitempty"`
	Source       string `json:"src"`
	BodyEncoding string `json:"body_encoding"`
	Body         string `json:"body,omitempty"`
}

func newerBefore(body string) (event.Envelope, error) {
	var is struct {
		Version json.RawMessage `json:"v"`
		Source  json.RawMessage `json:"src"`
		ID      json.RawMessage `json:"id"`
		Type    json.RawMessage `json:"type"`
	}
	if json.Unmarshal([]byte(body), &is) != nil {
		return event.Envelope{}, nil
	}
	v, err := strconv.ParseInt(string(is.Version), 10, 64)
	if err != nil || v < version {
		return event.Envelope{}, nil
	}
	e := event.Envelope{ID: headerTextBefore(is.ID), Type: headerTextBefore(is.Type)}
	if v > version {
		return e, fmt.Errorf("%w: version %d, this reader knows %d", ErrNewer, v, version)
	}
	if src := headerTextBefore(is.Source); src != "" && !event.Source(src).Valid() {
		return e, fmt.Errorf("%w: source %.40q is unknown", ErrNewer, src)
	}
	return event.Envelope{}, nil
}

func headerTextBefore(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil || checkText(s) != nil {
		return ""
	}
	return s
}

func decodeBefore(body string) (event.Envelope, error) {
	var w wire
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		return event.Envelope{}, errors.New("not the JSON of a message")
	}
	if w.Version != version {
		return event.Envelope{}, fmt.Errorf("message version %d, this reader knows %d", w.Version, version)
	}
	if w.Livemode == nil || w.Created == nil || w.ReceivedAt == nil {
		return event.Envelope{}, errors.New("livemode, created or received_at is missing")
	}
	raw, err := unpack(w.BodyEncoding, []byte(w.Body))
	if err != nil {
		return event.Envelope{}, err
	}
	e := event.Envelope{
		ID: w.ID, Object: w.Object, Type: w.Type, Endpoint: w.Endpoint, Account: w.Account,
		Livemode: *w.Livemode, APIVersion: w.APIVersion, Created: *w.Created, CreatedRaw: w.CreatedRaw,
		ReceivedAt: time.UnixMilli(*w.ReceivedAt).UTC(), ObjectID: w.ObjectID,
		Source: event.Source(w.Source), Body: raw,
	}
	if w.Context {
		e.AccountFrom = event.FromContext
	} else {
		readContext(&e)
	}
	return e, check(e)
}

// FuzzAgainstEncodingJSON: Decode reads what encoding/json reads, and refuses the rest as it
// does. What Encode then writes, encoding/json reads.
func FuzzAgainstEncodingJSON(f *testing.F) {
	paths, err := filepath.Glob("../../testdata/wire/v1/messages/*")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden messages: %v", err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	const rest = `"object":"event","type":"t","livemode":true,"created":-0,"received_at":1,"src":"webhook","body_encoding":"base64","body":"e\u00330="}`
	for _, start := range []string{
		`{"v":1,"id":"evt_1",`, `{"v":1,"ID":"evt_1",`, `{"v":1,"v":2,"id":"a","id":"evt_1",`, `{"v":2,"V":1,"id":"a","I\u0044":"evt_1",`, `{"v":1,"id":null,`, `{"v":2,"id":1,`, `{"v":1.0,"id":"1",`, `{"v":1,"id":"<\u0026>","object_id":"\ud83c\udf81\u007f\n",`,
		`{"v":1,"id":"a","context":true,"account":"acct_1",`, `{"v":1,"id":"a","context":1,`, `{"v":1,"id":"a","created_raw":"x","api_version":7,`,
	} {
		f.Add(start + rest)
	}
	f.Add("null")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := Decode(body)
		want, wantErr := newerBefore(body)
		if wantErr == nil {
			if want, wantErr = decodeBefore(body); wantErr != nil {
				want, wantErr = event.Envelope{}, fmt.Errorf("%w: %w", ErrUndecodable, wantErr)
			}
		}
		if found := members.Find([]byte(body), newMessage()); found != nil && (wantErr != nil || strings.Contains(body, "null")) {
			return // to encoding/json every one of two members must fit, and null never is the last
		}
		if diff := cmp.Diff(want, got); diff != "" || errors.Is(err, ErrNewer) != errors.Is(wantErr, ErrNewer) || errors.Is(err, ErrUndecodable) != errors.Is(wantErr, ErrUndecodable) {
			t.Fatalf("%q: %v, want %v; %s", body, err, wantErr, diff)
		}
		if err == nil {
			writesWhatEncodingJSONReads(t, got)
		}
	})
}

func writesWhatEncodingJSONReads(t *testing.T, e event.Envelope) {
	t.Helper()
	if e.AccountFrom == event.FromBody {
		e.AccountFrom = event.FromContext // Encode has one word for both
	}
	body, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeBefore(body)
	if err != nil || !bytes.Equal(got.Body, e.Body) {
		t.Fatalf("%q: %v", body, err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Fatalf("%q: %s", body, diff)
	}
}
