package scenes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/ledger"
	"tollgate/pkg/ledger/ledgertest"
	"tollgate/pkg/local/scenes"
)

// rowCheck holds every state that each object had, by number, and the last one that its row showed.
type rowCheck struct {
	p      *play
	states map[place]map[string][]int // by object and by the row's content: numbers
	count  map[place]int
	shown  map[place]int
}

func newRowCheck(p *play) *rowCheck {
	return &rowCheck{p: p, states: map[place]map[string][]int{}, count: map[place]int{}, shown: map[place]int{}}
}

func (c *rowCheck) newState(id place, raw json.RawMessage) {
	said := words(ledgertest.Row(raw))
	if said == "" {
		return // no row is kept of such an object
	}
	if c.states[id] == nil {
		c.states[id] = map[string][]int{}
	}
	c.count[id]++
	c.states[id][said] = append(c.states[id][said], c.count[id])
}

// words is the ledger of one object as text, "" for an object of which no row is kept.
func words(l ledger.Ledger) string {
	var parts []any
	for _, x := range l.Subscriptions {
		parts = append(parts, x)
	}
	for _, x := range l.Entitlements {
		parts = append(parts, x)
	}
	for _, x := range l.Invoices {
		parts = append(parts, x)
	}
	for _, x := range l.Disputes {
		parts = append(parts, x)
	}
	for _, x := range l.Checkouts {
		parts = append(parts, x)
	}
	for _, x := range l.Refunds {
		parts = append(parts, x)
	}
	for _, x := range l.Charges {
		parts = append(parts, x)
	}
	for _, x := range l.FraudWarnings {
		parts = append(parts, x)
	}
	if len(parts) == 0 {
		return ""
	}
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// check checks the rows that a completion wrote. A state that the object had twice counts as the
// earlier one unless that steps back.
func (c *rowCheck) check(ctx context.Context, effects dispatch.Effects) error {
	for _, e := range effects {
		if !strings.HasPrefix(e.Key, "OBJ#") {
			continue
		}
		parts := strings.Split(e.Key, "#") // OBJ, mode, account, id
		id := place{strings.TrimPrefix(parts[2], "-"), parts[3]}
		if strings.HasPrefix(id.id, "cus_") {
			continue // keeps no state but that it is deleted
		}
		l, err := ledger.Read(ctx, rowsOf{c.p, id}, mode(c.p.scene), id.account, c.p.scene.Customer)
		if err != nil {
			return fmt.Errorf("read the row of %s: %w", id, err)
		}
		said := words(l)
		numbers := c.states[id][said]
		if len(numbers) == 0 {
			return fmt.Errorf("the row of %s shows no state that it ever had: %s", id, said)
		}
		i := slices.IndexFunc(numbers, func(n int) bool { return n >= c.shown[id] })
		if i < 0 {
			return fmt.Errorf("the row of %s went back from state %d to %d of %d", id, c.shown[id], numbers[len(numbers)-1], c.count[id])
		}
		c.shown[id] = numbers[i]
	}
	return nil
}

func mode(s scenes.Scene) string {
	if s.Livemode {
		return "live"
	}
	return "test"
}

// Claim claims with a lease by the play's clock: the consumer's deadline is by another.
func (w watched) Claim(ctx context.Context, r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	r.Lease = r.Now.Add(time.Minute)
	return w.Store.Claim(ctx, r)
}

// Complete completes and checks the written rows.
func (w watched) Complete(ctx context.Context, claim *idempotency.Claim, o idempotency.Outcome, effects dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	d := deathIn(ctx)
	if d.at(beforeCommit) {
		return idempotency.CompleteResult{}, errDead
	}
	r, err := w.Store.Complete(ctx, claim, o, effects, now)
	if err == nil && r.Verdict == idempotency.Completed && w.stale == nil {
		w.stale = w.rows.check(ctx, effects)
	}
	if d.at(afterCommit) {
		return idempotency.CompleteResult{}, errDead
	}
	return r, err
}

// rowsOf lists the rows of one object, without its messages.
type rowsOf struct {
	*play
	place
}

func (r rowsOf) Page(ctx context.Context, list, _ string) (items []map[string]any, next string, err error) {
	if !strings.HasPrefix(list, "CUS#") {
		return nil, "", nil
	}
	at := mode(r.scene) + "#" + accountPart(r.account) + "#" + r.id
	for _, key := range []string{"OBJ#" + at, "ENT#" + at} {
		item, found, err := r.store.Item(ctx, key)
		if err != nil {
			return nil, "", err
		}
		if found {
			delete(item, "outbox")
			items = append(items, item)
		}
	}
	return items, "", nil
}

func (r rowsOf) Item(context.Context, string) (map[string]any, bool, error) { return nil, false, nil }

func accountPart(account string) string {
	if account == "" {
		return "-"
	}
	return account
}

// listed is the store as the ledger reads it.
type listed struct{ *play }

func (l listed) Page(ctx context.Context, list, _ string) (items []map[string]any, next string, err error) {
	for _, key := range l.store.Keys() {
		item, _, err := l.store.Item(ctx, key)
		if err != nil {
			return nil, "", err
		}
		if item["lst"] == list {
			items = append(items, item)
		}
	}
	return items, "", nil
}

func (l listed) Item(ctx context.Context, key string) (map[string]any, bool, error) {
	return l.store.Item(ctx, key)
}

// checkEnd checks the records and the ledger at the end.
func (p *play) checkEnd(ctx context.Context) error {
	for _, d := range p.dead {
		return fmt.Errorf("%d dead letters, one of %s: %s %s", len(p.dead), d.EventType, d.Reason, d.Error)
	}
	for _, r := range p.store.Records() {
		if r.State != idempotency.Done {
			return fmt.Errorf("event %s of type %s ended %s: %s", r.ID, r.Type, r.State, r.Err)
		}
	}
	for _, account := range p.scene.Accounts {
		kept := p.stripe.kept(account, p.scene)
		got, err := ledger.Read(ctx, listed{p}, mode(p.scene), account, p.scene.Customer)
		if err != nil {
			return err
		}
		if diff := differs(ledgertest.Of(kept, account, p.scene.Customer), got); diff != "" {
			return fmt.Errorf("the ledger of account %q is wrong:\n%s", account, diff)
		}
		if err := messagesAreRight(got, mode(p.scene)+"#"+accountPart(account)+"#"); err != nil {
			return err
		}
		if err := p.checkGuest(ctx, kept, account); err != nil {
			return err
		}
	}
	return nil
}

func differs(truth ledgertest.Truth, got ledger.Ledger) string {
	want, settled, messages := truth.Settle(got)
	diff := cmp.Diff(want, settled)
	if diff != "" {
		diff = "-truth +ledger:\n" + diff
	}
	return diff + messages
}

// checkGuest checks the ledger of the guest's reference.
func (p *play) checkGuest(ctx context.Context, kept ledgertest.Kept, account string) error {
	if p.scene.Reference == "" {
		return nil
	}
	got, err := ledger.ReadReference(ctx, listed{p}, mode(p.scene), account, p.scene.Reference)
	if err != nil {
		return fmt.Errorf("read the guest's ledger: %w", err)
	}
	if diff := differs(ledgertest.OfGuest(kept, account, p.scene.Reference), got); diff != "" {
		return fmt.Errorf("the guest's ledger is wrong:\n%s", diff)
	}
	return nil
}

// messagesAreRight checks what Settled leaves out: each message has this mode and account and an
// existing attempt.
func messagesAreRight(l ledger.Ledger, place string) error {
	attempts := map[string]int64{}
	for _, i := range l.Invoices {
		attempts[i.ID] = i.AttemptCount
	}
	for i, m := range l.Outbox {
		rest, isFact := strings.CutPrefix(m.Key, "OUT#FACT#"+place)
		if !isFact {
			rest, isFact = strings.CutPrefix(m.Key, "OUT#OBJ#"+place)
		}
		if !isFact || !strings.HasPrefix(rest, m.ObjectID+"#") || !strings.HasSuffix(rest, "#"+m.Name) {
			return fmt.Errorf("message %s about %s has key %s", m.Name, m.ObjectID, m.Key)
		}
		if i > 0 && l.Outbox[i-1].Key == m.Key {
			return fmt.Errorf("message %s is there twice", m.Key)
		}
		if m.Attempt < 0 || m.Attempt > attempts[m.ObjectID] {
			return fmt.Errorf("message %s is about attempt %d of %d", m.Key, m.Attempt, attempts[m.ObjectID])
		}
	}
	return nil
}
