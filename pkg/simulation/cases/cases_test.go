package cases_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/ledger"
	"tollgate/pkg/simulation/cases"
)

// delivery is how the events of the cases reach the consumer.
type delivery struct {
	name   string
	late   bool // every object has its final state first, and the events come in random order
	twice  bool // every event is delivered twice, and Stripe made a second event of each
	seed   uint64
	amount int64
	money  string
}

func TestCases(t *testing.T) {
	list := []delivery{
		{name: "in order", amount: 2000, money: "eur"},
		{name: "every event twice", twice: true, amount: 1, money: "jpy"},
	}
	for seed := range uint64(20) {
		list = append(list, delivery{name: fmt.Sprint("late, in order ", seed), late: true, twice: seed%2 == 1, seed: seed, amount: 9_007_199_254_740_993, money: "usd"})
	}
	for n, d := range list {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			for _, c := range cases.All(cases.Vary{Tag: fmt.Sprint("V", n), Amount: d.amount, Currency: d.money, Now: s.clock.Unix()}) {
				s.play(c, d)
				s.check(c, d)
			}
		})
	}
}

// play sends the events of a case, each until it is done or dead.
func (s *system) play(c cases.Case, d delivery) {
	s.t.Helper()
	if !d.late {
		for _, step := range c.Steps {
			s.put(step)
			for _, e := range step.Events {
				s.handle(copies(e, d)...)
			}
		}
		return
	}
	var all []cases.Object
	for _, step := range c.Steps {
		s.put(step)
		for _, e := range step.Events {
			all = append(all, copies(e, d)...)
		}
	}
	rng := rand.New(rand.NewPCG(d.seed, 1))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	s.handle(all...)
}

// second ends the id of an event that Stripe made a second time, for another endpoint's sake.
const second = "Second"

func copies(e cases.Object, d delivery) []cases.Object {
	if !d.twice {
		return []cases.Object{e}
	}
	again := cases.Object{}
	for name, v := range e {
		again[name] = v
	}
	again["id"] = e["id"].(string) + second
	return []cases.Object{e, e, again}
}

// check checks how the events of a case ended, and its ledger.
func (s *system) check(c cases.Case, d delivery) {
	s.t.Helper()
	for _, step := range c.Steps {
		for _, e := range step.Events {
			for _, sent := range copies(e, d) {
				s.checkEnd(c, d, sent["id"].(string), e["id"].(string))
			}
		}
	}
	for _, problem := range c.Check(s.ledger(c.Account, c.Customer), d.late) {
		s.t.Errorf("%s: %s", c.Name, problem)
	}
	if c.Account == "" {
		return
	}
	if l := s.ledger("", c.Customer); !l.Empty() {
		s.t.Errorf("%s: booked under the platform: %+v", c.Name, l)
	}
}

// checkEnd checks the outcome of an event, or the reason of its dead letter, by the id that the case
// has for it.
func (s *system) checkEnd(c cases.Case, d delivery, id, name string) {
	s.t.Helper()
	r, _, err := s.store.Record(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	end := s.dead[id]
	if r.State == idempotency.Done {
		end = string(r.Outcome)
	}
	if !d.late && r.Attempt > 1 {
		s.t.Errorf("%s: %s waited for %d attempts, although Stripe showed its object: %s", c.Name, id, r.Attempt, r.Err)
	}
	want, odd := c.Ends[name]
	if odd && end != want || !odd && end != string(idempotency.Applied) && end != string(idempotency.AlreadyApplied) {
		s.t.Errorf("%s: %s ended %q (%s), want %q", c.Name, id, end, r.Err, want)
	}
}

// ledger is a customer's, empty if the customer is unknown.
func (s *system) ledger(account, customer string) ledger.Ledger {
	s.t.Helper()
	l, err := ledger.Read(s.t.Context(), listed{s.store}, "test", account, customer)
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		s.t.Fatal(err)
	}
	return l
}

// Page makes the store's items a list, as the ledger reads it.
func (l listed) Page(ctx context.Context, list, _ string) (items []map[string]any, next string, err error) {
	for _, key := range l.Keys() {
		item, _, err := l.Item(ctx, key)
		if err != nil {
			return nil, "", err
		}
		if item["lst"] == list {
			items = append(items, item)
		}
	}
	return items, "", nil
}
