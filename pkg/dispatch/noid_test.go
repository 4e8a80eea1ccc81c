package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// untouched is a Stripe and a table that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) FetchObject(_ context.Context, _, object, id string) ([]byte, error) {
	u.t.Errorf("fetched %s %q", object, id)
	return nil, errors.New("nothing to fetch")
}

func (u untouched) Item(_ context.Context, key string) (map[string]any, bool, error) {
	u.t.Errorf("read the row %s", key)
	return nil, false, nil
}

// TestObjectsWithoutAnID: the rule in the package's documentation, for every object that has no
// id and every form of a missing id.
func TestObjectsWithoutAnID(t *testing.T) {
	for _, typ := range []struct {
		event, object string
		register      func(m *dispatch.Mux, typ string, seen *string)
		current       func(m *dispatch.Mux, typ string)
	}{
		{"balance.available", "balance", keyed[stripe.Balance], kept[stripe.Balance]},
		{"cash_balance.funds_available", "cash_balance", keyed[stripe.CashBalance], kept[stripe.CashBalance]},
		{"tax.settings.updated", "tax.settings", keyed[stripe.TaxSettings], kept[stripe.TaxSettings]},
		{"invoice.upcoming", "invoice", keyed[stripe.Invoice], kept[stripe.Invoice]},
	} {
		for name, object := range map[string]string{
			"no member": fmt.Sprintf(`{"object":%q}`, typ.object),
			"null":      fmt.Sprintf(`{"id":null,"object":%q}`, typ.object),
			"empty":     fmt.Sprintf(`{"id":"","object":%q}`, typ.object),
		} {
			t.Run(typ.event+"/"+name, func(t *testing.T) {
				none := untouched{t}
				mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: none, Rows: none})
				var seen string
				typ.register(mux, typ.event, &seen)
				effects, err := mux.Dispatch(t.Context(), input(typ.event, version, object))
				if err != nil || seen != "evt_1" || len(effects) != 1 || effects[0].Key != "FACT#evt_1" {
					t.Errorf("at the pinned version: effects %v, error %v; want the snapshot passed", effects, err)
				}
				for _, other := range []string{"", "2025-03-31.basil", "2026-08-26.dahlia"} {
					seen = ""
					_, err = mux.Dispatch(t.Context(), input(typ.event, other, object))
					if p, _ := errors.AsType[*dispatch.PermanentError](err); p == nil || p.Reason != dispatch.ReasonAPIVersion || seen != "" {
						t.Errorf("at %q: error %v, handler saw %q; want it parked", other, err, seen)
					}
				}
				mux = dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: none, Rows: none})
				typ.current(mux, typ.event)
				for _, v := range []string{version, "2026-08-26.dahlia"} {
					_, err = mux.Dispatch(t.Context(), input(typ.event, v, object))
					if p, _ := errors.AsType[*dispatch.PermanentError](err); p == nil || p.Reason != dispatch.ReasonHandler {
						t.Errorf("OnCurrent at %s: error %v, want a permanent failure", v, err)
					}
				}
			})
		}
	}
}

// keyed registers a handler whose key comes from the event's id.
func keyed[T any](m *dispatch.Mux, typ string, seen *string) {
	dispatch.On(m, typ, func(_ context.Context, e dispatch.Event[T]) (dispatch.Effects, error) {
		*seen = e.ID
		return dispatch.Effects{dispatch.Insert("FACT#"+e.ID, nil)}, nil
	})
}

// kept registers a handler that keeps the object's row.
func kept[T any](m *dispatch.Mux, typ string) {
	dispatch.OnCurrent(m, typ, func(_ context.Context, e dispatch.Current[T]) (dispatch.Effects, error) {
		return dispatch.Effects{e.KeepRow(nil)}, nil
	})
}
