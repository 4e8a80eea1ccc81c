package main

import (
	"context"
	"errors"
	"fmt"

	"tollgate/pkg/dispatch"
)

// repairable are handlers that builds with fixes repair: one fails with a retryable error, the
// other with a permanent one.
func repairable() map[string]handler {
	return map[string]handler{
		"ledger": func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if fixes < 1 {
				return nil, fmt.Errorf("no ledger for %s", e.Object.ID)
			}
			return fact(e), nil
		},
		"receipt": func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if fixes < 2 {
				return nil, dispatch.Permanent(errors.New("the receipt has no template"))
			}
			return fact(e), nil
		},
	}
}
