package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Metadata of the endpoints that this package creates. One with MetaName and without
// MetaSecret was created by an apply that did not finish: its secret is not stored.
const (
	MetaName    = "tollgate_endpoint" // the endpoint's name in the stored secrets
	MetaConnect = "tollgate_connect"  // "true" or "false": Stripe does not return it
	MetaApply   = "tollgate_apply"    // the run that created it
	MetaSecret  = "tollgate_secret"   // fingerprint of the secret that was stored
)

// MaxEndpoints is how many webhook endpoints an account may have, in each mode.
const MaxEndpoints = 16

// Endpoint is a webhook endpoint as Stripe has it.
type Endpoint struct {
	ID          string
	URL         string
	Events      []string // "*" for nearly all
	APIVersion  string   // "" for the account's default
	Application string   // the Connect application, "" for none
	Disabled    bool
	Livemode    bool
	Created     time.Time
	Metadata    map[string]string
}

// Connect reports whether connected accounts' events are delivered. Stripe accepts it on
// creation and never returns it, so it is read from our metadata, else from the application.
func (e Endpoint) Connect() bool {
	if connect := e.Metadata[MetaConnect]; connect != "" {
		return connect == "true"
	}
	return e.Application != ""
}

// unfinished reports whether an apply created it and did not store its secret.
func (e Endpoint) unfinished() bool {
	return e.Metadata[MetaName] != "" && e.Metadata[MetaSecret] == ""
}

// NewEndpoint has the parameters of a new endpoint.
type NewEndpoint struct {
	URL         string
	Events      []string
	APIVersion  string
	Connect     bool
	Description string
	Metadata    map[string]string
}

// Update has the fields to change on an endpoint; zero fields stay.
type Update struct {
	Events   []string
	Disabled *bool
	Metadata map[string]string
}

// ErrUnknownOutcome: the request may have been applied; there was no answer.
var ErrUnknownOutcome = errors.New("it is unknown whether Stripe applied it")

// Registrar changes webhook endpoints at Stripe.
type Registrar interface {
	// CreateWebhookEndpoint creates one. The same key within a day creates no second one. An
	// error wraps [ErrUnknownOutcome] if the endpoint may exist; an endpoint that came without
	// a secret is returned with the error.
	CreateWebhookEndpoint(ctx context.Context, n NewEndpoint, key string) (Endpoint, Secret, error)
	// UpdateWebhookEndpoint changes one.
	UpdateWebhookEndpoint(ctx context.Context, id string, u Update) (Endpoint, error)
	// DeleteWebhookEndpoint deletes one; a missing one is not an error.
	DeleteWebhookEndpoint(ctx context.Context, id string) error
}

// Lister lists webhook endpoints at Stripe.
type Lister interface {
	// ListWebhookEndpoints returns all endpoints of the account and mode.
	ListWebhookEndpoints(ctx context.Context) ([]Endpoint, error)
}

// Secret is a signing secret. No form of printing and no encoding shows it.
type Secret struct{ text *string } // a pointer, as fmt looks into unexported fields

// NewSecret holds a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text, "" of the zero Secret.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const redacted = "[redacted]"

// Format writes a fixed text, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalText returns a fixed text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Fingerprint identifies a secret without revealing it: secrets are random and too long to
// guess.
func (s Secret) Fingerprint() string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:8])
}
