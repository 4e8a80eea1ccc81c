package doctor

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/policy"
)

type configuration struct {
	is  Accounts
	err error
}

func (c configuration) Accounts(context.Context) (Accounts, error) { return c.is, c.err }

// owner is Stripe with a key of one account and mode.
type owner struct {
	own  string
	live bool
	err  error
}

func (o owner) OwnAccount(context.Context) (string, error) { return o.own, o.err }
func (o owner) Livemode(context.Context) (bool, error)     { return o.live, nil }

func TestAccounts(t *testing.T) {
	ours := owner{own: "acct_ours", live: true}
	both := func(p map[string]policy.Policy, reconciled map[string]string) configuration {
		return configuration{is: Accounts{Reconciled: reconciled, Reconcile: p, Consumer: p}}
	}
	healthy(t, CheckAccounts(both(nil, map[string]string{"": "default"}), owner{err: errDenied}, nil)) // no account is named by id
	healthy(t, CheckAccounts(both(nil, map[string]string{"": "default", "acct_1": "connect"}), ours, nil))
	has(t, CheckAccounts(both(nil, map[string]string{"acct_ours": "default"}), ours, nil), want{"accounts", Fail, "acct_ours, which is the key's own account"})
	has(t, CheckAccounts(both(nil, map[string]string{"acct_1": "default"}), owner{err: errDenied}, nil), want{"accounts", Warn, "is not known: AccessDenied"})
	has(t, CheckAccounts(both(nil, map[string]string{"acct_1": "default"}), nil, errors.New("no key")), want{"accounts", Warn, "no key"})
	has(t, CheckAccounts(configuration{err: errDenied}, ours, nil), want{"accounts", Warn, "not known"})
	has(t, CheckAccounts(configuration{err: fmt.Errorf("%w: half", ErrConfiguration)}, ours, nil), want{"accounts", Fail, "half"})

	eu := map[string]policy.Policy{"connect": {Accounts: []string{"acct_eu"}, OnMismatch: policy.Ignore}}
	healthy(t, CheckAccounts(both(eu, map[string]string{"acct_eu": "connect"}), ours, nil))
	has(t, CheckAccounts(both(eu, map[string]string{"acct_us": "connect"}), ours, nil), want{"accounts", Fail, `does not take events of account "acct_us"`})
	test := map[string]policy.Policy{"default": {Livemode: []bool{false}}}
	has(t, CheckAccounts(both(test, map[string]string{"": "default"}), ours, nil), want{"accounts", Fail, "does not take live events"})
	healthy(t, CheckAccounts(both(test, map[string]string{"": "default"}), owner{own: "acct_ours"}, nil))
	differ := configuration{is: Accounts{Reconciled: map[string]string{"": "default"}, Consumer: eu}}
	has(t, CheckAccounts(differ, ours, nil), want{"accounts", Fail, "different endpoints"})
}

type rows struct {
	broken []idempotency.Record
	more   bool
	err    error
}

func (r rows) Broken(context.Context) ([]idempotency.Record, int, bool, error) {
	return r.broken, 17, r.more, r.err
}

func TestRows(t *testing.T) {
	odd := idempotency.Record{ID: "evt_odd", Broken: "att is no number"}
	healthy(t, CheckRows(rows{}))
	has(t, CheckRows(rows{broken: []idempotency.Record{odd}}), want{"rows", Fail, "1 cannot be read as records, so that their events are never handled: evt_odd (att is no number)"})
	has(t, CheckRows(rows{broken: []idempotency.Record{odd, odd, odd, odd, odd, odd}}), want{"rows", Fail, ", …"})
	has(t, CheckRows(rows{more: true}), want{"rows", Warn, "17 were read, and there are more"})
	has(t, CheckRows(rows{err: errDenied}), want{"rows", Warn, "not known"})
}
