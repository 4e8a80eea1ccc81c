package queue_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// envelope returns a full envelope around body.
func envelope(body []byte) event.Envelope {
	return event.Envelope{
		ID: "evt_1", Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "default",
		Account: "acct_1", Livemode: true, APIVersion: "2023-10-16", Created: 1700000000,
		ReceivedAt: time.UnixMilli(1700000001234).UTC(), ObjectID: "in_1", Source: event.Webhook, Body: body,
	}
}

// encode fails t where Encode fails or its message breaks a promise of the format.
func encode(t interface{ Fatalf(string, ...any) }, e event.Envelope) string {
	msg, err := queue.Encode(e)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	for i := range len(msg) {
		if msg[i] < 0x20 || msg[i] > 0x7e {
			t.Fatalf("byte %d of the message is %#x", i, msg[i])
		}
	}
	if len(msg) > limits.MaxMessage {
		t.Fatalf("the message has %d bytes", len(msg))
	}
	return msg
}

func decode(t interface{ Fatalf(string, ...any) }, msg string) event.Envelope {
	e, err := queue.Decode(msg)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return e
}

// encodingOf reads a message's member without the package under test.
func encodingOf(t *testing.T, msg string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(msg), &m); err != nil {
		t.Fatal(err)
	}
	s, _ := m["body_encoding"].(string)
	return s
}

func random(n int) []byte {
	out := make([]byte, n)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(out) // never fails
	return out
}

// invoice returns an event of n bytes and more, as large invoices are: many alike lines of ASCII.
func invoice(n int) []byte {
	b := []byte(`{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1","lines":[`)
	for b2 := random(n); len(b) < n; b2 = b2[15:] {
		b = append(b, `{"id":"il_`+base64.RawURLEncoding.EncodeToString(b2[:15])+`","metadata":{"key":"`+strings.Repeat("value ", 12)+`"}},`...)
	}
	return append(b, "{}]}}}\n"...)
}

func TestRoundTrip(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("..", "handlers", "golden", "invoice.paid.json"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		body     []byte
		encoding string
	}{
		{"golden", golden, "base64"},
		{"640 KB", invoice(640 << 10), "zstd+base64"},
		{"every odd character", []byte("{\"a\":\"\ufffe\uffff\ufffd \U0001f381 \u2028\u2029\u00a0 \x01\x1f\x7f\\u0000 <>&\"}\r\n\n"), "base64"},
		{"every odd character, large", []byte("{\"a\":\"" + strings.Repeat("\ufffe\uffff\U0001f381\u2028\x00", 8000) + "\"}\n"), "zstd+base64"},
		{"invalid UTF-8", []byte("\xff\xfe\x00{\xc3"), "base64"},
		{"one byte", []byte{0}, "base64"},
		{"at the compression's edge", random(limits.CompressOver), "base64"},
		{"over the compression's edge", random(limits.CompressOver + 1), "zstd+base64"},
		{"incompressible, as large as fits", random(749_000), "zstd+base64"},
		{"MaxBody", bytes.Repeat([]byte("tollgate"), limits.MaxBody/8), "zstd+base64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := envelope(tt.body)
			msg := encode(t, want)
			got := decode(t, msg)
			if !bytes.Equal(want.Body, got.Body) {
				t.Fatalf("%d bytes came back as %d other bytes", len(want.Body), len(got.Body))
			}
			want.Body, got.Body = nil, nil // compared; cmp is slow on megabytes
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if enc := encodingOf(t, msg); enc != tt.encoding {
				t.Errorf("body encoding is %s, want %s", enc, tt.encoding)
			}
		})
	}
}

func TestIDOnly(t *testing.T) {
	tests := []struct {
		name string
		body []byte
	}{
		{"no body", nil},
		{"incompressible over the message's bound", random(751_000)},
		{"over MaxBody, though it would compress", make([]byte, limits.MaxBody+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg := encode(t, envelope(tt.body))
			if enc := encodingOf(t, msg); enc != "none" || strings.Contains(msg, `"body":`) {
				t.Errorf("body encoding is %q in %d bytes", enc, len(msg))
			}
			if diff := cmp.Diff(envelope(nil), decode(t, msg)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	tests := []struct {
		name   string
		change func(*event.Envelope)
	}{
		{"thin", func(e *event.Envelope) { e.Object, e.CreatedRaw = event.ObjectThin, "2024-09-17T06:20:52.246Z" }},
		{"all that may be empty", func(e *event.Envelope) {
			e.Endpoint, e.Account, e.APIVersion, e.ObjectID, e.Livemode, e.Created = "", "", "", "", false, 0
		}},
		{"object id that a person chose", func(e *event.Envelope) { e.ObjectID = "20 % été 🎁\ufffe\x7f\x00\n\u2028<&>\"\\" }},
		{"longest object id", func(e *event.Envelope) { e.ObjectID = strings.Repeat("🎁", 255) }},
		{"longest names", func(e *event.Envelope) { e.ID, e.Type = strings.Repeat("~", 255), strings.Repeat("!", 255) }},
		{"no time", func(e *event.Envelope) { e.ReceivedAt = time.Time{} }},
		{"negative created", func(e *event.Envelope) { e.Created = math.MinInt64 }},
		{"replay", func(e *event.Envelope) { e.Source = event.Replay }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := envelope([]byte("{}"))
			tt.change(&want)
			if diff := cmp.Diff(want, decode(t, encode(t, want))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEncodeRefuses holds that Encode sends nothing that Decode would refuse.
func TestEncodeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*event.Envelope)
		why    string
	}{
		{"no id", func(e *event.Envelope) { e.ID = "" }, "id or type is missing"},
		{"no type", func(e *event.Envelope) { e.Type = "" }, "id or type is missing"},
		{"no object", func(e *event.Envelope) { e.Object = "" }, `object "" is no event`},
		{"another object", func(e *event.Envelope) { e.Object = "customér" }, `object "custom\u00e9r" is no event`},
		{"no source", func(e *event.Envelope) { e.Source = "" }, `source "" is unknown`},
		{"another source", func(e *event.Envelope) { e.Source = "stripe" }, `source "stripe" is unknown`},
		{"id too long", func(e *event.Envelope) { e.ID = strings.Repeat("e", 256) }, "a header field is over 255 bytes"},
		{"endpoint with a newline", func(e *event.Envelope) { e.Endpoint = "a\nb" }, "a header field has characters"},
		{"account not ASCII", func(e *event.Envelope) { e.Account = "acct_é" }, "a header field has characters"},
		{"object id too long", func(e *event.Envelope) { e.ObjectID = strings.Repeat("x", 1021) }, "object id is over 1020 bytes"},
		{"object id no UTF-8", func(e *event.Envelope) { e.ObjectID = "\xff" }, "object id is over 1020 bytes or no UTF-8"},
		{"body empty", func(e *event.Envelope) { e.Body = []byte{} }, "body is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := envelope([]byte("{}"))
			tt.change(&e)
			msg, err := queue.Encode(e)
			if err == nil || !strings.HasPrefix(err.Error(), "encode message: "+tt.why) {
				t.Errorf("got %q, %v", msg, err)
			}
		})
	}
}

// raw returns a valid message with one member set (or removed, for nil).
func raw(t testing.TB, key string, value any) string {
	t.Helper()
	msg, err := queue.Encode(envelope([]byte("{}")))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(msg), &m); err != nil {
		t.Fatal(err)
	}
	if m[key] = value; value == nil {
		delete(m, key)
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// withBody returns a message with the given body.
func withBody(encoding, body string) string {
	return `{"v":1,"id":"evt_1","object":"event","type":"t","livemode":false,"created":1,"received_at":1,"src":"webhook","body_encoding":"` +
		encoding + `","body":"` + body + `"}`
}

func packed(t testing.TB, size int) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(make([]byte, size), nil)
}

func TestDecodeRefuses(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	whole := packed(t, 100_000)
	tests := []struct{ name, msg, why string }{
		{"nothing", "", "not the JSON"},
		{"text", "hello", "not the JSON"},
		{"null", "null", "not the JSON"},
		{"list", "[]", "not the JSON"},
		{"Stripe's own body", `{"id":"evt_1","object":"event","type":"t","created":1,"livemode":true,"data":{}}`, "message version 0"},
		{"half a message", raw(t, "v", 1)[:60], "not the JSON"},
		{"two messages", raw(t, "v", 1) + raw(t, "v", 1), "not the JSON"},
		{"earlier version", raw(t, "v", 0), "message version 0, this reader knows 1"},
		{"negative version", raw(t, "v", -2), "message version -2"},
		{"later version, a fraction", raw(t, "v", 2.5), "not the JSON"},
		{"later version as text", raw(t, "v", "2"), "not the JSON"},
		{"version beyond integers", strings.Replace(raw(t, "v", 1), `"v":1`, `"v":99999999999999999999`, 1), "not the JSON"},
		{"later version, cut off", raw(t, "v", 2)[:60], "not the JSON"},
		{"version as text", raw(t, "v", "1"), "not the JSON"},
		{"no version", raw(t, "v", nil), "message version 0"},
		{"no id", raw(t, "id", nil), "id or type is missing"},
		{"no type", raw(t, "type", nil), "id or type is missing"},
		{"no object", raw(t, "object", nil), `object "" is no event`},
		{"no livemode", raw(t, "livemode", nil), "livemode, created or received_at is missing"},
		{"no created", raw(t, "created", nil), "livemode, created or received_at is missing"},
		{"no received_at", raw(t, "received_at", nil), "livemode, created or received_at is missing"},
		{"no src", raw(t, "src", nil), `source "" is unknown`},
		{"src a number", raw(t, "src", 5), "not the JSON"},
		{"src not ASCII", raw(t, "src", "webhöök"), `source "webh\u00f6\u00f6k" is unknown`},
		{"unknown src of an earlier version", strings.Replace(raw(t, "src", "import"), `"v":1`, `"v":0`, 1), "message version 0"},
		{"no body encoding", raw(t, "body_encoding", nil), `body encoding "" is unknown`},
		{"no body", raw(t, "body", nil), "body is empty"},
		{"empty body", raw(t, "body", ""), "body is empty"},
		{"body a number", raw(t, "body", 5), "not the JSON"},
		{"created a fraction", raw(t, "created", 1.5), "not the JSON"},
		{"object id no text", raw(t, "object_id", []int{1}), "not the JSON"},
		{"id not ASCII", raw(t, "id", "evt_é"), "a header field has characters"},
		{"another encoding", raw(t, "body_encoding", "gzip+base64"), `body encoding "gzip+base64" is unknown`},
		{"encoding in capitals", raw(t, "body_encoding", "BASE64"), `body encoding "BASE64" is unknown`},
		{"id-only with a body", raw(t, "body_encoding", "none"), "id-only message with a body"},
		{"bad base64", withBody("base64", "e30"), "body is not base64"},
		{"URL base64", withBody("base64", "-_-_"), "body is not base64"},
		{"bad base64 of zstd", withBody("zstd+base64", "***"), "body is not base64"},
		{"no zstd", withBody("zstd+base64", "e30="), "body is not zstd"},
		{"zstd cut off", withBody("zstd+base64", b64(whole[:len(whole)-3])), "body is not zstd"},
		{"zstd with a wrong checksum", withBody("zstd+base64", b64(append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1))), "body is not zstd"},
		{"zstd with a tail", withBody("zstd+base64", b64(append(bytes.Clone(whole), "tail"...))), "body is not zstd"},
		{"zstd of nothing", withBody("zstd+base64", b64(packed(t, 0))), "body is empty"},
		{"zstd of MaxBody and a byte", withBody("zstd+base64", b64(packed(t, limits.MaxBody+1))), "body is over 4194304 bytes"},
		{"larger than the queue takes", strings.Repeat(" ", limits.MaxQueueRequest+1), "message is over 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := queue.Decode(tt.msg)
			if !errors.Is(err, queue.ErrUndecodable) {
				t.Fatalf("error is %v, want ErrUndecodable", err)
			}
			if want := "undecodable message: " + tt.why; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error is %q, want %q…", err, want)
			}
			if diff := cmp.Diff(event.Envelope{}, got); diff != "" {
				t.Errorf("something was read all the same: %s", diff)
			}
		})
	}
}

// TestDecodeNewer: a newer release's message is distinguished from garbage, whatever shape the members
// have that this does not depend on.
func TestDecodeNewer(t *testing.T) {
	named := event.Envelope{ID: "evt_1", Type: "invoice.paid"}
	tests := []struct {
		name, msg, why string
		want           event.Envelope
	}{
		{"next version", raw(t, "v", 2), "version 2, this reader knows 1", named},
		{"much later version", raw(t, "v", int64(9223372036854775807)), "version 9223372036854775807", named},
		{"nothing but its version", `{"v":2}`, "version 2", event.Envelope{}},
		{"members of other shapes", `{"v":3,"id":{"evt":1},"type":["t"],"src":{"by":"webhook"},"livemode":"live","body":[1]}`, "version 3", event.Envelope{}},
		{"an id that no key can hold", `{"v":2,"id":"evt 1","type":"t"}`, "version 2", event.Envelope{Type: "t"}},
		{"unknown src", raw(t, "src", "import"), `source "import" is unknown`, named},
		{"src in capitals", raw(t, "src", "Webhook"), `source "Webhook" is unknown`, named},
		{"unknown src, other shapes", `{"v":1,"src":"import","created":"today"}`, `source "import"`, event.Envelope{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := queue.Decode(tt.msg)
			if !errors.Is(err, queue.ErrNewer) || errors.Is(err, queue.ErrUndecodable) {
				t.Fatalf("error is %v, want ErrNewer alone", err)
			}
			if want := "message of a newer release: " + tt.why; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error is %q, want %q…", err, want)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("envelope (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecodePassesOver what a later writer of the same version may add.
func TestDecodePassesOver(t *testing.T) {
	got, err := queue.Decode(raw(t, "priority", "high"))
	if diff := cmp.Diff(envelope([]byte("{}")), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestBombs unpacks what would grow past all bounds and looks at the memory that it took.
func TestBombs(t *testing.T) {
	frame := packed(t, limits.MaxBody) // a few hundred bytes
	var stream bytes.Buffer            // one frame that does not tell its size
	w, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	for range 32 { // MB of zeros, eight times the bound
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		zstd []byte
	}{
		{"one frame", stream.Bytes()},
		{"a thousand frames", bytes.Repeat(frame, 1000)},
		{"a window of 512 MB", []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x98, 0x03, 0x00, 0x10, 0x00}},
		{"a size of 2^63", []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x03, 0x00, 0x10, 0x00}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg := withBody("zstd+base64", base64.StdEncoding.EncodeToString(tt.zstd))
			if len(msg) > limits.MaxQueueRequest {
				t.Fatalf("the bomb of %d bytes is too large to be one", len(msg))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := queue.Decode(msg)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, queue.ErrUndecodable) {
				t.Fatalf("error is %v", err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 12*limits.MaxBody {
				t.Errorf("took %d bytes", used)
			} else {
				t.Logf("%d bytes of message took %d bytes: %v", len(msg), used, err)
			}
		})
	}
}

// FuzzDecode holds: no panic, bounded bodies, and what is accepted encodes to an equal envelope.
func FuzzDecode(f *testing.F) {
	for _, body := range [][]byte{nil, []byte("{}")} {
		msg, err := queue.Encode(envelope(body))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	f.Add(raw(f, "v", 2))
	f.Add(raw(f, "object_id", "é\ufffe🎁"))
	f.Add(withBody("zstd+base64", base64.StdEncoding.EncodeToString(packed(f, 1000))))
	f.Add(`{"v":1,"ID":"evt_1","id":"evt_2"}`)
	for _, name := range []string{"snapshot", "organisation", "thin"} {
		f.Add(partner(f, name))
	}
	f.Fuzz(func(t *testing.T, msg string) {
		got, err := queue.Decode(msg)
		if err != nil {
			if errors.Is(err, queue.ErrNewer) == errors.Is(err, queue.ErrUndecodable) || got.Object != "" || got.Body != nil {
				t.Fatalf("refused as %v with %+v", err, got)
			}
			return
		}
		if len(got.Body) > limits.MaxBody {
			t.Fatalf("%d bytes of body", len(got.Body))
		}
		again := decode(t, encode(t, got))
		if again.Body == nil && len(got.Body) > limits.CompressOver {
			again.Body = got.Body // packed worse than its writer did, it goes id-only
		}
		if !bytes.Equal(got.Body, again.Body) || (got.Body == nil) != (again.Body == nil) {
			t.Fatalf("%d bytes came back as %d other bytes", len(got.Body), len(again.Body))
		}
		got.Body, again.Body = nil, nil
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// encodes draws envelopes as [event.Parse] makes them and holds that each comes back as it was.
func encodes(t *rapid.T) {
	name := rapid.StringMatching(`[!-~]{1,255}`)
	maybe := rapid.StringMatching(`[!-~]{0,255}`)
	want := event.Envelope{
		ID: name.Draw(t, "id"), Type: name.Draw(t, "type"),
		Object:   rapid.SampledFrom([]string{event.ObjectSnapshot, event.ObjectThin}).Draw(t, "object"),
		Endpoint: maybe.Draw(t, "endpoint"), Account: maybe.Draw(t, "account"),
		Livemode: rapid.Bool().Draw(t, "livemode"), APIVersion: maybe.Draw(t, "api version"),
		Created: rapid.Int64().Draw(t, "created"), CreatedRaw: maybe.Draw(t, "created raw"),
		ReceivedAt: time.UnixMilli(rapid.Int64Range(-1<<45, 1<<45).Draw(t, "received at")).UTC(),
		ObjectID:   rapid.StringN(0, 255, 1020).Draw(t, "object id"),
		Source:     rapid.SampledFrom([]event.Source{event.Webhook, event.Reconcile, event.Backfill, event.Replay}).Draw(t, "source"),
	}
	if rapid.Bool().Draw(t, "has a body") {
		want.Body = bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "body"), rapid.IntRange(1, 2000).Draw(t, "times"))
	}
	if diff := cmp.Diff(want, decode(t, encode(t, want))); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

func TestEncode(t *testing.T) { rapid.Check(t, encodes) }

func FuzzEncode(f *testing.F) { f.Fuzz(rapid.MakeFuzz(encodes)) }
