package stripe

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Defaults of [DeliverOptions].
const (
	DefaultDeliverTimeout     = 10 * time.Second
	DefaultDeliverConcurrency = 16
	DefaultMaxPending         = 10_000
)

// How deliveries are retried. Stripe documents an exponential back-off for up to three days,
// or three more tries over a few hours in test mode. It does not publish the waits.
const (
	liveFirstWait = 5 * time.Minute
	liveMaxWait   = 12 * time.Hour
	liveWindow    = 72 * time.Hour
	testFirstWait = 30 * time.Minute
	testRetries   = 3
)

// DeliverOptions configure the deliveries to webhook endpoints.
type DeliverOptions struct {
	// Transport sends the requests. The default connects to loopback addresses only, without
	// a proxy, so that events of a development system do not leave the machine.
	Transport http.RoundTripper
	// Timeout bounds one attempt. Default: [DefaultDeliverTimeout].
	Timeout time.Duration
	// Concurrency bounds the attempts under way. Default: [DefaultDeliverConcurrency].
	Concurrency int
	// MaxPending bounds the deliveries that are not finished; an event that would exceed
	// it is refused. Default: [DefaultMaxPending].
	MaxPending int
}

// delivery sends one event to one endpoint. Both are looked up for each attempt.
type delivery struct {
	event    string // its id
	live     bool
	endpoint string        // its id
	withheld bool          // on request, nothing is sent
	late     time.Duration // before the first attempt
}

// deliverer runs each delivery in its own goroutine until it is closed.
type deliverer struct {
	client  *http.Client
	timeout time.Duration
	scale   int
	slots   chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	pending int
	max     int
	log     []attempt // the last ones, in the order in which they ended
}

func newDeliverer(o DeliverOptions, scale int) *deliverer {
	if o.Transport == nil {
		o.Transport = loopbackTransport()
	}
	d := &deliverer{
		// A redirect is a failed delivery, as at Stripe.
		client:  &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		timeout: cmp.Or(o.Timeout, DefaultDeliverTimeout),
		scale:   cmp.Or(scale, 1),
		slots:   make(chan struct{}, cmp.Or(o.Concurrency, DefaultDeliverConcurrency)),
		max:     cmp.Or(o.MaxPending, DefaultMaxPending),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// loopbackTransport connects to this machine only.
func loopbackTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
				return nil, fmt.Errorf("deliver to %s: the fake Stripe delivers to this machine only", host)
			}
			return dialer.DialContext(ctx, network, address)
		},
		MaxIdleConnsPerHost: DefaultDeliverConcurrency,
		IdleConnTimeout:     30 * time.Second,
	}
}

// room reports whether n more deliveries may be pending.
func (d *deliverer) room(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pending+n <= d.max
}

// start runs a delivery in the background. After close it does nothing.
func (d *deliverer) start(run func(context.Context)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.pending++
	d.wg.Go(func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.pending--
		}()
		run(d.ctx)
	})
}

// close cancels all deliveries, including running ones, and waits for them.
func (d *deliverer) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
	d.client.CloseIdleConnections()
}

// deliveriesOf are those to the endpoints that want an event. The caller holds the lock.
func (s *Fake) deliveriesOf(e *event) (all []delivery) {
	withheld, late := s.faults.random(e.ID)
	for _, to := range s.endpoints {
		if to.wants(e) {
			all = append(all, delivery{event: e.ID, live: e.Live, endpoint: to.ID, withheld: withheld, late: late})
		}
	}
	return all
}

// deliver starts deliveries.
func (s *Fake) deliver(all []delivery) {
	for _, d := range all {
		if d.withheld {
			s.deliveries.note(attempt{Event: d.event, Endpoint: d.endpoint, At: s.now().UTC(), Withheld: true})
			continue
		}
		s.deliveries.start(func(ctx context.Context) { s.run(ctx, d) })
	}
}

// run retries until the endpoint has the event, no longer wants it, or the time is over.
func (s *Fake) run(ctx context.Context, d delivery) {
	if !sleep(ctx, d.late) {
		return
	}
	for try := 1; ; try++ {
		select {
		case s.deliveries.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		over := s.attempt(ctx, d)
		<-s.deliveries.slots
		wait, again := retryAfter(d.live, try)
		if over || !again || !sleep(ctx, wait/time.Duration(s.deliveries.scale)) {
			return
		}
	}
}

// attempt makes one request and reports whether the delivery is over: it succeeded, its
// endpoint is disabled or deleted by now, or the event is no longer kept.
func (s *Fake) attempt(ctx context.Context, d delivery) (over bool) {
	s.mu.Lock()
	to := s.endpointByID(d.endpoint)
	s.mu.Unlock()
	e, err := s.store.event(d.event)
	if to == nil || to.Disabled || e == nil && err == nil {
		return true
	}
	if err != nil {
		s.deliveries.note(attempt{Event: d.event, Endpoint: to.ID, At: s.now().UTC(), Error: err.Error()})
		return false
	}
	now := s.now()
	body := e.render(to.Version)
	header := signature(now, body, active(to.Secrets, now), d.live)
	status, err := s.deliveries.post(ctx, to.URL, body, header)
	if ctx.Err() != nil {
		return true
	}
	a := attempt{Event: d.event, Endpoint: to.ID, Status: status, At: now.UTC()}
	if a.succeeded() {
		err = s.store.delivered(d.event)
	}
	if err != nil {
		a.Error = err.Error()
	}
	s.deliveries.note(a)
	return a.succeeded()
}

// post sends one request as Stripe does. Without an answer the status is 0.
func (d *deliverer) post(ctx context.Context, url string, body []byte, signature string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("Accept", "*/*; q=0.5, application/xml")
	req.Header.Set("Stripe-Signature", signature)
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	// Read the body, so that the connection can be reused. The status decides, even if the
	// body does not arrive.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, nil
}

// retryAfter is the wait after a failed try, and whether there is another one.
func retryAfter(live bool, try int) (wait time.Duration, again bool) {
	if !live {
		return testFirstWait << (try - 1), try <= testRetries
	}
	var since time.Duration // the first try
	for range try {
		wait = min(max(2*wait, liveFirstWait), liveMaxWait)
		since += wait
	}
	return wait, since <= liveWindow
}

// sleep reports whether the time passed before the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
