package run

import (
	"context"
	"testing"
	"time"

	"tollgate/pkg/config"
)

// tableBegin is the begin in the table.
type tableBegin time.Time

func (b tableBegin) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time(b), true, nil
}

// TestHold: a configured begin takes precedence over the table's.
func TestHold(t *testing.T) {
	table, configured := time.Unix(1_000, 0), time.Unix(2_000, 0)
	for _, c := range []struct {
		cfg  config.Consumer
		want time.Time
	}{
		{config.Consumer{HoldAfter: time.Hour}, table},
		{config.Consumer{HoldAfter: 2 * time.Hour, Begin: configured}, configured},
	} {
		h := hold(c.cfg, tableBegin(table))
		at, known, err := h.Begins.Begin(t.Context(), true, "")
		if !at.Equal(c.want) || !known || err != nil || h.After != c.cfg.HoldAfter {
			t.Errorf("%+v: begin %v, %v, %v; after %v", c.cfg, at, known, err, h.After)
		}
	}
}
