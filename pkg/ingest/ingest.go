// Package ingest answers one delivery: it verifies the signature, enqueues the event's
// envelope and only then answers that it was received. It uses no table and no handler,
// and does not read an event's data. An adapter converts a gateway's request into a
// [Request], and an [Answer] into the gateway's response.
//
// A sender's fault is an Answer and raises no alarm. An internal fault (no secret, the
// queue is down) is a Go error: the sender gets a 5xx and retries.
//
//	h, err := ingest.New(ingest.Config{Secrets: secrets, Sender: queue})
//	answer, err := h.Handle(ctx, request)
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/verify"
)

// ErrUnknownEndpoint is returned by [Secrets] for an endpoint without an entry.
var ErrUnknownEndpoint = errors.New("unknown endpoint")

// Secrets returns the active signing secrets of an endpoint. Both methods are called
// concurrently. They return [ErrUnknownEndpoint] for a name without an entry, an empty
// list for an entry without a usable secret, and another error if the secrets could not
// be fetched and none are cached.
type Secrets interface {
	// Active returns the cached secrets.
	Active(ctx context.Context, endpoint string) ([]string, error)
	// Refetched first fetches the secrets again, unless it did so recently. A failed
	// fetch keeps the cached ones.
	Refetched(ctx context.Context, endpoint string) ([]string, error)
}

// Sender enqueues an envelope. A nil error means that the queue has stored the message, by
// the id that it returns; trace may be empty. Enqueue limits its own time.
type Sender interface {
	Enqueue(ctx context.Context, e event.Envelope, trace string) (message string, err error)
}

// Config holds a handler's parts.
type Config struct {
	Secrets  Secrets        // required
	Sender   Sender         // required
	Logger   *slog.Logger   // one line per request; default none
	AllowIPs []netip.Prefix // the only sources that may deliver; default all
	Limits   limits.Limits  // default limits.AWS()
}

// Handler answers deliveries. It is safe for concurrent use.
type Handler struct {
	secrets   Secrets
	sender    Sender
	log       *slog.Logger
	allow     []netip.Prefix
	tolerance time.Duration
}

// New returns a handler, or an error that names every missing part.
func New(c Config) (*Handler, error) {
	var errs []error
	if c.Secrets == nil {
		errs = append(errs, errors.New("ingest needs secrets"))
	}
	if c.Sender == nil {
		errs = append(errs, errors.New("ingest needs a sender"))
	}
	for _, p := range c.AllowIPs {
		if !p.IsValid() {
			errs = append(errs, errors.New("ingest needs valid prefixes in AllowIPs"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	return &Handler{
		secrets: c.Secrets, sender: c.Sender, log: c.Logger,
		allow: slices.Clone(c.AllowIPs), tolerance: c.Limits.Tolerance,
	}, nil
}

// Handle answers one request and logs one line. An error means that the event may not be
// on the queue: answer with a 5xx.
func (h *Handler) Handle(ctx context.Context, r Request) (Answer, error) {
	if reason := h.refuse(r); reason != "" {
		return h.Reject(ctx, r, reason), nil
	}
	got, err := h.verify(ctx, r)
	if err != nil {
		if reason, ok := reasonOf(err); ok {
			return h.Reject(ctx, r, reason), nil
		}
		return h.failed(ctx, r, "", fmt.Errorf("find a secret for endpoint %q: %w", r.Endpoint, err))
	}
	message, err := h.sender.Enqueue(ctx, got.Envelope, r.Trace)
	if err != nil {
		return h.failed(ctx, r, got.Envelope.ID, fmt.Errorf("enqueue event %s: %w", got.Envelope.ID, err))
	}
	attrs := append(make([]slog.Attr, 0, 7), slog.String("outcome", "enqueued"), slog.String("endpoint", r.Endpoint), slog.String("event_id", got.Envelope.ID),
		slog.String("event_type", got.Envelope.Type), slog.String("message_id", message), slog.String("verified_by", strconv.Itoa(got.SecretIndex)))
	if trace := event.SampledTrace(r.Trace); trace != "" {
		attrs = append(attrs, slog.String("trace", trace))
	}
	h.log.LogAttrs(ctx, slog.LevelInfo, "delivery", attrs...)
	return Answer{Status: http.StatusOK}, nil
}

// refuse returns the reason to reject a request before its signature is checked.
func (h *Handler) refuse(r Request) Reason {
	switch {
	case !event.ValidEndpoint(r.Endpoint):
		return Endpoint
	case r.Method != http.MethodPost:
		return Method
	case !h.allowed(r.SourceIP):
		return Source
	case len(r.Body) > limits.MaxBody:
		return TooLarge
	case !isJSON(r.ContentType):
		return MediaType
	}
	return ""
}

// verify checks the delivery with the cached secrets, and again with refetched ones if they
// could change the answer: a secret may have been rolled or an endpoint added. A header that
// no secret could verify is rejected before: an outsider must not learn that an endpoint has
// no secret, nor raise an alarm with it.
func (h *Handler) verify(ctx context.Context, r Request) (verify.Result, error) {
	if err := verify.Header(r.Signature, h.tolerance); err != nil {
		return verify.Result{}, err
	}
	secrets, err := h.secrets.Active(ctx, r.Endpoint)
	var got verify.Result
	if err == nil {
		got, err = h.check(r, secrets)
	}
	if err == nil || !curable(err) {
		return got, err
	}
	secrets, err = h.secrets.Refetched(ctx, r.Endpoint)
	if err != nil {
		return verify.Result{}, err
	}
	return h.check(r, secrets)
}

func (h *Handler) check(r Request, secrets []string) (verify.Result, error) {
	return verify.Delivery(r.Body, r.Signature, verify.Options{
		Endpoint: r.Endpoint, Secrets: secrets, Tolerance: h.tolerance,
	})
}

// curable reports whether newer secrets could turn err into a verified delivery.
func curable(err error) bool {
	if no, ok := errors.AsType[*verify.Rejection](err); ok {
		return no.Fresh
	}
	return errors.Is(err, ErrUnknownEndpoint) || errors.Is(err, verify.ErrNoSecret)
}

// reasonOf returns the reason of an error that is the sender's fault.
func reasonOf(err error) (Reason, bool) {
	if no, ok := errors.AsType[*verify.Rejection](err); ok {
		return Reason(no.Reason), true
	}
	if errors.Is(err, ErrUnknownEndpoint) {
		return Endpoint, true
	}
	return "", false
}

// Reject logs a rejection and returns its answer. An adapter calls it for what it could
// not convert into a request.
func (h *Handler) Reject(ctx context.Context, r Request, reason Reason) Answer {
	endpoint := r.Endpoint
	if reason == Endpoint || !event.ValidEndpoint(endpoint) {
		endpoint = "" // not verified: keep it out of the log
	}
	h.log.InfoContext(ctx, "delivery", "outcome", "rejected", "reason", string(reason), "endpoint", endpoint)
	return Answer{Status: reason.Status(), Reason: reason}
}

func (h *Handler) failed(ctx context.Context, r Request, id string, err error) (Answer, error) {
	h.log.ErrorContext(ctx, "delivery", "outcome", "failed", "endpoint", r.Endpoint, "event_id", id, "error", err.Error())
	return Answer{}, err
}

// allowed reports whether a source may deliver. An invalid address may not.
func (h *Handler) allowed(source string) bool {
	if len(h.allow) == 0 {
		return true
	}
	ip, err := netip.ParseAddr(source)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(h.allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// isJSON reports whether a content type is application/json, in any case and with
// any parameters.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}
