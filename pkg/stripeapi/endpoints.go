package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"tollgate/pkg/registration"
)

var (
	_ registration.Registrar = (*Client)(nil)
	_ registration.Lister    = (*Client)(nil)
)

const (
	endpointsPath = "/v1/webhook_endpoints"
	endpointsPage = 100
	// maxEndpointPages bounds a list; an account may have 16 endpoints.
	maxEndpointPages = 20
	maxMessage       = 300 // of Stripe's words, in characters
)

// endpoint has the members of a webhook endpoint that are read.
type endpoint struct {
	ID          string            `json:"id"`
	URL         string            `json:"url"`
	Events      []string          `json:"enabled_events"`
	APIVersion  string            `json:"api_version"`
	Application string            `json:"application"`
	Status      string            `json:"status"`
	Livemode    bool              `json:"livemode"`
	Created     int64             `json:"created"`
	Metadata    map[string]string `json:"metadata"`
	Secret      string            `json:"secret"` // in the answer that creates it
}

func (e endpoint) registered() registration.Endpoint {
	return registration.Endpoint{
		ID: e.ID, URL: e.URL, Events: e.Events, APIVersion: e.APIVersion, Application: e.Application,
		Disabled: e.Status == "disabled", Livemode: e.Livemode, Created: time.Unix(e.Created, 0).UTC(), Metadata: e.Metadata,
	}
}

// ListWebhookEndpoints returns all webhook endpoints of the key's account and mode, all
// pages of them. Safe for concurrent use.
func (c *Client) ListWebhookEndpoints(ctx context.Context) (list []registration.Endpoint, err error) {
	after := ""
	for range maxEndpointPages {
		path := fmt.Sprintf("%s?limit=%d", endpointsPath, endpointsPage)
		if after != "" {
			path += "&starting_after=" + url.QueryEscape(after)
		}
		body, err := c.get(ctx, request{path: path, version: APIVersion, resource: "webhook_endpoints"})
		if err != nil {
			return nil, endpointError("list webhook endpoints", err)
		}
		var page struct {
			Data    []endpoint `json:"data"`
			HasMore bool       `json:"has_more"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("list webhook endpoints: read answer: %w", err)
		}
		for _, e := range page.Data {
			list = append(list, e.registered())
		}
		if !page.HasMore || len(page.Data) == 0 {
			return list, nil
		}
		after = page.Data[len(page.Data)-1].ID
	}
	return nil, fmt.Errorf("list webhook endpoints: the list does not end after %d pages", maxEndpointPages)
}

// CreateWebhookEndpoint creates an endpoint and returns it with its signing secret, which
// Stripe shows only in this response. key is the idempotency key and must not be empty: for a
// day all tries with it create one endpoint. The error wraps
// [registration.ErrUnknownOutcome] when the endpoint may have been created. An endpoint
// without a secret in the response is returned with the error. Safe for concurrent use.
func (c *Client) CreateWebhookEndpoint(ctx context.Context, n registration.NewEndpoint, key string) (registration.Endpoint, registration.Secret, error) {
	fail := func(err error) (registration.Endpoint, registration.Secret, error) {
		return registration.Endpoint{}, registration.Secret{}, endpointError("create webhook endpoint", err)
	}
	if !isName(key, "-") {
		return fail(errors.New("an idempotency key is 1 to 255 letters, digits, _ and -"))
	}
	form := url.Values{"url": {n.URL}, "enabled_events[]": n.Events}
	if n.APIVersion != "" {
		form.Set("api_version", n.APIVersion)
	}
	if n.Connect {
		form.Set("connect", "true")
	}
	if n.Description != "" {
		form.Set("description", n.Description)
	}
	setMetadata(form, n.Metadata)
	body, err := c.get(ctx, request{
		method: http.MethodPost, path: endpointsPath, form: form.Encode(), once: key, version: APIVersion, resource: "webhook_endpoints",
	})
	if err != nil {
		return fail(maybeDone(err))
	}
	var e endpoint
	if err := json.Unmarshal(body, &e); err != nil || e.ID == "" {
		// The decoder's error could quote the response, which has the secret.
		return fail(fmt.Errorf("%w: its answer cannot be read", registration.ErrUnknownOutcome))
	}
	if e.Secret == "" {
		return e.registered(), registration.Secret{}, fmt.Errorf("create webhook endpoint: Stripe's answer for %s has no secret", e.ID)
	}
	return e.registered(), registration.NewSecret(e.Secret), nil
}

// UpdateWebhookEndpoint changes an endpoint. A retry sets the same values. Safe for
// concurrent use.
func (c *Client) UpdateWebhookEndpoint(ctx context.Context, id string, u registration.Update) (registration.Endpoint, error) {
	path, err := endpointPath(id)
	if err != nil {
		return registration.Endpoint{}, err
	}
	form := url.Values{}
	if len(u.Events) > 0 {
		form["enabled_events[]"] = u.Events
	}
	if u.Disabled != nil {
		form.Set("disabled", fmt.Sprint(*u.Disabled))
	}
	setMetadata(form, u.Metadata)
	body, err := c.get(ctx, request{method: http.MethodPost, path: path, form: form.Encode(), version: APIVersion, resource: "webhook_endpoints"})
	if err != nil {
		return registration.Endpoint{}, endpointError("update webhook endpoint "+id, err)
	}
	var e endpoint
	if err := json.Unmarshal(body, &e); err != nil {
		return registration.Endpoint{}, fmt.Errorf("update webhook endpoint %s: its answer cannot be read", id)
	}
	return e.registered(), nil
}

// DeleteWebhookEndpoint deletes an endpoint; a missing one is not an error. Safe for
// concurrent use.
func (c *Client) DeleteWebhookEndpoint(ctx context.Context, id string) error {
	path, err := endpointPath(id)
	if err != nil {
		return err
	}
	_, err = c.get(ctx, request{method: http.MethodDelete, path: path, version: APIVersion, resource: "webhook_endpoints"})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return endpointError("delete webhook endpoint "+id, err)
	}
	return nil
}

func endpointPath(id string) (string, error) {
	if !isName(id, "") {
		return "", fmt.Errorf("%.80q is not a webhook endpoint's id", id)
	}
	return endpointsPath + "/" + id, nil
}

func setMetadata(form url.Values, metadata map[string]string) {
	for name, value := range metadata {
		form.Set("metadata["+name+"]", value)
	}
}

// maybeDone marks an error after which the request may have been applied.
func maybeDone(err error) error {
	if unavailable, ok := errors.AsType[*UnavailableError](err); ok && unavailable.Tries > 0 {
		return fmt.Errorf("%w: %w", registration.ErrUnknownOutcome, err)
	}
	if _, ok := errors.AsType[*TooLargeError](err); ok {
		return fmt.Errorf("%w: %w", registration.ErrUnknownOutcome, err)
	}
	return err
}

// endpointError adds Stripe's message to a refusal: these requests have nothing secret, and
// the message names the invalid parameter.
func endpointError(doing string, err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Message != "" {
		return fmt.Errorf("%s: %w: %s", doing, err, plain(refused.Message))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// plain is a text without control characters, and not too long.
func plain(text string) string {
	letters := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
	if len(letters) > maxMessage {
		return string(letters[:maxMessage]) + "…"
	}
	return string(letters)
}
