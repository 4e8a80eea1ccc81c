package reconcile

import (
	"context"

	"tollgate/pkg/event"
)

// heldBack is a buffered event that a slice of the sweep is going to send.
type heldBack struct {
	e event.Envelope
	v verdict
}

// maxHeld bounds the bodies that are held, in bytes. A larger event is sent id-only.
const maxHeld = 32 << 20

// hold buffers an event of the sweep until all pages of its slice are listed. The sweep has
// no bound on its sends and includes unfinished events every time: a slice that sent page
// by page, and failed at the same page each time, would send a copy of every dead letter
// before that page in every run.
func (p *pass) hold(e event.Envelope, v verdict) {
	if p.holds+len(e.Body) > maxHeld {
		e.Body = nil
	}
	p.holds += len(e.Body)
	p.held = append(p.held, heldBack{e, v})
}

// release sends the buffered events. After a failed send the rest is left for the next
// pass.
func (p *pass) release(ctx context.Context, c *Counts) error {
	if len(p.held) > 0 && p.outOfTime() {
		return errStopped
	}
	for _, h := range p.held {
		v, err := p.send(ctx, true, h.e, h.v)
		if err != nil {
			return err
		}
		*c.of(v)++
		*p.report.of(v)++
	}
	return nil
}
