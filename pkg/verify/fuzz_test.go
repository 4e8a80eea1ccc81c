package verify

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// FuzzVerify compares Delivery with stripe-go. In the header, NOW is replaced by the fake
// clock in seconds and SIG by a valid signature for one of the header's numbers as t, so
// that mutations reach accepted headers.
func FuzzVerify(f *testing.F) {
	for _, h := range []string{
		"", " ", "t=NOW,v1=SIG", "v1=SIG,t=NOW", "t=NOW,v1=00,v1=SIG", "t=+NOW,v1=SIG", "t=0NOW,v1=SIG",
		"t=1,t=NOW,v1=SIG", "t=NOW,t=1,v1=SIG", "t=NOW,v1=SIG,", "t=NOW, v1=SIG", "t=NOW,v0=SIG", "t==NOW,v1=SIG",
		"t=NOW,v1=00,t=NOW,v1=SIG", "t=-5,v1=SIG", "t=99999999999,v1=SIG", "t=9223372036854775807,v1=SIG",
		"t=-9223372036854775808,v1=SIG", "T=NOW,v1=SIG", "t=NOW,t,v1=SIG", "t=NOW,t=,v1=SIG", "t=NOW=,v1=SIG",
	} {
		for _, offset := range []int64{0, -300, -301, 300, 301} {
			f.Add(h, []byte(body), offset)
		}
	}
	f.Add("t=NOW,v1=SIG", []byte("null"), int64(0))
	f.Fuzz(func(t *testing.T, template string, payload []byte, offset int64) {
		synctest.Test(t, func(t *testing.T) {
			clock := strconv.FormatInt(time.Now().Unix()+offset, 10)
			template = strings.ReplaceAll(template, "NOW", clock)
			numbers := candidates(template)
			if len(numbers) == 0 || !strings.Contains(template, "SIG") {
				compare(t, template, payload)
			}
			for _, n := range numbers {
				h := strings.ReplaceAll(template, "SIG", sign(time.Unix(n, 0), string(payload), secretA))
				compare(t, h, payload)
				readsAs(t, h, payload, n, template)
			}
		})
	})
}

// candidates returns every number that could be parsed as t.
func candidates(header string) []int64 {
	seen := map[int64]bool{}
	var numbers []int64
	for _, word := range strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == '=' || r == ' ' }) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err == nil && !seen[n] && len(numbers) < 8 {
			seen[n] = true
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// compare fails if Delivery accepts what stripe-go rejects or what is outside the tolerance,
// or rejects anything else except for its body; or if Header disagrees with stripe-go.
func compare(t *testing.T, header string, payload []byte) {
	oracle := webhook.ValidatePayload(payload, header, secretA)
	got, err := Delivery(payload, header, Options{Secrets: []string{"", secretB, secretA}})
	no, rejected := errors.AsType[*Rejection](err)
	if err != nil && !rejected {
		t.Fatalf("error %v is not a rejection", err)
	}
	if keyless := webhook.ValidatePayload(nil, header, "-"); (Header(header, 0) == nil) != (keyless == webhook.ErrNoValidSignature) {
		t.Fatalf("stripe-go says %v without a secret, we say %v for %q", keyless, Header(header, 0), header)
	}
	if oracle != nil {
		want := map[error]Reason{
			webhook.ErrNotSigned: Missing, webhook.ErrInvalidHeader: Malformed,
			webhook.ErrTooOld: TooOld, webhook.ErrNoValidSignature: NoMatch,
		}[oracle]
		if !rejected || no.Reason != want {
			t.Fatalf("stripe-go says %v, we say %v for %q", oracle, err, header)
		}
		return
	}
	at, ok := timestamp(header)
	if !ok {
		t.Fatalf("stripe-go accepts %q, whose timestamp we cannot read", header)
	}
	inside := time.Since(at).Abs() <= Tolerance
	switch {
	case err == nil && !inside:
		t.Fatalf("accepted outside the window: %q", header)
	case err == nil && string(got.Envelope.Body) != string(payload):
		t.Fatal("the envelope's body is not the signed bytes")
	case rejected && inside && no.Reason != NotEvent:
		t.Fatalf("refused with %q though stripe-go accepts and the time is right: %q", no.Reason, header)
	case rejected && !inside && no.Reason != Future:
		t.Fatalf("outside the window but %q: %q", no.Reason, header)
	}
}

// readsAs fails if stripe-go parses n as the header's t (its signature is for n alone) and we
// do not. A signature is valid for one number only, unless the template has others.
func readsAs(t *testing.T, header string, payload []byte, n int64, template string) {
	if webhook.ValidatePayloadIgnoringTolerance(payload, strings.ReplaceAll(template, "SIG", "00"), secretA) == nil {
		return
	}
	if webhook.ValidatePayloadIgnoringTolerance(payload, header, secretA) != nil {
		return
	}
	at, ok := timestamp(header)
	if n == (time.Time{}).Unix() && !ok {
		return // no t at all is the zero time for stripe-go: always too old
	}
	if !ok || at.Unix() != n {
		t.Fatalf("stripe-go reads t of %q as %d, we as %d (%t)", header, n, at.Unix(), ok)
	}
}
