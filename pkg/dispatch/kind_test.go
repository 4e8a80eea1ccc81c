package dispatch_test

import (
	"errors"
	"testing"

	"tollgate/pkg/dispatch"
)

// TestARowIsOfOneKind: an id may stand for objects of two kinds. The second one's events
// wait as dead letters; overwriting the first one's row, or being taken as shown by it,
// would be silent.
func TestARowIsOfOneKind(t *testing.T) {
	stripeSays := objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"active"}`}
	for _, c := range []struct {
		name   string
		row    dispatch.Fields
		reason string
	}{
		{name: "of the same kind", row: dispatch.Fields{"ver": int64(2), "object": "subscription"}},
		{name: "of a kind that is not told", row: dispatch.Fields{"ver": int64(2)}},
		{name: "of another kind", row: dispatch.Fields{"ver": int64(2), "object": "invoice"}, reason: dispatch.ReasonWrongObject},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: stripeSays, Rows: rows{"OBJ#test#-#sub_1": c.row}})
			dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus, dispatch.Coalesce)
			effects, err := mux.Dispatch(t.Context(), subscription("customer.subscription.updated", version, "active"))
			reason := ""
			if p, ok := errors.AsType[*dispatch.PermanentError](err); ok {
				reason = p.Reason
			}
			if reason != c.reason || (len(effects) == 0) != (c.reason != "") {
				t.Errorf("%d effects, error %v; want reason %q", len(effects), err, c.reason)
			}
		})
	}
}
