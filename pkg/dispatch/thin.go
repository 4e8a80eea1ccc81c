package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
)

// Thin is the input of a handler of OnThin. A thin event has a reference instead of a snapshot.
type Thin struct {
	Input
	Related Related // zero if the event names no object
}

// Related is the object that a thin event is about.
type Related struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	URL  string `json:"url"` // a path of Stripe's API
}

// OnThin registers h for the thin events (object v2.core.event) of one type. It panics
// as On does.
func OnThin[S ~string](m *Mux, typ S, h func(context.Context, Thin) (Effects, error)) {
	register(m.thin, string(typ), h == nil, func(ctx context.Context, in Input) (Effects, error) {
		var body struct {
			Related *Related `json:"related_object"`
		}
		if err := json.Unmarshal(in.Body, &body); err != nil {
			return nil, Permanent(fmt.Errorf("read thin event: %s", shape(err)))
		}
		e := Thin{Input: in}
		if body.Related != nil {
			e.Related = *body.Related
		}
		effects, err := h(ctx, e)
		return effects, by(h, err)
	})
}
