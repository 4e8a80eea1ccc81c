package verb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/limits"
	"tollgate/pkg/registration"
	"tollgate/pkg/secrets"
	"tollgate/pkg/stripeapi"
)

// EndpointFlags select an endpoint.
type EndpointFlags struct {
	Endpoint string `default:"default" help:"Name of the endpoint in the path and in the stored secrets. Default: default." placeholder:"NAME"`
	URL      string `help:"Where Stripe delivers. Default: the target's, with the endpoint's name." placeholder:"URL"`
	Connect  bool   `help:"The endpoint for the events of connected accounts."`
}

// Site is one endpoint of a target: Stripe's side, the stored secrets, and what is wanted.
type Site struct {
	Target  Target
	Stripe  *stripeapi.Client // nil without a key
	Secrets StoredSecrets
	Wanted  registration.Wanted // without Livemode; the URL is "" if the target's is unknown
}

// Site finds the target's endpoint and how both sides of it are reached. A missing key for
// Stripe's API is noStripe, not an error.
func (f EndpointFlags) Site(ctx context.Context, a *App) (s Site, noStripe, err error) {
	if !event.ValidEndpoint(f.Endpoint) {
		return s, nil, Usage("--endpoint is 1 to 32 of a-z, 0-9 and -")
	}
	if s.Target, err = a.Target(ctx); err != nil {
		return s, nil, err
	}
	t := s.Target
	if s.Secrets, err = t.WebhookSecrets(); err != nil {
		return s, nil, err
	}
	s.Wanted = registration.Wanted{
		Name: f.Endpoint, URL: f.URL, Connect: f.Connect, APIVersion: stripeapi.APIVersion,
		Events: handlers.Types(), FakeStripe: t.Local && t.StripeURL != "",
	}
	if f.URL == "" && t.URL != "" {
		s.Wanted.URL = t.URL + strings.TrimPrefix(registration.Path(f.Endpoint), registration.Path("default"))
	}
	if s.Stripe, noStripe = a.Stripe(ctx, t); noStripe != nil {
		s.Stripe = nil
	}
	return s, noStripe, nil
}

// Planned is a plan with what it was made from.
type Planned struct {
	registration.Plan
	All    []registration.Endpoint // the account's, at Stripe
	Stored registration.Stored     // all endpoints' secrets
}

// Plan compares the wanted endpoint with Stripe's and with the stored secrets. With try, the
// URL gets one delivery without a signature.
func (s Site) Plan(ctx context.Context, try bool) (p Planned, err error) {
	if s.Wanted.URL == "" {
		return p, Usage("the URL where deliveries are posted is unknown: give --url")
	}
	if s.Wanted.Livemode, err = s.Stripe.Livemode(ctx); err != nil {
		return p, err
	}
	if p.All, err = s.Stripe.ListWebhookEndpoints(ctx); err != nil {
		return p, StripeHint(err)
	}
	known := registration.Known{}
	if try {
		known.Probe = Probe(ctx, s.Wanted.URL)
	}
	now, err := s.Secrets.Current(ctx)
	if err == nil {
		p.Stored, err = registration.ReadStored(now.Value)
	}
	if err == nil {
		known.Stored, err = p.Stored.Of(s.Wanted.Name)
	}
	known.Read = err == nil
	p.Plan = registration.Make(s.Wanted, p.All, known)
	if err != nil {
		p.Findings = append(p.Findings, registration.Finding{Level: registration.Problem, What: err.Error()})
	}
	return p, nil
}

// StripeHint adds to an error of a key without permission what the key needs.
func StripeHint(err error) error {
	if errors.Is(err, stripeapi.ErrUnauthorized) {
		return Hint(err, "a restricted key needs read and write on Webhook Endpoints")
	}
	return err
}

const (
	probeTimeout  = 10 * time.Second
	maxProbeBytes = 64 << 10
)

// Probe posts a delivery without a signature: ingest answers it with 400 and writes nothing.
func Probe(ctx context.Context, url string) *registration.Probe {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return &registration.Probe{Err: "it is not a URL"}
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return &registration.Probe{Err: Clip(err.Error(), 200)}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxProbeBytes)) // lets the connection end cleanly
	return &registration.Probe{Status: res.StatusCode, Location: res.Header.Get("Location")}
}

// StoredSecrets is the webhook secret in Secrets Manager. It adds a hint to each failure.
type StoredSecrets struct{ secrets.Writer }

// WebhookSecrets finds the target's webhook secret.
func (t Target) WebhookSecrets() (StoredSecrets, error) {
	if t.WebhookSecretID == "" {
		return StoredSecrets{}, Hint(errors.New("the secret that holds the signing secrets is unknown"),
			"name the stack with --stack, or set TOLLGATE_WEBHOOK_SECRET_ID")
	}
	return StoredSecrets{secrets.Writer{API: secretsmanager.NewFromConfig(t.AWS), ID: t.WebhookSecretID}}, nil
}

// Current returns the present version, zero when the secret has none yet.
func (s StoredSecrets) Current(ctx context.Context) (registration.Version, error) {
	now, err := s.Writer.Current(ctx)
	if err != nil {
		return now, Hint(err, "may these credentials call secretsmanager:GetSecretValue on %s?", s.ID)
	}
	return now, nil
}

// Replace writes a value over the version that it was made from.
func (s StoredSecrets) Replace(ctx context.Context, was string, value registration.Secret) error {
	if err := s.Writer.Replace(ctx, was, value); err != nil {
		return Hint(err, "may these credentials call secretsmanager:PutSecretValue and UpdateSecretVersionStage on %s?", s.ID)
	}
	return nil
}

// Stripe returns a client of Stripe's API for the target's account: with the key of the
// environment, else with the one that the target's functions use.
func (a *App) Stripe(ctx context.Context, t Target) (*stripeapi.Client, error) {
	o, err := a.StripeOptions(ctx, t)
	if err != nil {
		return nil, err
	}
	return stripeapi.New(o)
}

// StripeOptions returns the options of such a client.
func (a *App) StripeOptions(ctx context.Context, t Target) (o stripeapi.Options, err error) {
	key := string(a.Env.APIKey)
	if key == "" && t.APIKeySecretID != "" {
		first := limits.PatientCall
		if by, ok := ctx.Deadline(); ok { // a fetch outlives the context of its caller
			first = max(min(first, time.Until(by)), time.Millisecond)
		}
		k, err := secrets.NewAPIKey(secrets.Config{API: secretsmanager.NewFromConfig(t.AWS), ID: t.APIKeySecretID, First: first})
		if err != nil {
			return o, err
		}
		if key, err = k.Key(ctx); err != nil {
			return o, Hint(err, "may these credentials read the secret? Or set STRIPE_API_KEY")
		}
	}
	if key == "" {
		return o, Hint(errors.New("no key for Stripe's API"), "set STRIPE_API_KEY, or put the key into the stack's secret (output ApiKeySecretArn)")
	}
	return stripeapi.Options{URL: t.StripeURL, Key: func(context.Context) (string, error) { return key, nil }}, nil
}

const (
	fakeStripeTimeout  = 40 * time.Second
	maxFakeStripeBytes = 4 << 10

	// fakeStripeKey is a test key; the fake Stripe accepts every one.
	fakeStripeKey = "sk_test_fake"
)

// FakeStripe makes a request to a control path (/_fake/…) of a local system's fake Stripe, for an
// account, "" for the platform's own, and returns its answer.
func (t Target) FakeStripe(ctx context.Context, account, method, path string, body []byte) (answer []byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("ask the fake Stripe: %w", err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, fakeStripeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(t.StripeURL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+fakeStripeKey)
	req.Header.Set("Content-Type", "application/json")
	if account != "" {
		req.Header.Set("Stripe-Account", account)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxFakeStripeBytes))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, OneLine(string(answer)))
	}
	return answer, err
}
