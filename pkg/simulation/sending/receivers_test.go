package sending

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/delivery"
)

// receiver is one destination's receiver.
type receiver struct {
	w    *world
	name string

	slow     time.Duration // the longest it takes
	down     [2]time.Time  // it fails between these
	flaky    int           // percent of failures
	throttle int           // percent of answers 429
	refuse   int           // percent of messages that it never accepts
	gone     time.Time     // it answers 410 from then on, zero for never
	fixed    bool          // by its owner

	got  map[string]int // accepted, by message key
	ids  map[string]string
	seqs map[string]int64
}

// Send implements delivery.Target.
func (r *receiver) Send(ctx context.Context, d delivery.Delivery) delivery.Answer {
	w, p := r.w, procOf(ctx)
	w.mu.Lock()
	w.begun(p, r, d)
	rng := w.draw("receiver", r.name, d.Message.Key, d.Attempt, p.id)
	takes := time.Millisecond + time.Duration(rng.Int64N(int64(r.slow)))
	w.mu.Unlock()
	if err := p.sleep(ctx, takes/2); err != nil {
		return timeout()
	}
	n := rng.IntN(100)
	answer, err := ask(w, ctx, "Send", r.name+" "+d.ID, func(*proc) (delivery.Answer, error) { return r.answer(d, n), nil })
	if err != nil {
		return timeout()
	}
	if err := p.sleep(ctx, takes/2); err != nil {
		return timeout()
	}
	return answer
}

func timeout() delivery.Answer {
	return delivery.Answer{Verdict: delivery.Retry, Err: "timeout"}
}

func (r *receiver) answer(d delivery.Delivery, n int) delivery.Answer {
	now := time.Now()
	status := func(v delivery.Verdict, code int) delivery.Answer {
		r.w.count(fmt.Sprintf("answer: %d", code))
		return delivery.Answer{Verdict: v, Status: code, Err: fmt.Sprintf("status %d", code)}
	}
	switch {
	case r.fixed:
	case !r.gone.IsZero() && now.After(r.gone):
		return status(delivery.Disable, 410)
	case now.After(r.down[0]) && now.Before(r.down[1]):
		return status(delivery.Retry, 503)
	case r.w.draw("refuse", r.name, d.Message.Key).IntN(100) < r.refuse:
		return status(delivery.Stop, 400)
	case n < r.throttle:
		a := status(delivery.Retry, 429)
		a.RetryAfter = time.Duration(n+1) * time.Minute
		return a
	case n < r.throttle+r.flaky:
		return status(delivery.Retry, 500)
	}
	r.got[d.Message.Key]++
	return delivery.Answer{Verdict: delivery.Done, Status: 200}
}
