package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"tollgate/pkg/local/aws/awsjson"
)

// Nothing but what seal wrote opens, and it opens as what was sealed.
func FuzzReceipt(f *testing.F) {
	s := receiptSealer{key: []byte("key")}
	f.Add("", uint64(1), uint64(2), uint32(3))
	f.Add(s.seal(receipt{Queue: 1, Seq: 2, Receives: 3}), uint64(1), uint64(2), uint32(3))
	f.Add(receiptSealer{key: []byte("other")}.seal(receipt{Queue: 1, Seq: 2, Receives: 3}), uint64(0), uint64(0), uint32(0))
	f.Fuzz(func(t *testing.T, handle string, queue, seq uint64, receives uint32) {
		want := receipt{receiptVersion, queue, seq, receives}
		if got, ok := s.open(s.seal(want)); !ok || got != want {
			t.Fatalf("sealed %v, opened %v %v", want, got, ok)
		}
		if r, ok := s.open(handle); ok && s.seal(r) != handle {
			t.Errorf("%q opened as %v", handle, r)
		}
	})
}

// What is accepted as queue attributes means the same when it is read from the file again.
func FuzzQueueAttributes(f *testing.F) {
	for _, seed := range [][2]string{{"DelaySeconds", "5"}, {"MaximumMessageSize", "1024"}, {"Policy", "{}"},
		{"RedrivePolicy", `{"deadLetterTargetArn":"a","maxReceiveCount":"3"}`},
		{"Nope", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		merged := mergeAttributes(defaultAttributes(), map[string]string{name: value})
		set, err := parseSettings(merged)
		if err != nil {
			if e, ok := err.(*awsjson.Error); !ok || e.Status != 400 {
				t.Errorf("error %v", err)
			}
			return
		}
		if set.delay > 900 || set.maxBytes > maxMessageBytes || set.retention < 60 || set.wait > 20 || set.visibility > maxVisibility ||
			set.redrive != nil && (set.redrive.maxReceives < 1 || set.redrive.maxReceives > 1000) {
			t.Errorf("accepted %+v", set)
		}
		if again, err := parseSettings(merged); err != nil || !reflect.DeepEqual(again, set) {
			t.Errorf("read again: %+v %v", again, err)
		}
	})
}

// A text is allowed exactly if it is UTF-8 and every character is on the list.
func FuzzText(f *testing.F) {
	for _, seed := range []string{`"a"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\\ud83d"`, `"\ude00\ud83d"`, "\"\xff\"", `"\u0000"`, `"\ufffd"`, `"\\\ud83d\\"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got text
		if json.Unmarshal(raw, &got) != nil || len(bytes.TrimSpace(raw)) == 0 || bytes.TrimSpace(raw)[0] != '"' {
			return
		}
		want := utf8.Valid(raw) && !strings.ContainsFunc(got.value, func(r rune) bool {
			return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		})
		if got.allowed() != want {
			t.Errorf("%q allowed: %v", raw, got.allowed())
		}
	})
}

// A stored message reads back as it was, and a damaged one is an error.
func FuzzPayload(f *testing.F) {
	whole, err := (&payload{ID: "i", Body: "b", Trace: "t"}).encode()
	if err != nil {
		f.Fatal(err)
	}
	for n := range len(whole) + 1 {
		f.Add(whole[:n])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePayload(b)
		if err != nil {
			return
		}
		encoded, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodePayload(encoded); err != nil || again.Body != p.Body || again.ID != p.ID {
			t.Errorf("%+v read back as %+v, %v", p, again, err)
		}
	})
}

// Any body to any operation: an answer or a caller's error, and the service continues.
func FuzzOperations(f *testing.F) {
	s, err := Open(filepath.Join(f.TempDir(), "sqs.db"), Options{Speed: maxSpeed})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	const url = `"QueueUrl":"http://x/000000000000/q"`
	for _, seed := range []string{`{}`, `[]`, `null`, `{"QueueName":"q"}`, `{` + url + `}`, `{` + url + `,"MessageBody":"b"}`,
		`{` + url + `,"Entries":[{"Id":"a","MessageBody":"b","ReceiptHandle":"r","VisibilityTimeout":1}]}`,
		`{` + url + `,"Attributes":{"DelaySeconds":"1"}}`, `{"SourceArn":"arn:aws:sqs:us-east-1:000000000000:q","TaskHandle":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, run := range s.Service().Operations {
			_, err := run(context.Background(), body)
			if e, ok := err.(*awsjson.Error); err != nil && (!ok || e.Status >= 500) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
