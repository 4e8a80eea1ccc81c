package eventsource

import (
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// deleteTries bounds the tries of a delete; afterwards the messages become visible again.
const deleteTries = 4

// emptyPause follows a receive that returned nothing before its wait was over, so that a
// queue without long polling is not polled in a tight loop.
const emptyPause = time.Second

// poller runs one batch at a time.
type poller struct {
	*pool
	options        *Options
	queueFaults    backoff
	functionFaults backoff
}

func newPoller(p *pool) *poller {
	return &poller{
		pool:           p,
		options:        &p.source.options,
		queueFaults:    backoff{first: 200 * time.Millisecond, most: 20 * time.Second},
		functionFaults: backoff{first: 500 * time.Millisecond, most: 30 * time.Second},
	}
}

// run polls until the context is done or the pool does not need this poller.
func (p *poller) run() {
	for p.polls.Err() == nil {
		began := time.Now()
		wait := p.wait()
		b, last, err := p.receive(wait)
		switch {
		case err != nil:
			pause(p.polls, p.queueFaults.next())
			continue
		case len(b.messages) == 0:
			p.queueFaults.reset()
			if p.leave() {
				return
			}
			if time.Since(began) < wait/2 {
				pause(p.polls, emptyPause)
			}
			continue
		}
		p.queueFaults.reset()
		if !p.failing.Load() && (last || len(b.messages) >= p.options.BatchSize) {
			p.grow()
		}
		good := p.process(b)
		p.failing.Store(!good)
		if good {
			p.functionFaults.reset()
			continue
		}
		pause(p.polls, p.functionFaults.next())
		if p.leave() {
			return // no extra pollers for a function that fails
		}
	}
	p.leave()
}

// batch is messages that were received together.
type batch struct {
	messages     []events.SQSMessage
	visibleAgain time.Time // when the first of them is visible again
}

// receive returns a batch, and whether no other poller is waiting for messages.
func (p *poller) receive(wait time.Duration) (b batch, last bool, err error) {
	p.enter()
	defer func() { last = p.exit() }()
	messages, err := p.options.Queue.Receive(p.polls, p.options.BatchSize, wait)
	if err != nil || len(messages) == 0 {
		return batch{}, false, err
	}
	visibleAgain := time.Now().Add(p.options.VisibilityTimeout)
	return batch{messages, visibleAgain}, false, nil
}

// process invokes the function with the batch, in several events if one would be too
// large. It returns false if an invocation failed.
func (p *poller) process(b batch) bool {
	parts, err := p.source.split(b.messages)
	if err != nil {
		return false
	}
	good := true
	for _, part := range parts {
		good = p.invoke(part, b.visibleAgain) && good
	}
	return good
}

// invoke runs one event and deletes what the function did not report as failed.
func (p *poller) invoke(part part, visibleAgain time.Time) bool {
	answer, err := p.untilRun(part.payload, visibleAgain)
	var failed map[string]bool
	if err == nil {
		failed, err = readResponse(answer, part.messages)
	}
	if err != nil {
		return false
	}
	var done []events.SQSMessage
	for _, m := range part.messages {
		if !failed[m.MessageId] {
			done = append(done, m)
		}
	}
	if len(done) > 0 {
		p.delete(done)
	}
	return true
}

// untilRun retries a throttled invocation until the messages are visible again or the
// polling ends.
func (p *poller) untilRun(payload []byte, visibleAgain time.Time) ([]byte, error) {
	delay := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	for {
		answer, err := p.options.Invoker(p.work, payload)
		if !errors.Is(err, ErrThrottled) {
			return answer, err
		}
		d := delay.next()
		if time.Now().Add(d).After(visibleAgain) || !pause(p.polls, d) {
			return nil, err
		}
	}
}

func (p *poller) delete(done []events.SQSMessage) {
	delay := backoff{first: 100 * time.Millisecond, most: time.Second}
	for range deleteTries {
		if p.options.Queue.Delete(p.work, done) == nil || !pause(p.work, delay.next()) {
			return
		}
	}
}
