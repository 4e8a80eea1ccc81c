package stdwebhooks

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	public  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="

	id   = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	body = `{"test": 2432232314}`
	at   = 1614265330

	secretSignature  = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	privateSignature = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

func parsed(t testing.TB, text string) Keys {
	t.Helper()
	keys, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func signed(t testing.TB, keys, id string, at time.Time, body string) http.Header {
	t.Helper()
	h := http.Header{}
	if err := parsed(t, keys).Sign(h, Message{ID: id, At: at, Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestKnownAnswers: the signatures are those of other implementations' tests.
func TestKnownAnswers(t *testing.T) {
	for keys, want := range map[string]string{
		secret:                  secretSignature,
		private:                 privateSignature,
		secret + "\n" + private: secretSignature + " " + privateSignature,
	} {
		h := signed(t, keys, id, time.Unix(at, 999), body)
		if got := h.Get(HeaderSignature); got != want || h.Get(HeaderID) != id || h.Get(HeaderTimestamp) != strconv.Itoa(at) {
			t.Errorf("headers %v, want signature %q", h, want)
		}
	}
}

// TestRoll: a receiver accepts a message at each step of a roll, with the keys that it has then.
func TestRoll(t *testing.T) {
	now, next := time.Unix(at, 0), NewSecret()
	for _, c := range []struct {
		sender, receiver string
		want             error
	}{
		{secret, secret, nil},
		{secret, next, ErrNoMatch},
		{next + " " + secret, secret, nil},
		{next + " " + secret, next, nil},
		{secret + " " + next, next, nil},
		{next, secret + " " + next, nil},
		{next, secret, ErrNoMatch},
		{private, public, nil},
		{private, secret, ErrNoMatch},
		{secret, public, ErrNoMatch},
		{secret + " " + private, public, nil},
		{secret + " " + private, secret, nil},
		{secret, secret + " " + public, nil},
		{private, private, nil},
	} {
		got, err := parsed(t, c.receiver).Verify(signed(t, c.sender, id, now, body), []byte(body), now)
		if !errors.Is(err, c.want) || err == nil && (got.ID != id || !got.At.Equal(now) || string(got.Body) != body) {
			t.Errorf("signed with %.12s…, verified with %.12s…: %+v, %v, want %v", c.sender, c.receiver, got, err, c.want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	for _, c := range []struct {
		keys, id string
		want     error
	}{
		{secret, "", ErrID},
		{secret, "a.b", ErrID}, // would let a receiver read another timestamp
		{secret, "a b", ErrID},
		{secret, "a\n", ErrID},
		{secret, "ä", ErrID},
		{secret, strings.Repeat("a", 129), ErrID},
		{public, id, ErrPublic},
		{secret + " " + public, id, ErrPublic},
	} {
		h := http.Header{}
		if err := parsed(t, c.keys).Sign(h, Message{ID: c.id}); !errors.Is(err, c.want) || len(h) > 0 {
			t.Errorf("id %q: %v with %v, want %v", c.id, err, h, c.want)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	now := time.Unix(at, 0)
	other := signed(t, secret, "msg_other", now, body).Get(HeaderSignature)
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	for _, c := range []struct {
		name string
		edit func(http.Header)
		body string
		want error
	}{
		{"nothing", func(http.Header) {}, body, nil},
		{"oldest", func(h http.Header) { copyOf(h, signed(t, secret, id, now.Add(-Tolerance), body)) }, body, nil},
		{"newest", func(h http.Header) { copyOf(h, signed(t, secret, id, now.Add(Tolerance), body)) }, body, nil},
		{"too old", func(h http.Header) { copyOf(h, signed(t, secret, id, now.Add(-Tolerance-time.Second), body)) }, body, ErrTooOld},
		{"too new", func(h http.Header) { copyOf(h, signed(t, secret, id, now.Add(Tolerance+time.Second), body)) }, body, ErrTooNew},
		{"body", func(http.Header) {}, `{"test": 2432232315}`, ErrNoMatch},
		{"reformatted", func(http.Header) {}, `{"test":2432232314}`, ErrNoMatch},
		{"newline", func(http.Header) {}, body + "\n", ErrNoMatch},
		{"empty body", func(http.Header) {}, "", ErrNoMatch},
		{"another id", set(HeaderID, "msg_other"), body, ErrNoMatch},
		{"id with a full stop", set(HeaderID, id+".1"), body, ErrID},
		{"no id", set(HeaderID, ""), body, ErrHeaders},
		{"two ids", func(h http.Header) { h.Add(HeaderID, id) }, body, ErrHeaders},
		{"a second later", set(HeaderTimestamp, "1614265331"), body, ErrNoMatch},
		{"leading zero", set(HeaderTimestamp, "01614265330"), body, ErrTimestamp},
		{"plus", set(HeaderTimestamp, "+1614265330"), body, ErrTimestamp},
		{"letters", set(HeaderTimestamp, "1614265330x"), body, ErrTimestamp},
		{"fraction", set(HeaderTimestamp, "1614265330.5"), body, ErrTimestamp},
		{"no timestamp", func(h http.Header) { h.Del(HeaderTimestamp) }, body, ErrHeaders},
		{"two timestamps", func(h http.Header) { h.Add(HeaderTimestamp, "1") }, body, ErrHeaders},
		{"no signature", func(h http.Header) { h.Del(HeaderSignature) }, body, ErrHeaders},
		{"two signature headers", func(h http.Header) { h.Add(HeaderSignature, "v1,x") }, body, ErrHeaders},
		{"signature of another message", set(HeaderSignature, other), body, ErrNoMatch},
		{"truncated", set(HeaderSignature, secretSignature[:20]), body, ErrNoMatch},
		{"without padding", set(HeaderSignature, strings.TrimSuffix(secretSignature, "=")), body, ErrNoMatch},
		{"other bits in the last character", set(HeaderSignature, strings.Replace(secretSignature, "OE=", "OF=", 1)), body, ErrNoMatch},
		{"empty signature", set(HeaderSignature, "v1,"), body, ErrNoMatch},
		{"version alone", set(HeaderSignature, "v1"), body, ErrNoMatch},
		{"another version", set(HeaderSignature, "v2"+secretSignature[2:]), body, ErrNoMatch},
		{"version of the other kind", set(HeaderSignature, "v1a"+secretSignature[2:]), body, ErrNoMatch},
		{"upper-case version", set(HeaderSignature, "V"+secretSignature[1:]), body, ErrNoMatch},
		{"something after it", set(HeaderSignature, secretSignature+",v1"), body, ErrNoMatch},
		{"behind one of another key", set(HeaderSignature, other+" "+secretSignature), body, nil},
		{"behind sixteen", set(HeaderSignature, strings.Repeat(other+" ", 16)+secretSignature), body, ErrNoMatch},
	} {
		h := signed(t, secret, id, now, body)
		c.edit(h)
		if _, err := parsed(t, secret).Verify(h, []byte(c.body), now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func copyOf(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}

func TestParse(t *testing.T) {
	list := func(n int) string { return strings.TrimSpace(strings.Repeat(secret+" ", n)) }
	for _, c := range []struct {
		name, text string
		want       int // keys
		fault      string
	}{
		{"a secret", secret, 1, ""},
		{"with white space", " \n" + secret + "\r\n", 1, ""},
		{"two lines", secret + "\n" + private + "\n", 2, ""},
		{"a list", `["` + secret + `", "` + public + `"]`, 2, ""},
		{"shortest", "whsec_" + strings.Repeat("AAAA", 8), 1, ""},
		{"longest", "whsec_" + strings.Repeat("AAAA", 21) + "AA==", 1, ""},
		{"four", list(4), 4, ""},
		{"five", list(5), 0, "5 keys"},
		{"none", " \n", 0, "0 keys"},
		{"an empty list", "[]", 0, "0 keys"},
		{"not a list of strings", "[5]", 0, "not a JSON list"},
		{"an object", `{"a":"whsec_"}`, 0, "key 1: not base64"},
		{"white space in a list", `["` + secret + ` "]`, 0, "key 1: not base64"},
		{"a line end in a list", `["` + secret + `\n"]`, 0, "key 1: not base64"},
		{"too short", "whsec_" + strings.Repeat("AAAA", 7) + "AAA=", 0, "a secret of 23 bytes"},
		{"too long", "whsec_" + strings.Repeat("AAAA", 21) + "AAA=", 0, "a secret of 65 bytes"},
		{"empty", "whsec_", 0, "a secret of 0 bytes"},
		{"not base64", secret + "*", 0, "not base64"},
		{"bits after the last byte", "whsec_" + strings.Repeat("AAAA", 8) + "AB==", 0, "not base64"},
		{"no padding", strings.TrimRight(private, "="), 0, "not base64"},
		{"URL alphabet", strings.Replace(private, "/", "_", 1), 0, "not base64"},
		{"no prefix", strings.TrimPrefix(secret, "whsec_"), 0, "no prefix"},
		{"another prefix", "whxyz_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0, "no prefix"},
		{"of Stripe's form", "whsec_SENSITIVE-stripe-secret", 0, "not base64"},
		{"a seed alone", "whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", 0, "not an ed25519 key pair"},
		{"halves of two pairs", strings.Replace(private, "6Xb", "7Xb", 1), 0, "not an ed25519 key pair"},
		{"a short public key", "whpk_AAAA", 0, "not an ed25519 public key"},
		{"the second of two", secret + " whsec_AAAA", 0, "key 2: a secret of 3 bytes"},
	} {
		keys, err := Parse(c.text)
		if len(keys.list) != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %d keys, error %v, want %d, %q", c.name, len(keys.list), err, c.want, c.fault)
		}
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	keys := parsed(t, secret)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(format, keys); len(got) > 8 {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestNewSecret(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	if a == b || len(parsed(t, a).list[0].secret) != 32 {
		t.Errorf("%q, %q", a, b)
	}
}

// FuzzParse: what is accepted signs what it verifies, and an error quotes no key.
func FuzzParse(f *testing.F) {
	for _, s := range []string{secret, private, public, secret + "\n" + private, `["` + secret + `"]`, "[", "whsec_", "whsk_AAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := Parse(text)
		if err != nil {
			for _, word := range strings.Fields(text) {
				if len(word) > 20 && strings.Contains(err.Error(), word) {
					t.Fatalf("%q is in %v", word, err)
				}
			}
			return
		}
		h := http.Header{}
		switch err := keys.Sign(h, Message{ID: id, At: time.Unix(at, 0), Body: []byte(body)}); {
		case errors.Is(err, ErrPublic):
		case err != nil:
			t.Fatal(err)
		default:
			if _, err := keys.Verify(h, []byte(body), time.Unix(at, 0)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzVerify: headers are accepted only with the signature that Sign makes of the same message.
func FuzzVerify(f *testing.F) {
	keys := parsed(f, secret)
	for _, s := range []string{secretSignature, privateSignature + " " + secretSignature, "v1,", " ", "v1,g0hM9SsE", "v1,\ng0hM"} {
		f.Add(id, strconv.Itoa(at), s, body)
	}
	f.Fuzz(func(t *testing.T, id, at, signature, body string) {
		got, err := keys.Verify(http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {signature}}, []byte(body), time.Unix(1614265330, 0))
		if err != nil {
			return
		}
		h := signed(t, secret, got.ID, got.At, body)
		if h.Get(HeaderID) != id || h.Get(HeaderTimestamp) != at || !slices.Contains(strings.Split(signature, " "), h.Get(HeaderSignature)) {
			t.Fatalf("accepted %q %q %q", id, at, signature)
		}
	})
}

func Example() {
	keys, _ := Parse(secret)
	header := http.Header{}
	now := time.Now()
	_ = keys.Sign(header, Message{ID: "msg_1", At: now, Body: []byte(`{}`)})
	message, err := keys.Verify(header, []byte(`{}`), now)
	fmt.Println(message.ID, err)
	_, err = keys.Verify(header, []byte(`{ }`), now)
	fmt.Println(err)
	// Output:
	// msg_1 <nil>
	// no signature matches
}
