package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/endpoint"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/handlers"
	"tollgate/pkg/registration"
)

// fresh is a file with a new secret.
func (r *registry) fresh(text string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "secret")
	check(r.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestRollTakesASecret(t *testing.T) {
	r := newRegistry(t)
	r.away("secret", "roll", "--new-secret-file", r.fresh("whsec_second\r\nmore"), "--yes", "--note", "yearly").ok(t)
	if got := r.stored("default"); !slices.Equal(got, []string{"whsec_second", "whsec_first"}) {
		t.Errorf("stored %v", got)
	}
	got := r.away("secret", "roll", "--new-secret-file", r.fresh("whsec_second"), "--yes", "--json").ok(t)
	if v := lines[endpoint.Rolled](t, got.out)[0]; v.Changed || v.Secrets != 2 {
		t.Errorf("the same again: %+v", v)
	}
	r.away("secret", "roll", "--endpoint", "eu", "--new-secret-file", r.fresh("whsec_eu"), "--yes").ok(t)
	if !slices.Equal(r.stored("eu"), []string{"whsec_eu"}) || len(r.stored("default")) != 2 {
		t.Errorf("stored %v and %v", r.stored("eu"), r.stored("default"))
	}
	if got := r.verbs(); len(got) != 3 || got[2] != "secret roll: stored" {
		t.Errorf("audit %q", got)
	}
}

func TestRollRefusesWhatIsNoSecret(t *testing.T) {
	r := newRegistry(t)
	for name, c := range map[string]struct{ text, says string }{
		"empty":       {"\n", "it is empty"},
		"an API key":  {"sk_test_SENSITIVE", "it does not start with"},
		"two words":   {"whsec_1 SENSITIVE", "white space"},
		"cursor key":  {"whsec_SENSITIVE\x1b[D", "invisible characters"},
		"prefix only": {"whsec_", "it does not start with"},
		"too long":    {"whsec_" + strings.Repeat("x", 5000), "too long"},
	} {
		got := tollgate(t.Context(), r.env, "secret", "roll", "--yes", "--new-secret-file", r.fresh(c.text))
		got.refused(t, verb.ExitUsage, c.says)
		if strings.Contains(got.err, "SENSITIVE") {
			t.Errorf("%s is shown: %s", name, got.err)
		}
	}
	r.away("secret", "roll", "--yes", "--new-secret-file", "/nonexistent").refused(t, verb.ExitUsage, "no such file")
	r.away("secret", "roll", "--new-secret-file", r.fresh("whsec_2")).refused(t, verb.ExitUsage)
	r.away("secret", "roll", "--status", "--finish").refused(t, verb.ExitUsage, "two steps")
	r.refuse("PutSecretValue", http.StatusBadRequest)
	r.away("secret", "roll", "--yes", "--new-secret-file", r.fresh("whsec_second")).refused(t, verb.ExitFailed, "the new secret is not stored", "run this again")
	if got := r.stored("default"); !slices.Equal(got, []string{"whsec_first"}) {
		t.Errorf("stored %v", got)
	}
	if got := r.verbs(); len(got) != 1 || !strings.Contains(got[0], "failed") {
		t.Errorf("audit %q", got)
	}
}

// TestRollElsewhere stores a secret, waits and removes the old one.
func TestRollElsewhere(t *testing.T) {
	r := newRegistry(t)
	roll := func(text string, ago time.Duration) {
		r.now = time.Now().Add(-ago)
		r.away("secret", "roll", "--new-secret-file", r.fresh(text), "--yes").ok(t)
	}
	finish := func(more ...string) answer {
		return r.away(append([]string{"secret", "roll", "--finish", "--yes"}, more...)...)
	}
	status := func() endpoint.RollStatus {
		t.Helper()
		return lines[endpoint.RollStatus](t, r.away("secret", "roll", "--status", "--json").ok(t).out)[0]
	}
	roll("whsec_second", 23*time.Hour)
	finish().refused(t, verb.ExitFailed, "Stripe may sign with an old one until", "--force")
	if v := status(); v.CanFinish || v.Secrets != 2 || !strings.Contains(v.Why, "until") {
		t.Errorf("status %+v", v)
	}
	finish("--force").ok(t)
	roll("whsec_third", 25*time.Hour)
	if v := status(); !v.CanFinish || v.Why != "" || v.ChangedAt == nil {
		t.Errorf("status %+v", v)
	}
	finish().ok(t)
	if got := r.stored("default"); !slices.Equal(got, []string{"whsec_third"}) {
		t.Errorf("stored %v", got)
	}
	if got := finish().ok(t); !strings.Contains(got.out, "Nothing to do") {
		t.Errorf("again: %q", got.out)
	}
	if v := status(); v.CanFinish || v.Why != "no old secret is stored" {
		t.Errorf("status %+v", v)
	}
	r.away("secret", "roll", "--status", "--endpoint", "nope").refused(t, verb.ExitFailed, "no secret is stored for endpoint nope", "default")
}

// TestFinishKeepsWhatAnotherEndpointSignsWith has two endpoints for one URL.
func TestFinishKeepsWhatAnotherEndpointSignsWith(t *testing.T) {
	r := newRegistry(t)
	const at = "https://hooks.example.invalid/webhooks/stripe"
	r.now = time.Now().Add(-25 * time.Hour)
	for _, connect := range []string{"--connect=false", "--connect"} {
		r.away("endpoint", "apply", "--yes", "--no-probe", "--url", at, connect).ok(t)
	}
	before := r.stored("default")
	if len(before) != 3 {
		t.Fatalf("stored %v", before)
	}
	r.away("secret", "roll", "--finish", "--yes", "--url", at).ok(t)
	if got := r.stored("default"); !slices.Equal(got, before[:2]) {
		t.Errorf("stored %v, want %v: both endpoints'", got, before[:2])
	}
	_, _, err := r.stripe.CreateWebhookEndpoint(t.Context(), registration.NewEndpoint{URL: at, Events: handlers.Types()}, "byhand")
	check(t, err)
	r.away("secret", "roll", "--new-secret-file", r.fresh("whsec_second"), "--yes", "--url", at).ok(t)
	r.away("secret", "roll", "--finish", "--yes", "--url", at).refused(t, verb.ExitFailed, "3 endpoints deliver to this URL")
	r.away("secret", "roll", "--finish", "--yes", "--force", "--url", at).ok(t)
	if got := r.stored("default"); !slices.Equal(got, []string{"whsec_second"}) {
		t.Errorf("forced: stored %v", got)
	}
}

// TestRollAtTheFakeStripe does Stripe's side too, on a local system.
func TestRollAtTheFakeStripe(t *testing.T) {
	r := newRegistry(t)
	r.local("secret", "roll").refused(t, verb.ExitFailed, "no endpoint is registered", "tollgate endpoint apply")
	r.local("endpoint", "apply").ok(t)
	before, made := r.stored("default"), r.endpoints()[0]
	r.local("secret", "roll", "--status").says(t, verb.ExitDone, "Nothing to remove now: no old secret is stored")
	r.local("secret", "roll", "--finish").says(t, verb.ExitDone, "Nothing to do: no old secret is stored")
	r.local("secret", "roll").ok(t)
	after, rolled := r.stored("default"), r.endpoints()[0]
	if len(after) != 3 || !slices.Equal(after[1:], before) || rolled.ID != made.ID {
		t.Errorf("stored %v before and %v after", before, after)
	}
	if mark := rolled.Metadata[registration.MetaSecret]; mark != registration.NewSecret(after[0]).Fingerprint() || mark == made.Metadata[registration.MetaSecret] {
		t.Errorf("marked with %s", mark)
	}
	r.local("secret", "roll", "--status").says(t, verb.ExitDone, "stored secrets", "Stripe may sign with an old one until")
	r.local("secret", "roll", "--finish").refused(t, verb.ExitFailed, "the old secrets stay", "--force")
	r.local("secret", "roll", "--finish", "--force").says(t, verb.ExitDone, "the secret that tollgate send signs with stays", "Removed 1 old secret.")
	if got := r.stored("default"); !slices.Equal(got, []string{after[0], "whsec_first"}) {
		t.Errorf("stored %v", got)
	}
	r.local("endpoint", "status").ok(t)
}

// A secret that is stored but cannot be marked is stored all the same, and the output has a warning.
func TestRollThatCannotMark(t *testing.T) {
	r := newRegistry(t)
	r.local("endpoint", "apply").ok(t)
	r.refuse("POST", http.StatusForbidden)
	r.local("secret", "roll", "--new-secret-file", r.fresh("whsec_second")).says(t, verb.ExitDone, "the mark at Stripe")
	if got := r.stored("default"); got[0] != "whsec_second" {
		t.Errorf("stored %v", got)
	}
}

func TestReadSecretTakesOneLine(t *testing.T) {
	from := strings.NewReader("  whsec_one  \nrest")
	got, err := verb.ReadLine(from, 4096)
	if err != nil || got != "  whsec_one  \n" || from.Len() != len("rest") {
		t.Errorf("%q, %v, %d bytes left", got, err, from.Len())
	}
}

// TestNoTerminal: without a terminal the error names the flag to use.
func TestNoTerminal(t *testing.T) {
	r := newRegistry(t)
	null, err := os.Open(os.DevNull)
	check(t, err)
	defer null.Close()
	ended, w, err := os.Pipe()
	check(t, err)
	defer ended.Close()
	check(t, w.Close())
	closed, err := os.Open(os.DevNull)
	check(t, err)
	check(t, closed.Close())
	for name, in := range map[string]*os.File{"none": nil, "closed": closed, "an empty device": null, "a pipe that ended": ended} {
		t.Run(name, func(t *testing.T) {
			for _, args := range [][]string{{"secret", "roll"}, {"endpoint", "apply", "--no-probe", "--url=https://example.test/hook"}, {"secret", "roll", "--finish", "--force"}} {
				if len(args) == 4 {
					r.away("secret", "roll", "--yes", "--new-secret-file", r.fresh("whsec_another")).ok(t)
				}
				tollgateAt(t.Context(), r.env, in, args...).refused(t, verb.ExitUsage, "confirm with --yes")
			}
			tollgateAt(t.Context(), r.env, in, "secret", "roll", "--yes").refused(t, verb.ExitUsage, "there is no terminal and no input", "--new-secret-file")
			tollgateAt(t.Context(), r.env, in, "secret", "roll", "--yes", "--new-secret-file=-").refused(t, verb.ExitUsage, "there is no terminal and no input", "--new-secret-file")
		})
	}
}
