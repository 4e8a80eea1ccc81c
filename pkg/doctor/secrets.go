package doctor

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"

	"tollgate/pkg/event"
	"tollgate/pkg/registration"
)

// Secrets returns a secret's text, false when the secret is missing or empty.
type Secrets func(ctx context.Context, id string) (text string, there bool, err error)

// CheckWebhookSecret checks that the endpoint default has usable signing secrets and that no
// endpoint has a malformed one. No value is shown.
func CheckWebhookSecret(s Secrets, id string) Check {
	const do = "tollgate endpoint apply, or put {\"default\":[\"whsec_…\"]} into the secret"
	return func(ctx context.Context) []Finding {
		f := findings{name: "signing secrets"}
		if id == "" {
			return []Finding{{f.name, Skipped, "the target does not name the secret", "name a stack with --stack, or set TOLLGATE_WEBHOOK_SECRET_ID"}}
		}
		text, there, err := s(ctx, id)
		if err != nil {
			return unknown(f.name, err, "secretsmanager:GetSecretValue")
		}
		var all map[string]json.RawMessage
		switch {
		case !there:
			return f.fail(do, "no secret: every delivery is answered with an error")
		case json.Unmarshal([]byte(text), &all) != nil || len(all) == 0:
			return f.fail(do, "the secret is not JSON of the form {\"default\":[\"whsec_…\"]}: every delivery is answered with an error")
		}
		n := 0
		for _, name := range slices.Sorted(maps.Keys(all)) {
			n += entries(&f, name, all[name])
		}
		if _, ok := all["default"]; !ok {
			f.warn(do, "endpoint default has no secrets: deliveries to its path are answered 404")
		}
		return f.or("%d for %d endpoints, all usable", n, len(all))
	}
}

func entries(f *findings, name string, raw json.RawMessage) (usable int) {
	const do = "put a list of whole secrets there, as Stripe shows them: [\"whsec_…\"]"
	if !event.ValidEndpoint(name) {
		f.fail(do, "%+.40q is not an endpoint name: 1 to 32 of a-z, 0-9 and -", name)
		return 0
	}
	list, err := registration.ReadEntries(raw)
	if err != nil {
		f.fail(do, "endpoint %s has no list of secrets", name)
		return 0
	}
	for i, e := range list {
		if e.Fault != "" {
			f.fail(do, "endpoint %s, secret %d is dropped: %s", name, i+1, e.Fault)
			continue
		}
		usable++
	}
	if usable == 0 {
		f.fail(do, "endpoint %s has no usable secret: every delivery to it is answered with an error", name)
	}
	return usable
}

// CheckAPIKey checks that the key has the stage's mode.
func CheckAPIKey(s Secrets, id string, site Target) Check {
	return func(ctx context.Context) []Finding {
		if id == "" {
			return []Finding{{"api key", Skipped, "the target does not name the secret", "name a stack with --stack, or set TOLLGATE_API_KEY_SECRET_ID"}}
		}
		text, _, err := s(ctx, id)
		if err != nil {
			return unknown("api key", err, "secretsmanager:GetSecretValue")
		}
		f := findings{name: "api key"}
		key := strings.TrimSpace(text)
		live := strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_")
		test := strings.HasPrefix(key, "sk_test_") || strings.HasPrefix(key, "rk_test_")
		const do = "put a restricted key of the right mode into the secret"
		switch {
		case key == "":
			f.warn(do, "no key: reconcile finds nothing, and events of other API versions are parked")
		case strings.ContainsFunc(key, unicode.IsSpace):
			f.fail(do, "it has white space in the middle")
		case strings.HasPrefix(key, "whsec_"), strings.HasPrefix(key, "pk_"):
			f.fail(do, "it is a signing secret or a publishable key")
		case !live && !test:
			f.warn(do, "it does not start as Stripe's keys do (sk_ or rk_, then live_ or test_)")
		case live && site.Local:
			f.fail("stop, and start again with a test key", "a live key on a local system")
		case test && site.Known && site.Live:
			f.fail(do, "a test key on a live stage: missed events are never found")
		case live && site.Known && !site.Live:
			f.fail(do, "a live key on a stage that is not live")
		}
		mode := "test"
		if live {
			mode = "live"
		}
		return f.or("a %s key", mode)
	}
}
