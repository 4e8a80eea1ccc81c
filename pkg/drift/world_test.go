package drift_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
)

var errDown = errors.New("503")

// world is a table and Stripe. The order of the table is that of its keys.
type world struct {
	mu       sync.Mutex
	items    map[string]dispatch.Fields
	objects  map[string]string // JSON by id; "" fails, "gone" is deleted, "revoked" an account's
	down     bool
	fetches  int
	position drift.Position
	saves    int
	pageSize int
	onFetch  func(id string)
	onKept   func()
}

func newWorld() *world {
	return &world{items: map[string]dispatch.Fields{}, objects: map[string]string{}, pageSize: 40}
}

func (w *world) Item(_ context.Context, key string) (map[string]any, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	item, ok := w.items[key]
	return maps.Clone(item), ok, nil
}

func (w *world) FetchObject(_ context.Context, _, _, id string) ([]byte, error) {
	w.mu.Lock()
	w.fetches++
	body, down, hook := w.objects[id], w.down, w.onFetch
	w.mu.Unlock()
	if hook != nil {
		hook(id)
	}
	switch {
	case down || body == "":
		return nil, errDown
	case body == "gone":
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("404"))
	case body == "revoked":
		return nil, dispatch.Park(dispatch.ReasonAccountRevoked, errors.New("403"))
	}
	return []byte(body), nil
}

func (w *world) Mend(_ context.Context, swaps dispatch.Effects, next int64) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range swaps {
		if ver, _ := w.items[e.Key]["ver"].(int64); ver != e.Ver {
			return false, nil
		}
	}
	for _, e := range swaps {
		w.put(e.Key, e.Fields, next)
	}
	return true, nil
}

func (w *world) put(key string, f dispatch.Fields, ver int64) {
	item := maps.Clone(f)
	item["pk"], item["ver"] = key, ver
	w.items[key] = item
}

func (w *world) Kept(_ context.Context, after string) (page []drift.Kept, next string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onKept != nil {
		w.onKept()
	}
	keys := slices.Sorted(maps.Keys(w.items))
	start, found := slices.BinarySearch(keys, after)
	if found {
		start++
	}
	for _, key := range keys[start:min(len(keys), start+w.pageSize)] {
		ms, _ := w.items[key][dispatch.FetchedAt].(int64)
		at := time.Time{}
		if ms > 0 {
			at = time.UnixMilli(ms)
		}
		page, next = append(page, drift.Kept{Key: key, FetchedAt: at}), key
	}
	if start+w.pageSize >= len(keys) {
		next = ""
	}
	return page, next, nil
}

func (w *world) Position(context.Context) (drift.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.position, nil
}

func (w *world) SavePosition(_ context.Context, p drift.Position) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Ver != w.position.Ver {
		return false, nil
	}
	p.Ver++
	w.position, w.saves = p, w.saves+1
	return true, nil
}

// mux keeps invoices with an entitlement.
func (w *world) mux() *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: w, Rows: w})
	dispatch.Refreshes(mux, keep)
	return mux
}

func keep(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	return dispatch.Effects{
		e.KeepRow(dispatch.Fields{"kind": "invoice", "amount": e.Object.AmountPaid, "outbox": []any{"OUT#new"}}),
		e.KeepWith(dispatch.Key("ENT", e.Envelope, e.ObjectID), dispatch.Fields{"until": e.Object.AmountPaid}),
		dispatch.Message("OUT#new", time.Unix(1, 0), dispatch.Fields{}),
	}, nil
}

func invoice(id string, amount int64) string {
	return fmt.Sprintf(`{"id":%q,"object":"invoice","amount_paid":%d}`, id, amount)
}

const row, ent = "OBJ#test#-#", "ENT#test#-#"

// kept keeps an invoice as a handler does, at a time.
func (w *world) kept(id string, amount int64, at time.Time) {
	w.objects[id] = cmp.Or(w.objects[id], invoice(id, amount))
	ver, _ := w.items[row+id]["ver"].(int64)
	w.put(row+id, dispatch.Fields{"kind": "invoice", "object": "invoice", "amount": amount, dispatch.FetchedAt: at.UnixMilli(), "outbox": []any{"OUT#old"}}, ver+1)
	w.put(ent+id, dispatch.Fields{"until": amount}, ver+1)
}

func (w *world) checker() *drift.Checker {
	return &drift.Checker{Rows: w.mux(), Items: w, Recheck: time.Minute}
}

func (w *world) sweep() *drift.Sweep {
	const day = 24 * time.Hour
	return &drift.Sweep{Table: w, Checker: w.checker(), Every: 7 * day, Recent: 35 * day, Requests: 900, Time: 8 * time.Minute}
}
