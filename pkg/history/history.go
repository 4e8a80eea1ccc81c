// Package history answers a destination's receiver: what was handed over for it and how each
// delivery went, with the bodies, and a delivery again on its word. A receiver that was down
// fetches what it missed.
//
//	GET  /deliveries?after=PLACE&status=undelivered&limit=100
//	POST /deliveries/ID/retry
//
// A request has a token of one destination, "Authorization: Bearer …", and sees nothing of the
// others. PLACE is next of the answer before, or a time; the list is in the order of handing over,
// never changes that order, and ends a minute (Limits.Sender.Settle) before now. Deliveries are
// kept for 30 days (RowTTL).
package history

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
)

// Rows has what the table keeps of deliveries. Safe for concurrent use.
type Rows interface {
	History(context.Context, delivery.Query) ([]delivery.Listed, error)
	// Digests returns the digests of a destination's tokens, see [Digest].
	Digests(ctx context.Context, destination string) ([]string, error)
	// Reopen lets a delivery be attempted again; see dynamostore.Deliveries.Reopen.
	Reopen(ctx context.Context, j delivery.Job, now time.Time) (delivery.Status, error)
}

// Messages reads outbox messages and destinations' states. Safe for concurrent use.
type Messages interface {
	Message(ctx context.Context, key string) (outbox.Message, bool, error)
	State(ctx context.Context, destination string) (delivery.State, error)
}

// Config has a handler's parts, all required but the last two.
type Config struct {
	Rows         Rows
	Messages     Messages
	Jobs         delivery.Jobs
	Destinations destination.Set
	Limits       limits.Limits
	Logger       *slog.Logger     // one line for each request; default none
	Now          func() time.Time // default time.Now
}

// Handler is safe for concurrent use.
type Handler struct{ cfg Config }

// New returns a handler, or an error that says what is missing.
func New(c Config) (*Handler, error) {
	if c.Rows == nil || c.Messages == nil || c.Jobs == nil {
		return nil, errors.New("history needs rows, messages and queues")
	}
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Handler{c}, nil
}

// Request is an HTTP request.
type Request struct {
	Method, Path  string
	Query         map[string]string
	Authorization string
}

// Answer is its answer: a status and JSON.
type Answer struct {
	Status int
	Body   []byte
}

// Bounds of a request.
const (
	DefaultLimit = 20
	MaxLimit     = 100
	maxRead      = 1000 // rows, for a status that few have
)

// refusal is an answer other than 200.
type refusal struct {
	status     int
	text, hint string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, text, hint string) error { return &refusal{status, text, hint} }

// Handle answers a request. An error is the store's or a queue's: it is worth another request.
func (h *Handler) Handle(ctx context.Context, r Request) (a Answer, err error) {
	var d destination.Destination
	var found any
	if d, err = h.owner(ctx, r.Authorization); err == nil {
		found, err = h.route(ctx, d, r)
	}
	a.Status = http.StatusOK
	if refused, is := errors.AsType[*refusal](err); is {
		a.Status, found, err = refused.status, map[string]string{"error": refused.text, "hint": refused.hint}, nil
	}
	if err == nil {
		a.Body, err = json.Marshal(found)
	}
	if err != nil {
		a.Status = http.StatusInternalServerError
	}
	h.cfg.Logger.InfoContext(ctx, LogMessage, "destination", d.Name, "method", r.Method, "status", a.Status, "error", textOf(err))
	return a, err
}

// LogMessage is the message of a request's log line.
const LogMessage = "history"

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return limits.Cut(err.Error(), limits.MaxErrorText)
}

func (h *Handler) route(ctx context.Context, d destination.Destination, r Request) (any, error) {
	id, again := strings.CutSuffix(strings.TrimPrefix(r.Path, Path+"/"), "/retry")
	switch {
	case r.Path == Path && r.Method == http.MethodGet:
		return h.list(ctx, d, r.Query)
	case again && !strings.Contains(id, "/") && r.Method == http.MethodPost:
		return h.retry(ctx, d, id)
	}
	return nil, refuse(http.StatusNotFound, "there is no such resource", "GET "+Path+" or POST "+Path+"/ID/retry")
}

// Path is that of the list.
const Path = "/deliveries"

// tokenPrefix makes a token recognisable, as to scanners of secrets.
const tokenPrefix = "tgd_"

// Token returns a token of a destination for these random bytes.
func Token(destination, random string) string { return tokenPrefix + destination + "_" + random }

// Digest is what is kept of a token, which has over 128 random bits.
func Digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// owner returns the destination of a token.
func (h *Handler) owner(ctx context.Context, authorization string) (destination.Destination, error) {
	unknown := refuse(http.StatusUnauthorized, "no token, or not a valid one", "send Authorization: Bearer TOKEN, with one that tollgate deliveries token NAME printed")
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	name, _, _ := strings.Cut(strings.TrimPrefix(token, tokenPrefix), "_")
	d, known := h.cfg.Destinations[name]
	if !ok || !strings.HasPrefix(token, tokenPrefix) || !known || !d.History {
		return destination.Destination{}, unknown
	}
	digests, err := h.cfg.Rows.Digests(ctx, name)
	if err != nil {
		return destination.Destination{}, fmt.Errorf("read tokens: %w", err)
	}
	valid := 0
	for _, digest := range digests {
		valid |= subtle.ConstantTimeCompare([]byte(digest), []byte(Digest(token)))
	}
	if valid == 0 {
		return destination.Destination{}, unknown
	}
	return d, nil
}

// idOf returns a delivery's id, from which jobOf reads the message.
func idOf(message string) string { return base64.RawURLEncoding.EncodeToString([]byte(message)) }

func jobOf(id string, d destination.Destination) (delivery.Job, error) {
	key, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || !strings.HasPrefix(string(key), limits.KeyMessage) || len(key) > maxKey {
		return delivery.Job{}, refuse(http.StatusNotFound, "no such delivery", "id is that of a delivery in GET "+Path)
	}
	return delivery.Job{Message: string(key), Destination: d.Name}, nil
}

// maxKey is DynamoDB's bound of a key, in bytes, with room for the rest of a delivery's.
const maxKey = 1900

// Page is the answer of GET /deliveries.
type Page struct {
	Data []Delivery `json:"data"`
	Next string     `json:"next"` // for after: of the next page, or of a later request
	More bool       `json:"more"` // the next page has more now
}

// Delivery is one in a page.
type Delivery struct {
	ID        string          `json:"id"`
	WebhookID string          `json:"webhook_id"` // as in the header webhook-id of each attempt
	Type      string          `json:"type"`
	Status    string          `json:"status"` // queued, retrying, running, delivered, failed or disabled
	At        time.Time       `json:"handed_over_at"`
	Next      *time.Time      `json:"next_attempt_at"`
	Attempts  int             `json:"attempts"`
	History   []Attempt       `json:"last_attempts"` // the last ten that ended
	Body      json.RawMessage `json:"body"`          // as it is posted, but a whole event as a reference; null once the message is gone
}

// Attempt is one that ended.
type Attempt struct {
	At     time.Time `json:"at"`
	Millis int64     `json:"ms"`
	Status int       `json:"status"` // of HTTP, 0 without an answer
	Error  string    `json:"error"`
}

// Undelivered is a status of a query: every other than delivered.
const Undelivered = "undelivered"

// StatusOf names a delivery's status for people.
func StatusOf(r delivery.Row) string {
	switch {
	case r.Status == delivery.Waiting && r.Attempt == 0:
		return "queued"
	case r.Status == delivery.Waiting:
		return "retrying"
	case r.Status == delivery.Delivered:
		return "delivered"
	}
	return string(r.Status)
}

// Statuses are those that a query may ask for.
func Statuses() []string {
	return []string{"", "queued", "retrying", "running", "delivered", "failed", "disabled", Undelivered}
}

// Fits reports whether a status is the wanted one, "" for any.
func Fits(wanted, status string) bool {
	return wanted == "" || wanted == status || wanted == Undelivered && status != "delivered"
}

// integer reads an optional number of a query.
func integer(text string, least, most, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, refuse(http.StatusBadRequest, "limit is no number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most), "leave it out for "+strconv.Itoa(otherwise))
	}
	return n, nil
}

// fetchBodies reads the messages of a page, some at once.
func (h *Handler) fetchBodies(ctx context.Context, page []Delivery, of []delivery.Listed) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(10)
	for i := range page {
		g.Go(func() error {
			m, found, err := h.cfg.Messages.Message(ctx, of[i].Job.Message)
			if err != nil || !found {
				return err
			}
			page[i].Type = m.Name
			page[i].Body, err = delivery.Body(delivery.Of(m, of[i].Row.Sequence))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("read messages: %w", err)
	}
	return nil
}
