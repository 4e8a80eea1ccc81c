package reconcile

import (
	"context"

	"tollgate/pkg/event"
)

// heldBack is an event that a net's slice is going to send.
type heldBack struct {
	e event.Envelope
	v verdict
}

// maxHeld bounds the bodies that are held, in bytes. An event over it goes by its id.
const maxHeld = 32 << 20

// hold keeps an event of a net's slice until all pages of the slice are listed. The net
// has no bound on what it sends and takes records that are not done again and again: a
// slice that sent page by page, and failed at the same page each time, would send copies of
// every dead letter before that page in every run.
func (p *pass) hold(e event.Envelope, v verdict) {
	if p.holds+len(e.Body) > maxHeld {
		e.Body = nil
	}
	p.holds += len(e.Body)
	p.held = append(p.held, heldBack{e, v})
}

// release sends what was held. A send that fails leaves the rest to the next look.
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
