package verify

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/event"
)

const (
	secretA = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	secretB = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
	body    = `{"id":"evt_1","object":"event","api_version":"2023-10-16","created":1700000000,` +
		`"data":{"object":{"id":"in_1","object":"invoice"}},"livemode":true,"type":"invoice.paid"}`
)

func sign(at time.Time, payload, secret string) string {
	return hex.EncodeToString(webhook.ComputeSignature(at, []byte(payload), secret))
}

func header(at time.Time, payload string, secrets ...string) string {
	h := fmt.Sprintf("t=%d", at.Unix())
	for _, s := range secrets {
		h += ",v1=" + sign(at, payload, s)
	}
	return h
}

// reasonOf returns the reason of a rejection, "" for a verified delivery.
func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	no, ok := errors.AsType[*Rejection](err)
	if !ok {
		t.Fatalf("error %v is not a *Rejection", err)
	}
	return no.Reason
}

// bubble runs f with a fake clock at a whole second.
func bubble(t *testing.T, f func(t *testing.T, now time.Time)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, time.Now()) })
}

func TestDeliveryEnvelope(t *testing.T) {
	bubble(t, func(t *testing.T, now time.Time) {
		got, err := Delivery([]byte(body), header(now, body, secretB), Options{Endpoint: "eu", Secrets: []string{secretA, secretB}})
		if err != nil {
			t.Fatal(err)
		}
		want := Result{SecretIndex: 1, Envelope: event.Envelope{
			ID: "evt_1", Object: "event", Type: "invoice.paid", Endpoint: "eu", Livemode: true,
			APIVersion: "2023-10-16", Created: 1700000000, ReceivedAt: now, ObjectID: "in_1",
			Source: event.Webhook, Body: []byte(body),
		}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("result (-want +got):\n%s", d)
		}
	})
}

// TestHeader has a row for every form of header that stripe-go distinguishes. It compares each
// with stripe-go's verdict, so it fails for a version that decides otherwise.
func TestHeader(t *testing.T) {
	bubble(t, func(t *testing.T, now time.Time) {
		n, sig := now.Unix(), sign(now, body, secretA)
		wrong := strings.Repeat("00", 32)
		ts := fmt.Sprintf("t=%d", n)
		rows := []struct {
			name, header string
			want         Reason
			oracle       error
		}{
			{"plain", ts + ",v1=" + sig, "", nil},
			{"v1 before t", "v1=" + sig + "," + ts, "", nil},
			{"with v0", ts + ",v1=" + sig + ",v0=" + wrong, "", nil},
			{"upper-case hex", ts + ",v1=" + strings.ToUpper(sig), "", nil},
			{"twenty wrong v1, then a good one", ts + strings.Repeat(",v1="+wrong, 20) + ",v1=" + sig, "", nil},
			{"bad hex v1, then a good one", ts + ",v1=zz,v1=" + sig, "", nil},
			{"two header values joined by a comma", ts + ",v1=" + wrong + "," + ts + ",v1=" + sig, "", nil},
			{"last t wins", "t=1," + ts + ",v1=" + sig, "", nil},
			{"plus sign", fmt.Sprintf("t=+%d,v1=%s", n, sig), "", nil},
			{"leading zeros", fmt.Sprintf("t=000%d,v1=%s", n, sig), "", nil},
			{"unknown keys", ts + ",x=1,v2=2,v1=" + sig, "", nil},

			{"empty", "", Missing, webhook.ErrNotSigned},

			{"only v0", ts + ",v0=" + sig, NoMatch, webhook.ErrNoValidSignature},
			{"only v2", ts + ",v2=" + sig, NoMatch, webhook.ErrNoValidSignature},
			{"space after the comma", ts + ", v1=" + sig, NoMatch, webhook.ErrNoValidSignature},
			{"trailing space", ts + ",v1=" + sig + " ", NoMatch, webhook.ErrNoValidSignature},
			{"trailing newline", ts + ",v1=" + sig + "\n", NoMatch, webhook.ErrNoValidSignature},
			{"upper-case V1", ts + ",V1=" + sig, NoMatch, webhook.ErrNoValidSignature},
			{"odd hex", ts + ",v1=" + sig[1:], NoMatch, webhook.ErrNoValidSignature},
			{"empty v1", ts + ",v1=", NoMatch, webhook.ErrNoValidSignature},
			{"half a signature", ts + ",v1=" + sig[:32], NoMatch, webhook.ErrNoValidSignature},
			{"wrong signature", ts + ",v1=" + wrong, NoMatch, webhook.ErrNoValidSignature},
			{"only t", ts, NoMatch, webhook.ErrNoValidSignature},
			{"stale and unsigned", "t=1,v0=" + sig, NoMatch, webhook.ErrNoValidSignature},

			{"no t", "v1=" + sig, TooOld, webhook.ErrTooOld},
			{"leading space loses t", " " + ts + ",v1=" + sig, TooOld, webhook.ErrTooOld},
			{"upper-case T", "T=1,v1=" + sig, TooOld, webhook.ErrTooOld},
			{"stale and forged", "t=1,v1=" + wrong, TooOld, webhook.ErrTooOld},
			{"negative t", "t=-1,v1=" + sig, TooOld, webhook.ErrTooOld},
			{"largest t wraps around", "t=9223372036854775807,v1=" + sig, TooOld, webhook.ErrTooOld},

			{"trailing comma", ts + ",v1=" + sig + ",", Malformed, webhook.ErrInvalidHeader},
			{"blank", " ", Malformed, webhook.ErrInvalidHeader},
			{"garbage", "garbage", Malformed, webhook.ErrInvalidHeader},
			{"t is not a number", "t=abc,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
			{"t is empty", "t=,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
			{"t is a fraction", "t=1.0,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
			{"t overflows", "t=9223372036854775808,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
			{"t is hexadecimal", "t=0x10,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
			{"t with underscore", "t=1_0,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
			{"two equals signs", ts + ",v1==" + sig, Malformed, webhook.ErrInvalidHeader},
			{"part without equals sign", ts + ",x,v1=" + sig, Malformed, webhook.ErrInvalidHeader},
		}
		for _, r := range rows {
			if err := webhook.ValidatePayload([]byte(body), r.header, secretA); !errors.Is(err, r.oracle) || (r.oracle == nil) != (err == nil) {
				t.Errorf("%s: stripe-go says %v, want %v", r.name, err, r.oracle)
			}
			_, err := Delivery([]byte(body), r.header, Options{Secrets: []string{secretB, secretA}})
			if got := reasonOf(t, err); got != r.want {
				t.Errorf("%s: reason %q, want %q", r.name, got, r.want)
			}
			alone := r.want // of the header without a body or a secret
			if alone == NoMatch {
				alone = ""
			}
			if got := reasonOf(t, Header(r.header, 0)); got != alone {
				t.Errorf("%s: reason %q of the header alone, want %q", r.name, got, alone)
			}
		}
	})
}

func TestTolerance(t *testing.T) {
	cases := []struct {
		name   string
		offset time.Duration // of t from now
		want   Reason
	}{
		{"299 s old", -299 * time.Second, ""},
		{"300 s old", -300 * time.Second, ""},
		{"301 s old", -301 * time.Second, TooOld},
		{"299 s ahead", 299 * time.Second, ""},
		{"300 s ahead", 300 * time.Second, ""},
		{"301 s ahead", 301 * time.Second, Future},
		{"ten years ahead", 87600 * time.Hour, Future},
		{"two centuries ahead", 200 * 8766 * time.Hour, Future},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, now time.Time) {
				at := now.Add(c.offset)
				_, err := Delivery([]byte(body), header(at, body, secretA), Options{Secrets: []string{secretA}})
				if got := reasonOf(t, err); got != c.want {
					t.Errorf("reason %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestTimePassesWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, now time.Time) {
		h, o := header(now, body, secretA), Options{Secrets: []string{secretA}}
		<-time.After(300 * time.Second)
		if _, err := Delivery([]byte(body), h, o); err != nil {
			t.Errorf("after 300 s: %v", err)
		}
		<-time.After(time.Millisecond)
		_, err := Delivery([]byte(body), h, o)
		if got := reasonOf(t, err); got != TooOld {
			t.Errorf("after 300.001 s: %q, want too_old", got)
		}
	})
}

func TestSecrets(t *testing.T) {
	cases := []struct {
		name    string
		signers []string
		secrets []string
		want    Reason
		index   int
	}{
		{"one of one", []string{secretA}, []string{secretA}, "", 0},
		{"second secret", []string{secretB}, []string{secretA, secretB}, "", 1},
		{"both signed, old one listed", []string{secretB, secretA}, []string{secretA}, "", 0},
		{"both signed, both listed", []string{secretB, secretA}, []string{secretA, secretB}, "", 0},
		{"unknown secret", []string{"whsec_other"}, []string{secretA, secretB}, NoMatch, 0},
		{"an empty secret is skipped", []string{""}, []string{"", secretA}, NoMatch, 0},
		{"index counts the empty one", []string{secretA}, []string{"", secretA}, "", 1},
		{"secret with a newline", []string{secretA}, []string{secretA + "\n"}, NoMatch, 0},
		{"secret without its prefix", []string{secretA}, []string{strings.TrimPrefix(secretA, "whsec_")}, NoMatch, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, now time.Time) {
				got, err := Delivery([]byte(body), header(now, body, c.signers...), Options{Secrets: c.secrets})
				if reason := reasonOf(t, err); reason != c.want || got.SecretIndex != c.index {
					t.Errorf("reason %q index %d, want %q %d", reason, got.SecretIndex, c.want, c.index)
				}
			})
		})
	}
}

func TestNoUsableSecret(t *testing.T) {
	for _, secrets := range [][]string{nil, {}, {""}, {"", ""}} {
		_, err := Delivery([]byte(body), header(time.Now(), body, ""), Options{Secrets: secrets})
		if !errors.Is(err, ErrNoSecret) {
			t.Errorf("%q: error %v, want ErrNoSecret", secrets, err)
		}
		if _, ok := errors.AsType[*Rejection](err); ok {
			t.Errorf("%q: the sender is blamed for our missing secret", secrets)
		}
	}
}

func TestFresh(t *testing.T) {
	wrong := ",v1=" + strings.Repeat("00", 32)
	cases := []struct {
		name   string
		header func(now time.Time) string
		reason Reason
		fresh  bool
	}{
		{"now", func(now time.Time) string { return fmt.Sprintf("t=%d", now.Unix()) + wrong }, NoMatch, true},
		{"300 s ahead", func(now time.Time) string { return fmt.Sprintf("t=%d", now.Unix()+300) + wrong }, NoMatch, true},
		{"301 s ahead", func(now time.Time) string { return fmt.Sprintf("t=%d", now.Unix()+301) + wrong }, NoMatch, false},
		{"far ahead", func(time.Time) string { return "t=99999999999" + wrong }, NoMatch, false},
		{"stale", func(time.Time) string { return "t=1" + wrong }, TooOld, false},
		{"no t and no v1", func(time.Time) string { return "v0=00" }, NoMatch, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, now time.Time) {
				_, err := Delivery([]byte(body), c.header(now), Options{Secrets: []string{secretA}})
				no, ok := errors.AsType[*Rejection](err)
				if !ok || no.Reason != c.reason || no.Fresh != c.fresh {
					t.Errorf("got %+v, want %q fresh %t", no, c.reason, c.fresh)
				}
			})
		})
	}
}

// wrap returns an event whose object has the value as a field.
func wrap(value string) string {
	return `{"id":"evt_1","object":"event","type":"a.b","data":{"object":{"id":"o_1","v":` + value + `}}}`
}

func TestBodies(t *testing.T) {
	pretty := "{\n  \"id\": \"evt_1\",\n  \"object\": \"event\",\n  \"type\": \"a.b\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"o_1\",\n      \"e\": {\n      },\n      \"l\": [\n\n      ]\n    }\n  }\n}"
	cases := []struct {
		name, body string
		want       Reason
	}{
		{"compact", wrap(`1`), ""},
		{"pretty", pretty, ""},
		{"trailing newline", wrap(`1`) + "\n", ""},
		{"CRLF", strings.ReplaceAll(pretty, "\n", "\r\n"), ""},
		{"emoji", wrap(`"💸💶"`), ""},
		{"line separator", wrap("\"a\u2028b\u2029c\""), ""},
		{"non-characters", wrap("\"\ufffe\uffff\""), ""},
		{"escaped", wrap(`"\u003c\ud83d\ude00"`), ""},
		{"640 KB", wrap(`"` + strings.Repeat("x", 640<<10) + `"`), ""},
		{"thin", `{"id":"evt_2","object":"v2.core.event","type":"v1.a.b","created":"2024-09-17T06:20:52.246Z"}`, ""},
		{"another API version", `{"id":"evt_1","object":"event","type":"a.b","api_version":"2026-08-26.dahlia","data":{"object":{}}}`, ""},
		{"empty", ``, NotEvent},
		{"null", `null`, NotEvent},
		{"base64 text of an event", base64.StdEncoding.EncodeToString([]byte(wrap(`1`))), NotEvent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, now time.Time) {
				h := header(now, c.body, secretA)
				got, err := Delivery([]byte(c.body), h, Options{Secrets: []string{secretA}})
				if reason := reasonOf(t, err); reason != c.want {
					t.Fatalf("reason %q, want %q", reason, c.want)
				}
				if c.want == "" && string(got.Envelope.Body) != c.body {
					t.Error("the body is not the bytes that were signed")
				}
				if c.body == "" {
					return
				}
				changed := append([]byte(c.body), ' ')
				_, err = Delivery(changed, h, Options{Secrets: []string{secretA}})
				if reason := reasonOf(t, err); reason != NoMatch {
					t.Errorf("with one byte more: %q, want no_match", reason)
				}
			})
		})
	}
}

func TestRejectionQuotesNothing(t *testing.T) {
	const mark = "SENSITIVE"
	now := time.Now()
	notEvent := `{"id":"` + mark + `","object":"` + mark + `","type":"` + mark + `"}`
	for _, c := range []struct{ body, header string }{
		{notEvent, header(now, notEvent, mark)},
		{mark, "t=" + mark},
		{mark, "t=1,v1=" + mark},
		{mark, header(now, "", mark)},
		{mark, mark},
	} {
		_, err := Delivery([]byte(c.body), c.header, Options{Secrets: []string{mark}})
		if err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("error %v for %q", err, c.header)
		}
	}
}

func ExampleDelivery() {
	header := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secretA}).Header
	got, err := Delivery([]byte(body), header, Options{Endpoint: "default", Secrets: []string{secretA}})
	fmt.Println(got.Envelope.ID, got.Envelope.Type, err)
	_, err = Delivery([]byte(body+" "), header, Options{Endpoint: "default", Secrets: []string{secretA}})
	fmt.Println(err)
	// Output:
	// evt_1 invoice.paid <nil>
	// delivery rejected: no_match
}
