//go:build unix

package crash

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/failpoint"
)

// load delivers events as Stripe does: each until it is answered 200, and some twice more.
type load struct {
	s        *system
	handlers []string
	dead     int           // this many first events become dead letters
	every    int           // one in so many events is delivered twice more
	between  time.Duration // two events of one worker
	sent     atomic.Int64  // number of events begun
	refused  atomic.Int64  // deliveries not answered 200
	backlog  atomic.Int64  // messages in the queue at the last poll
	stop     chan struct{}
	workers  sync.WaitGroup
}

const (
	loadWorkers = 4
	loadPause   = 40 * time.Millisecond // between two events of one worker
	redelivery  = 20 * time.Millisecond // instead of Stripe's hours

	// The load stops while the backlog is larger: messages that still wait after the last crash
	// would count as stuck.
	maxBacklog = 60
	lookEvery  = 100 * time.Millisecond
)

func startLoad(s *system, p point) *load {
	l := &load{s: s, handlers: p.load, dead: p.dead, every: 3, between: loadPause, stop: make(chan struct{})}
	if p.action == failpoint.Stop {
		l.every = 1 // a copy takes over from a paused consumer
	}
	l.workers.Go(func() {
		for l.pause(lookEvery) {
			if n, err := s.depth(s.info().QueueURL); err == nil { // else it is restarting
				l.backlog.Store(int64(n))
			}
		}
	})
	for range loadWorkers {
		l.workers.Go(func() {
			for l.pause(l.between) {
				if l.backlog.Load() > maxBacklog {
					continue
				}
				l.deliver(int(l.sent.Add(1) - 1))
			}
		})
	}
	return l
}

func (l *load) pause(d time.Duration) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// begins waits until n more events were begun.
func (l *load) begins(n int64) error {
	want := l.sent.Load() + n
	return eventually(patience, lookEvery/5, func() error {
		if got := l.sent.Load(); got < want {
			return fmt.Errorf("the load stopped at %d events, %d are in the queue", got, l.backlog.Load())
		}
		return nil
	})
}

// end stops the load once each event was answered 200.
func (l *load) end() (events int) {
	close(l.stop)
	l.workers.Wait()
	return int(l.sent.Load())
}

func (l *load) handler(n int) string {
	if n < l.dead {
		return "refuses_first"
	}
	return l.handlers[n%len(l.handlers)]
}

func eventID(n int) string { return fmt.Sprintf("crash_%05d", n) }

func (l *load) deliver(n int) {
	body := fmt.Appendf(nil, `{"id":"evt_%[1]s","object":"event","api_version":"2023-10-16","created":%[2]d,"data":{"object":{"id":"in_%[1]s","object":"trial"}},"livemode":false,"pending_webhooks":1,"request":null,"type":"trial.%[3]s"}`,
		eventID(n), time.Now().Unix(), l.handler(n))
	for !l.post(body) {
		l.refused.Add(1)
		<-time.After(redelivery)
	}
	if n%l.every == 0 { // delivered twice more, once while the first is handled
		l.post(body)
		<-time.After(loadPause)
		l.post(body)
	}
}

func (l *load) post(body []byte) bool {
	info := l.s.info()
	req, err := http.NewRequest(http.MethodPost, info.URL, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
		Payload: body, Secret: info.Secret, Timestamp: time.Now(),
	}).Header)
	client := http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}
