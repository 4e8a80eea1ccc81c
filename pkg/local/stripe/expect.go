package stripe

import (
	"context"
	"slices"
	"sync"
)

// expected are the events that others are delivering, by account and by the ids of the event
// and of its object.
type expected struct {
	mu   sync.Mutex
	byID map[[2]string][]chan struct{} // each is closed when its delivery has been answered
}

// Expect announces an event that is being delivered. Until settle is called, requests for the
// event or its object wait, as long as their context lasts: Stripe knows an event before it
// delivers it, but only the receiver's answer shows that the event is from Stripe.
// settle(true) stores it, with the errors of [Fake.Remember]; settle(false) does not. It must
// be called once. Bytes that are not an event are never stored.
func (s *Fake) Expect(body []byte) (settle func(accepted bool) error) {
	e, err := parse(body)
	if err != nil {
		return func(bool) error { return nil }
	}
	keys := [][2]string{{e.Account, e.ID}}
	if e.sets != nil {
		keys = append(keys, [2]string{e.Account, e.sets.ID})
	}
	answered := make(chan struct{})
	s.expected.add(keys, answered)
	return func(accepted bool) (err error) {
		if accepted {
			err = s.Remember(body)
		}
		s.expected.remove(keys, answered)
		return err
	}
}

func (x *expected) add(keys [][2]string, answered chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byID == nil {
		x.byID = map[[2]string][]chan struct{}{}
	}
	for _, key := range keys {
		x.byID[key] = append(x.byID[key], answered)
	}
}

func (x *expected) remove(keys [][2]string, answered chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, key := range keys {
		left := slices.DeleteFunc(slices.Clone(x.byID[key]), func(c chan struct{}) bool { return c == answered })
		if x.byID[key] = left; len(left) == 0 {
			delete(x.byID, key)
		}
	}
	close(answered)
}

// wait returns when all deliveries of an event or object that were running at the call have
// been answered, or when the context ends.
func (x *expected) wait(ctx context.Context, account, id string) {
	x.mu.Lock()
	open := x.byID[[2]string{account, id}]
	x.mu.Unlock()
	for _, answered := range open {
		select {
		case <-answered:
		case <-ctx.Done():
			return
		}
	}
}
