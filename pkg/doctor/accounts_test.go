package doctor

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/policy"
)

func configured(a Accounts, err error) func(context.Context) (Accounts, error) {
	return func(context.Context) (Accounts, error) { return a, err }
}

// owner is Stripe with a key of one account and mode.
type owner struct {
	own  string
	org  bool
	live bool
	err  error
}

func (o owner) OwnAccount(context.Context) (string, error)   { return o.own, o.err }
func (o owner) OfOrganisation(context.Context) (bool, error) { return o.org, nil }
func (o owner) Livemode(context.Context) (bool, error)       { return o.live, nil }

func TestAccounts(t *testing.T) {
	ours := owner{own: "acct_ours", live: true}
	both := func(p map[string]policy.Policy, reconciled map[string]string) func(context.Context) (Accounts, error) {
		return configured(Accounts{Reconciled: reconciled, Reconcile: p, Consumer: p}, nil)
	}
	healthy(t, CheckAccounts(both(nil, map[string]string{"": "default"}), owner{err: errDenied}, nil)) // no account is named by id
	healthy(t, CheckAccounts(both(nil, map[string]string{"": "default", "acct_1": "connect"}), ours, nil))
	has(t, CheckAccounts(both(nil, map[string]string{"acct_ours": "default"}), ours, nil), want{"accounts", Fail, "acct_ours, which is the key's own account"})
	has(t, CheckAccounts(both(nil, map[string]string{"acct_1": "default"}), owner{err: errDenied}, nil), want{"accounts", Warn, "is not known: AccessDenied"})
	has(t, CheckAccounts(both(nil, map[string]string{"acct_1": "default"}), nil, errors.New("no key")), want{"accounts", Warn, "no key"})
	has(t, CheckAccounts(configured(Accounts{}, errDenied), ours, nil), want{"accounts", Warn, "could not be checked"})
	has(t, CheckAccounts(configured(Accounts{}, fmt.Errorf("%w: half", ErrConfiguration)), ours, nil), want{"accounts", Fail, "half"})

	org := owner{org: true, live: true, err: errDenied}
	healthy(t, CheckAccounts(both(nil, map[string]string{"acct_1": "default", "acct_2": "default"}), org, nil))
	has(t, CheckAccounts(both(nil, map[string]string{"": "default"}), org, nil), want{"accounts", Fail, "an organisation's, which has no account of its own"})

	eu := map[string]policy.Policy{"connect": {Accounts: []string{"acct_eu"}, OnMismatch: policy.Ignore}}
	healthy(t, CheckAccounts(both(eu, map[string]string{"acct_eu": "connect"}), ours, nil))
	has(t, CheckAccounts(both(eu, map[string]string{"acct_us": "connect"}), ours, nil), want{"accounts", Fail, `does not take events of account "acct_us"`})
	test := map[string]policy.Policy{"default": {Livemode: []bool{false}}}
	has(t, CheckAccounts(both(test, map[string]string{"": "default"}), ours, nil), want{"accounts", Fail, "does not take live events"})
	healthy(t, CheckAccounts(both(test, map[string]string{"": "default"}), owner{own: "acct_ours"}, nil))
	differ := configured(Accounts{Reconciled: map[string]string{"": "default"}, Consumer: eu}, nil)
	has(t, CheckAccounts(differ, ours, nil), want{"accounts", Fail, "different endpoints"})
}

func TestRows(t *testing.T) {
	rows := func(more bool, err error, broken ...idempotency.Record) Rows {
		return func(context.Context) ([]idempotency.Record, int, bool, error) { return broken, 17, more, err }
	}
	odd := idempotency.Record{ID: "evt_odd", Broken: "att is not a number"}
	healthy(t, CheckRows(rows(false, nil)))
	has(t, CheckRows(rows(false, nil, odd)), want{"rows", Fail, "1 cannot be read as records, so that their events are never handled: evt_odd (att is not a number)"})
	has(t, CheckRows(rows(false, nil, odd, odd, odd, odd, odd, odd)), want{"rows", Fail, ", …"})
	has(t, CheckRows(rows(true, nil)), want{"rows", Warn, "17 were read, and there are more"})
	has(t, CheckRows(rows(false, errDenied)), want{"rows", Warn, "could not be checked"})
}
