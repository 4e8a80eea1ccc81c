package stripeapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// request is one request, the same on every try.
type request struct {
	method        string // "" for GET
	path          string
	form          string // the body of a POST
	once          string // idempotency key: tries with one key change things once
	version       string // Stripe-Version
	accountHeader string // the header that names the account, unless the key is an organisation's
	account       string // "" for the key's own
	resource      string // whose rate the request counts against
}

// answer is the outcome of one try.
type answer struct {
	body       []byte
	status     int // 0 when no answer came
	retryAfter time.Duration
	limited    string // why Stripe limited the rate, "" if it did not
	err        error
	again      bool // another try may succeed
}

// get makes the request until it succeeds, another try cannot help, or the tries or
// the time are over. A request that would change more on every try has a key in once.
func (c *Client) get(ctx context.Context, r request) ([]byte, error) {
	key, err := c.key(ctx)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		turn, after, err := c.rates.wait(ctx, bucketKey{r.account, r.resource, isLive(key)}, c.leastTry())
		if err != nil {
			return nil, noTurn(try-1, after, err)
		}
		a := c.try(ctx, r, key)
		turn.answered(a)
		if a.err == nil {
			return a.body, nil
		}
		if !a.again {
			return nil, a.err
		}
		unavailable := &UnavailableError{Status: a.status, RetryAfter: a.retryAfter, Tries: try, Err: a.err}
		if try >= c.o.Tries || ctx.Err() != nil {
			return nil, unavailable
		}
		// No time for a whole try: the caller tries again later.
		wait := max(c.backoff(try), a.retryAfter)
		if deadline, has := ctx.Deadline(); wait > c.o.MaxWait || has && time.Until(deadline) < wait+c.o.TryTimeout {
			return nil, unavailable
		}
		select {
		case <-ctx.Done():
			unavailable.Err = errors.Join(ctx.Err(), a.err)
			return nil, unavailable
		case <-time.After(wait):
		}
	}
}

// key returns the API key, or an error that never contains it.
func (c *Client) key(ctx context.Context) (string, error) {
	key, err := c.o.Key(ctx)
	if err != nil {
		return "", fmt.Errorf("get API key: %w", err)
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return "", ErrNoAPIKey
	}
	if !isName(key, "") {
		return "", fmt.Errorf("%w: it is malformed", ErrUnauthorized)
	}
	return key, nil
}

// try makes one request.
func (c *Client) try(ctx context.Context, r request, key string) answer {
	ctx, cancel := context.WithTimeout(ctx, c.o.TryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.method, http.MethodGet), c.o.URL+r.path, strings.NewReader(r.form))
	if err != nil {
		return answer{err: err}
	}
	if r.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.once != "" {
		req.Header.Set("Idempotency-Key", r.once)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Stripe-Version", r.version)
	req.Header.Set("User-Agent", "tollgate")
	if r.account != "" {
		req.Header.Set(accountHeader(r, key), r.account)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err, again: true}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.o.MaxBody+1))
	a := answer{status: resp.StatusCode}
	switch {
	case err != nil:
		a.err, a.again = fmt.Errorf("read answer: %w", err), true
	case resp.StatusCode != http.StatusOK:
		a.err, a.again = refusal(resp, body, r.account)
		a.retryAfter = retryAfter(resp.Header)
		a.limited = limited(resp, body)
	case int64(len(body)) > c.o.MaxBody:
		a.err = &TooLargeError{Limit: c.o.MaxBody}
	case !json.Valid(body):
		// Not from Stripe, which answers in JSON: a proxy's page.
		a.err, a.again = errors.New("answer is not JSON"), true
	default:
		a.body = body
	}
	return a
}

// accountHeader is the header that names the account. A key of an organisation acts for one of
// its accounts by Stripe-Context only.
func accountHeader(r request, key string) string {
	if isOrganisations(key) {
		return "Stripe-Context"
	}
	return r.accountHeader
}

func isOrganisations(key string) bool {
	return strings.HasPrefix(key, "sk_org") || strings.HasPrefix(key, "rk_org")
}

// missingRight matches the name of a right that a restricted key lacks, such as
// rak_charge_read, in Stripe's message.
var missingRight = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\brak_[a-z0-9_]{1,60}\b`) })

// refusal is the error of an answer that is not 200, and whether another try may help.
// Stripe-Should-Retry decides where the status does not.
// account is the connected account that was asked as, "" for the key's own.
func refusal(resp *http.Response, body []byte, account string) (err error, again bool) {
	var envelope struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &envelope) // no code if it is not JSON
	code := envelope.Error.Code
	if !isName(code, ".-") {
		code = ""
	}
	id := resp.Header.Get("Request-Id")
	if !isName(id, "-") {
		id = ""
	}
	text := describe(resp.StatusCode, code, id)
	// A restricted key without a permission is refused with this status too.
	ofKey := account == "" || strings.Contains(envelope.Error.Message, "required permissions")
	switch resp.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w (%s)", ErrNotFound, text), false
	case http.StatusForbidden:
		if right := missingRight().FindString(envelope.Error.Message); right != "" {
			text += ", missing right " + right
		}
		if code == "account_invalid" || !ofKey {
			return fmt.Errorf("%w: account %s (%s)", ErrAccountRevoked, account, text), false
		}
		return fmt.Errorf("%w (%s)", ErrUnauthorized, text), false
	case http.StatusUnauthorized:
		return fmt.Errorf("%w (%s)", ErrUnauthorized, text), false
	case http.StatusTooManyRequests, http.StatusConflict, http.StatusRequestTimeout:
		return errors.New(text), true
	}
	if resp.StatusCode >= 500 || resp.Header.Get("Stripe-Should-Retry") == "true" {
		return errors.New(text), true
	}
	return &RefusedError{Status: resp.StatusCode, Code: code, RequestID: id, Message: envelope.Error.Message}, false
}

// leastTry is the least time that a request needs: far more than Stripe usually takes.
func (c *Client) leastTry() time.Duration { return c.o.TryTimeout / 6 }

// limitedObject is the reason of a 429 that is about one object, and not about a rate.
const limitedObject = "resource-specific"

// limited returns why Stripe limited the rate, "" if it did not.
func limited(resp *http.Response, body []byte) string {
	switch {
	case resp.StatusCode != http.StatusTooManyRequests:
		return ""
	case bytes.Contains(body, []byte(`"lock_timeout"`)): // another request holds the object
		return limitedObject
	}
	return cmp.Or(resp.Header.Get("Stripe-Rate-Limited-Reason"), "unknown")
}

// retryAfter reads Retry-After: seconds or a date. Unparseable values are ignored.
func retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}

// backoff is the wait after the given try: half to all of a time that doubles.
func (c *Client) backoff(try int) time.Duration {
	most := min(c.o.Backoff, c.o.MaxWait)
	for range try - 1 {
		most = min(2*most, c.o.MaxWait)
	}
	return most/2 + time.Duration(rand.Int64N(int64(most/2)+1))
}
