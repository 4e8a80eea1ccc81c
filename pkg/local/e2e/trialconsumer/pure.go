package main

import (
	"context"
	"errors"

	"tollgate/pkg/dispatch"
)

// pure are handlers that run without a claim at a message's first receive, as attempt 0.
func pure() map[string]handler {
	first := func(err error) handler {
		return func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if e.Attempt == 0 && err != nil {
				return nil, err
			}
			return fact(e), nil
		}
	}
	return map[string]handler{
		"pure":               first(nil),
		"pure_fails_first":   first(errors.New("this invoice is not ready")),
		"pure_refuses_first": first(dispatch.Permanent(errors.New("this invoice is too early"))),
	}
}
