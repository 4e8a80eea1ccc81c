package destinations

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/local"
	"tollgate/pkg/stdwebhooks"
)

// Listen receives deliveries.
type Listen struct {
	Listen string `default:"127.0.0.1:4300" help:"Where deliveries are received (loopback). Default: 127.0.0.1:4300." placeholder:"HOST:PORT"`
	Secret string `help:"Signing secret, or several. Default: those of the local system's destinations." placeholder:"whsec_…"`
	Fail   string `help:"Do not accept deliveries: a status such as 500 or 410, timeout for no answer, or 3-times for a 500 to the first three of each message." placeholder:"HOW"`
}

func (Listen) Help() string {
	return `A receiver for tollgate dev --send-to: it verifies each delivery by the Standard Webhooks specification, prints it, and answers 204. A message that was accepted before is printed as a duplicate: the same webhook-id. A wrong signature is answered 401. Ctrl-C stops it.

  tollgate dev --send-to http://127.0.0.1:4300          # in another terminal
  tollgate listen
  tollgate listen --fail 2-times
  tollgate listen --fail 410                            # disables the destination`
}

// Bounds of a delivery.
const (
	maxBody       = 1 << 20
	longestAnswer = time.Minute // of --fail timeout: longer than any sender waits
	maxRemembered = 100_000     // messages
)

// Received is one delivery, as JSON.
type Received struct {
	At          string `json:"at"`
	Destination string `json:"destination"` // whose secret verified it; "" with --secret
	ID          string `json:"webhook_id"`
	Type        string `json:"type"`
	Event       string `json:"event"`   // of a forwarded Stripe event
	Object      string `json:"object"`  // its id
	Attempt     int    `json:"attempt"` // deliveries of this message that were received
	Sequence    int64  `json:"sequence"`
	Duplicate   bool   `json:"duplicate"` // it was accepted before
	Verified    bool   `json:"verified"`
	Status      int    `json:"status"` // answered; 0 for no answer
	Error       string `json:"error"`
}

// receiver answers deliveries.
type receiver struct {
	a      *verb.App
	secret string
	fail   failure

	mu   sync.Mutex
	seen map[string]*message // by destination and webhook-id
}

type message struct {
	received int
	accepted bool
}

// failure is how deliveries are not accepted.
type failure struct {
	status int  // 0 accepts
	hang   bool // no answer
	times  int  // of each message's deliveries; 0 means all
}

func parseFailure(text string) (failure, error) {
	if text == "timeout" {
		return failure{hang: true, status: http.StatusServiceUnavailable}, nil
	}
	if n, times := strings.CutSuffix(text, "-times"); times {
		if count, err := strconv.Atoi(n); err == nil && count > 0 {
			return failure{status: http.StatusInternalServerError, times: count}, nil
		}
	}
	if status, err := strconv.Atoi(text); text == "" || err == nil && status >= 300 && status <= 599 {
		return failure{status: status}, nil
	}
	return failure{}, verb.Usage("--fail is a status from 300 to 599, timeout, or a number and -times, such as 3-times")
}

// Run receives until it is interrupted.
func (c *Listen) Run(ctx context.Context, a *verb.App) error {
	r := &receiver{a: a, secret: c.Secret, seen: map[string]*message{}}
	var err error
	if r.fail, err = parseFailure(c.Fail); err != nil {
		return err
	}
	if _, err := stdwebhooks.Parse(c.Secret); c.Secret != "" && err != nil {
		return verb.Usage("--secret: %v", err)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return verb.Usage("--listen %s is not HOST:PORT of a loopback address", c.Listen)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return verb.Hint(fmt.Errorf("listen: %w", err), "choose another address with --listen, and give it to tollgate dev --send-to")
	}
	fmt.Fprintf(a.Err, "receives at http://%s\n", l.Addr())
	server := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// ServeHTTP verifies, prints and answers one delivery.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	got := Received{At: *verb.Stamp(time.Now())}
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	switch {
	case q.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case err != nil:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if got.Destination, got.ID, err = r.verify(q.Header, body); err != nil {
		// Before the local system's secrets are known nothing can be verified: the sender tries again.
		got.Status, got.Error = http.StatusUnauthorized, err.Error()
		if errors.Is(err, local.ErrNotRunning) {
			got.Status = http.StatusServiceUnavailable
		}
	} else {
		got.Verified = true
		r.read(body, &got)
		r.answer(&got)
	}
	if got.Verified && r.fail.hang {
		got.Status = 0
		r.print(got)
		select {
		case <-q.Context().Done():
		case <-time.After(longestAnswer):
		}
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(got.Status)
	r.print(got)
}

// verify finds the key that signed the delivery.
func (r *receiver) verify(h http.Header, body []byte) (name, id string, err error) {
	secrets := map[string]string{"": r.secret}
	if r.secret == "" {
		i, err := local.ReadInfo(r.a.Data)
		if err != nil {
			return "", "", err
		}
		secrets = i.DestinationSecrets
	}
	err = errors.New("no signing secret is known: the local system has no HTTP destination, and --secret is missing")
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		keys, bad := stdwebhooks.Parse(secrets[name])
		if bad != nil {
			err = bad
			continue
		}
		m, wrong := keys.Verify(h, body, time.Now())
		if wrong == nil {
			return name, m.ID, nil
		}
		err = wrong
	}
	return "", "", err
}

// read fills in what the body tells.
func (*receiver) read(body []byte, got *Received) {
	var in struct {
		Type     string `json:"type"`
		Sequence int64  `json:"sequence"`
		Data     struct {
			Event    string          `json:"event"`
			Object   json.RawMessage `json:"object"` // an id of a forwarded event, a type of others
			ObjectID string          `json:"object_id"`
			Sequence int64           `json:"sequence"`

			ID   string `json:"id"` // of a whole event
			Data struct {
				Object struct {
					ID string `json:"id"`
				} `json:"object"`
			} `json:"data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		got.Error = "the body is not JSON of the expected form"
		return
	}
	d := in.Data
	var object string
	_ = json.Unmarshal(d.Object, &object) // "" for an object that is not a text
	got.Type, got.Sequence = in.Type, cmp.Or(d.Sequence, in.Sequence)
	got.Object = cmp.Or(d.ObjectID, d.Data.Object.ID)
	if strings.HasPrefix(in.Type, event.ForwardedPrefix) {
		got.Event, got.Object = cmp.Or(d.Event, d.ID), cmp.Or(got.Object, object)
	}
}

// answer counts the delivery and decides its status.
func (r *receiver) answer(got *Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := got.Destination + " " + got.ID
	m := r.seen[key]
	if m == nil {
		if len(r.seen) >= maxRemembered {
			clear(r.seen)
		}
		m = &message{}
		r.seen[key] = m
	}
	m.received++
	got.Attempt, got.Duplicate = m.received, m.accepted
	got.Status = http.StatusNoContent
	if r.fail.status > 0 && (r.fail.times == 0 || m.received <= r.fail.times) {
		got.Status = r.fail.status
	}
	m.accepted = m.accepted || got.Status == http.StatusNoContent
}

func (r *receiver) print(got Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what := "attempt " + strconv.Itoa(got.Attempt)
	switch {
	case !got.Verified:
		what = "not verified: " + got.Error
	case got.Duplicate:
		what = "duplicate"
	}
	status := strconv.Itoa(got.Status)
	if got.Status == 0 {
		status = "no answer"
	}
	r.a.Line(got, verb.OneLine(fmt.Sprintf("%s  %-30s %-32s %-28s sequence %d  %s → %s",
		got.At[11:19], verb.Dash(got.ID), verb.Dash(got.Type), verb.Dash(got.Object), got.Sequence, what, status)))
}
