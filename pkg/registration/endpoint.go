package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Metadata by which an endpoint is known again. One that has MetaName and no MetaSecret
// was made by an apply that did not come to its end: its secret is nowhere.
const (
	MetaName    = "tollgate_endpoint" // the endpoint's name in the stored secrets
	MetaConnect = "tollgate_connect"  // "true" or "false": Stripe does not tell it
	MetaApply   = "tollgate_apply"    // which run made it
	MetaSecret  = "tollgate_secret"   // fingerprint of the secret that was stored
)

// MaxEndpoints is how many webhook endpoints an account may have, in each mode.
const MaxEndpoints = 16

// Endpoint is a webhook endpoint as Stripe has it.
type Endpoint struct {
	ID          string
	URL         string
	Events      []string // "*" stands for nearly all
	APIVersion  string   // "" for the account's default
	Application string   // the Connect application, "" for none
	Disabled    bool
	Livemode    bool
	Created     time.Time
	Metadata    map[string]string
}

// Connect reports whether connected accounts' events are delivered, as far as it can be
// known: Stripe takes it on creation and answers it nowhere, but names an application.
func (e Endpoint) Connect() bool {
	if said := e.Metadata[MetaConnect]; said != "" {
		return said == "true"
	}
	return e.Application != ""
}

// unfinished reports whether an apply made it and did not store its secret.
func (e Endpoint) unfinished() bool {
	return e.Metadata[MetaName] != "" && e.Metadata[MetaSecret] == ""
}

// NewEndpoint is what an endpoint is created from.
type NewEndpoint struct {
	URL         string
	Events      []string
	APIVersion  string
	Connect     bool
	Description string
	Metadata    map[string]string
}

// Update names what changes on an endpoint; what is zero stays.
type Update struct {
	Events   []string
	Disabled *bool
	Metadata map[string]string
}

// ErrUnknownOutcome says that a request may have been carried out though no answer came.
var ErrUnknownOutcome = errors.New("it is not known whether Stripe did it")

// Registrar changes what is registered at Stripe.
type Registrar interface {
	// CreateWebhookEndpoint makes one. The same key within a day makes no second one. An
	// error wraps [ErrUnknownOutcome] when the endpoint may be there all the same; an
	// endpoint that came without a secret is returned beside the error.
	CreateWebhookEndpoint(ctx context.Context, n NewEndpoint, key string) (Endpoint, Secret, error)
	// UpdateWebhookEndpoint changes one.
	UpdateWebhookEndpoint(ctx context.Context, id string, u Update) (Endpoint, error)
	// DeleteWebhookEndpoint deletes one; one that is gone is no error.
	DeleteWebhookEndpoint(ctx context.Context, id string) error
}

// Lister lists what is registered at Stripe.
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

// Fingerprint tells secrets apart and tells nothing else of them: they are random and
// long, so that nobody finds one by trying.
func (s Secret) Fingerprint() string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:8])
}
