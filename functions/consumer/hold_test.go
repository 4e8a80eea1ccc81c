package main

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

// TestHoldIsTheConfigured: a configured begin takes precedence over the table's.
func TestHoldIsTheConfigured(t *testing.T) {
	table, configured := time.Unix(1_000, 0), time.Unix(2_000, 0)
	for name, c := range map[string]struct {
		cfg  config.Consumer
		want time.Time
	}{
		"the table's":    {config.Consumer{HoldAfter: time.Hour}, table},
		"the configured": {config.Consumer{HoldAfter: 2 * time.Hour, Begin: configured}, configured},
	} {
		h := hold(c.cfg, tableBegin(table))
		at, known, err := h.Begins.Begin(t.Context(), true, "")
		if !at.Equal(c.want) || !known || err != nil || h.After != c.cfg.HoldAfter {
			t.Errorf("%s: begin %v, %v, %v; after %v", name, at, known, err, h.After)
		}
	}
}
