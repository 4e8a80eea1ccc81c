package dev

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
	"golang.org/x/sync/errgroup"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers/golden"
)

// Send signs events as Stripe does and posts them.
type Send struct {
	What     string  `arg:"" optional:"" name:"type|file" help:"An event type with a golden event (an unknown one lists them), or a JSON file."`
	URL      string  `help:"Where to post. Default: the target's." placeholder:"URL"`
	Secret   string  `help:"Signing secret. Default: STRIPE_WEBHOOK_SECRET, else the target's." placeholder:"whsec_…"`
	Endpoint string  `help:"Endpoint of a local system to post to. Default: default." placeholder:"NAME"`
	Door     string  `default:"webhook" enum:"webhook,eventbridge" help:"webhook; or eventbridge: put events into a local system's queue, as a rule of EventBridge does." placeholder:"DOOR"`
	ID       string  `help:"Event id to send. Default: a new one for each event; a file's own when it is sent once." placeholder:"evt_…"`
	Count    int     `default:"1" help:"Different events to send (1 to 1000000)."`
	Dup      int     `default:"1" help:"Deliveries of each event, at once (1 to 1000)."`
	Rate     float64 `help:"Events per second. Default: as fast as answers come." placeholder:"N"`
	Par      int     `name:"parallel" default:"16" help:"Deliveries under way at once (1 to 256)."`

	Scene   string  `help:"Play a scene of one customer in place of a type or file (an unknown one lists them)." placeholder:"NAME"`
	Seed    *uint64 `help:"Seed of the scene's random choices. Default: a random one, which is printed." placeholder:"N"`
	Shuffle *uint64 `help:"Delay and reorder the scene's deliveries, by this seed." placeholder:"SEED"`
}

// Delivery is the result of one delivery.
type Delivery struct {
	EventID string  `json:"event_id"`
	Type    string  `json:"type"`
	Status  int     `json:"status"`
	Answer  string  `json:"answer,omitempty"`
	Error   string  `json:"error,omitempty"`
	Millis  float64 `json:"ms"`
}

const (
	sendTimeout    = 40 * time.Second // a little more than API Gateway's own
	maxAnswerBytes = 4 << 10
)

func (Send) Help() string {
	return `tollgate send invoice.paid --count 100 sends a hundred different events, tollgate send event.json --dup 3 sends one event three times.

tollgate send --scene subscription-life --shuffle 7 --dup 2 plays the events of one customer: each step changes objects at the fake Stripe of a local system, then its events are delivered, some of types without a handler. Then tollgate ledger show CUSTOMER shows the result: the same objects and amounts with and without --shuffle.

Scenes:
` + sceneList()
}

// Run sends the events. It fails when a delivery is not answered 2xx.
func (c *Send) Run(ctx context.Context, a *verb.App) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Scene != "" {
		return c.runScene(ctx, a)
	}
	source, fresh, err := c.load()
	if err != nil {
		return err
	}
	if c.Door == "eventbridge" {
		b, err := c.bus(ctx, a)
		if err != nil {
			return err
		}
		return c.sendAll(ctx, a, b, source, fresh)
	}
	url, secret, err := c.destination(ctx, a)
	if err != nil {
		return err
	}
	return c.sendAll(ctx, a, c.sender(url, secret), source, fresh)
}

// door takes one event.
type door interface {
	post(ctx context.Context, body []byte) Delivery
}

func (c *Send) sender(url, secret string) *sender {
	return &sender{client: &http.Client{Timeout: sendTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: c.Par}}, url: url, secret: secret}
}

func (c *Send) check() error {
	bounds := cmp.Or(verb.Between("--count", c.Count, 1, 1_000_000), verb.Between("--dup", c.Dup, 1, 1000), verb.Between("--parallel", c.Par, 1, 256))
	switch {
	case bounds != nil:
		return bounds
	case c.Rate < 0:
		return verb.Usage("--rate is over 0")
	case c.ID != "" && c.Count > 1:
		return verb.Usage("--id names one event, --count needs several")
	case c.Scene != "":
		return c.checkScene()
	case c.What == "":
		return verb.Usage("name an event type, a JSON file, or a scene with --scene")
	case c.Seed != nil || c.Shuffle != nil:
		return verb.Usage("--seed and --shuffle are for a scene: name it with --scene")
	}
	return nil
}

// load finds the event's bytes. fresh: each event sent gets new ids.
func (c *Send) load() (body []byte, fresh bool, err error) {
	if slices.Contains(golden.Types(), c.What) {
		body, err = golden.Load(c.What)
		return body, true, err
	}
	body, err = os.ReadFile(c.What)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, known := golden.Load(c.What)
		return nil, false, verb.Usage("%s is neither a file nor known: %v", c.What, known)
	case err != nil:
		return nil, false, fmt.Errorf("read event: %w", err)
	}
	return body, c.Count > 1 || c.ID != "", nil
}

func (c *Send) destination(ctx context.Context, a *verb.App) (url, secret string, err error) {
	url, secret = c.URL, c.Secret
	if secret == "" && c.Endpoint == "" {
		secret, _, _ = strings.Cut(string(a.Env.WebhookSecret), ",") // the first of a rolling pair
	}
	if url != "" && secret != "" && c.Endpoint == "" {
		return url, secret, nil
	}
	t, err := a.Target(ctx)
	if err != nil {
		return "", "", err
	}
	if c.Endpoint != "" {
		t.URL += "/" + c.Endpoint
		if t.Secret = t.EndpointSecrets[c.Endpoint]; t.Secret == "" {
			return "", "", verb.Usage("the target has no endpoint %q: give it to tollgate dev with --endpoints, or give --url and --secret here", c.Endpoint)
		}
	}
	url, secret = cmp.Or(url, t.URL), cmp.Or(secret, t.Secret)
	if url == "" || secret == "" {
		return "", "", verb.Usage("this target has no URL or no signing secret: give --url and --secret")
	}
	return url, secret, nil
}

func (c *Send) sendAll(ctx context.Context, a *verb.App, s door, source []byte, fresh bool) error {
	d := c.deliveries(a, s, c.Count*c.Dup)
	limit := verb.Pace(c.Rate)
	for range c.Count {
		if err := limit.Wait(ctx); err != nil {
			break
		}
		body := source
		if fresh {
			body = rename(source, c.ID)
		}
		for range c.Dup {
			d.start(ctx, body)
		}
	}
	if err := d.end(ctx); err != nil {
		return err
	}
	if d.quiet() {
		fmt.Fprintf(a.Out, "%d deliveries of %d events, all answered 2xx\n", d.total, c.Count)
	}
	return nil
}

// deliveries are those of one run: a bounded number is in progress at once, and each is
// printed when it is answered.
type deliveries struct {
	a     *verb.App
	s     door
	total int
	p     *verb.Progress
	group errgroup.Group

	mu  sync.Mutex
	bad int
}

func (c *Send) deliveries(a *verb.App, s door, total int) *deliveries {
	d := &deliveries{a: a, s: s, total: total, p: a.Progress("sent", total)}
	d.group.SetLimit(c.Par)
	return d
}

// start starts a delivery; it waits while --parallel deliveries are in progress.
func (d *deliveries) start(ctx context.Context, body []byte) {
	d.group.Go(func() error {
		d.show(d.s.post(ctx, body))
		return nil
	})
}

func (d *deliveries) show(one Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	bad := one.Status < 200 || one.Status > 299
	if bad {
		d.bad++
	}
	if !d.quiet() || bad {
		d.a.Line(one, fmt.Sprintf("%-34s %-32s %s %6.1f ms", one.EventID, one.Type, one.status(), one.Millis))
	}
	d.p.Add(1)
}

// quiet reports whether only refused deliveries are printed, because there are many.
func (d *deliveries) quiet() bool { return d.total > maxLines && !d.a.JSON }

func (d *deliveries) wait() { _ = d.group.Wait() } // no delivery returns an error

// end waits for the last deliveries. An interrupt or a refused delivery is an error.
func (d *deliveries) end(ctx context.Context) error {
	d.wait()
	d.p.Done()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d deliveries", d.p.Count(), d.total)
	case d.bad > 0:
		return verb.Hint(fmt.Errorf("%d of %d deliveries were not answered 2xx", d.bad, d.total),
			"each line has its answer; see the log of ingest, for a local system of tollgate dev")
	}
	return nil
}

// maxLines is how many deliveries are printed one by one for people.
const maxLines = 50

func (d Delivery) status() string {
	if d.Error != "" {
		return d.Error
	}
	if d.Status != http.StatusOK {
		return fmt.Sprintf("%d %s", d.Status, strings.TrimSpace(d.Answer))
	}
	return "200"
}

type sender struct {
	client      *http.Client
	url, secret string
}

func (s *sender) post(ctx context.Context, body []byte) Delivery {
	e, _ := event.Parse(body) // other bodies are sent too
	d := Delivery{EventID: e.ID, Type: e.Type}
	start := time.Now()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: s.secret})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		d.Error = err.Error()
		return d
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", signed.Header)
	res, err := s.client.Do(req)
	d.Millis = float64(time.Since(start).Microseconds()) / 1000
	if err != nil {
		d.Error = err.Error()
		return d
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	d.Status = res.StatusCode
	if d.Status != http.StatusOK {
		d.Answer = string(answer)
	}
	return d
}

// timeMember is a JSON member with a time, in seconds since 1970.
var timeMember = regexp.MustCompile(`("(?:created|start|end|start_date|available_on|billing_cycle_anchor|next_payment_attempt|due_by|due_date|[a-z_]+_(?:at|start|end))"\s*:\s*)([0-9]{10})\b`)

// ShiftTimes moves every time of an event by a number of seconds.
func ShiftTimes(body []byte, by int64) []byte {
	return timeMember.ReplaceAllFunc(body, func(member []byte) []byte {
		part := timeMember.FindSubmatch(member)
		at, err := strconv.ParseInt(string(part[2]), 10, 64)
		if err != nil {
			return member // unreachable: the pattern matches ten digits
		}
		return strconv.AppendInt(bytes.Clone(part[1]), at+by, 10)
	})
}

// rename makes another event of the same kind: a new event id (or the given one), a new object
// id, for an invoice also a new payment, as each has its own, and its times moved so that it is
// created now, as messages about old states are held. All other bytes stay.
func rename(body []byte, id string) []byte {
	e, err := event.Parse(body)
	if err != nil {
		return body
	}
	if id == "" {
		id = newID("evt_")
	}
	out := bytes.ReplaceAll(body, []byte(`"`+e.ID+`"`), []byte(`"`+id+`"`))
	if prefix, _, ok := strings.Cut(e.ObjectID, "_"); ok {
		out = bytes.ReplaceAll(out, []byte(e.ObjectID), []byte(newID(prefix+"_")))
		if pi := invoicePayment.FindSubmatch(out); prefix == "in" && pi != nil {
			out = bytes.ReplaceAll(out, pi[1], []byte(newID("pi_")))
		}
	}
	return ShiftTimes(out, time.Now().Unix()-e.Created)
}

var invoicePayment = regexp.MustCompile(`"payment_intent": *"(pi_\w+)"`)

func newID(prefix string) string { return prefix + "1T" + rand.Text()[:22] }
