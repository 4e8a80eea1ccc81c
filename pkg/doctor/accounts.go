package doctor

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"

	"tollgate/pkg/policy"
	"tollgate/pkg/reconcile"
)

// Accounts is the functions' configuration of accounts and endpoints.
type Accounts struct {
	Reconciled map[string]string        // the endpoint by account that reconcile lists, "" for the key's own
	Reconcile  map[string]policy.Policy // by endpoint, as reconcile reads them
	Consumer   map[string]policy.Policy // as the consumer does
}

// ErrConfiguration: a function's variables are invalid.
var ErrConfiguration = errors.New("the configuration cannot be read")

// AccountOwner asks Stripe's API about the system's key.
type AccountOwner interface {
	// OwnAccount returns the id of the key's account.
	OwnAccount(ctx context.Context) (string, error)
	// Livemode reports the key's mode.
	Livemode(ctx context.Context) (bool, error)
}

const accountsVariable = "TOLLGATE_RECONCILE"

// CheckAccounts checks that reconcile lists accounts under the identity that their webhooks
// have, and under endpoints that accept them. The error of read wraps [ErrConfiguration] when
// the variables are invalid. missing is the reason why there is no key, or nil.
func CheckAccounts(read func(context.Context) (Accounts, error), stripe AccountOwner, missing error) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "accounts"}
		a, err := read(ctx)
		if errors.Is(err, ErrConfiguration) {
			f.fail("correct the stack's options endpoints and reconcile, and deploy again", "%v", err)
			return f.list
		}
		if err != nil {
			return unknown(f.name, err, "lambda:GetFunctionConfiguration, of functions whose environment can be read")
		}
		if len(a.Reconcile)+len(a.Consumer) > 0 && !reflect.DeepEqual(a.Reconcile, a.Consumer) {
			f.fail(redeploy, "reconcile and consumer have different endpoints: every pass sends again what the consumer excludes")
		}
		if missing != nil {
			f.warn("put a key into the system's secret, or set STRIPE_API_KEY", "the key's own account and mode are not known: %v", missing)
			return f.list
		}
		ownAccount(ctx, &f, a, stripe)
		live, err := stripe.Livemode(ctx)
		if err != nil {
			f.warn("is the key the right one?", "its mode is not known: %v", err)
			return f.list
		}
		for _, e := range reconcile.Excluded(a.Reconciled, a.Reconcile, live) {
			f.fail("let the endpoint take the account, or give the account another endpoint in "+accountsVariable,
				"%s, under which %s lists it: an event whose delivery is lost is never recovered", e.Text, accountsVariable)
		}
		return f.or("%d listed, each under an endpoint that takes it", len(a.Reconciled))
	}
}

// ownAccount fails if the map names the key's own account by its id: its webhooks carry no
// account, so one event would get two identities.
func ownAccount(ctx context.Context, f *findings, a Accounts, stripe AccountOwner) {
	named := slices.DeleteFunc(slices.Sorted(maps.Keys(a.Reconciled)), func(account string) bool { return account == "" })
	if len(named) == 0 {
		return
	}
	own, err := stripe.OwnAccount(ctx)
	if err != nil {
		f.warn("give the key the permission to read its account, or compare by hand", "%s names accounts by id, and whether one is the key's own is not known: %v", accountsVariable, err)
		return
	}
	if slices.Contains(named, own) {
		f.fail(`write "-" for it; tollgate events reidentify corrects records that were made under it`,
			"%s names %s, which is the key's own account: its webhooks carry no account, so an event that arrives by both paths is corrupt and never handled", accountsVariable, own)
	}
}
