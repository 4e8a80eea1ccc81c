package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/registration"
)

// secretStore is Secrets Manager with the webhook secret, whose answers get lost.
type secretStore struct {
	sc      *scenario
	value   string
	version int
	stored  []string // that a writer reported as stored
}

func (v *secretStore) Current(ctx context.Context) (got registration.Version, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = do(v.sc, ctx, opSecretGet, "", func() error {
		got = registration.Version{ID: fmt.Sprint(v.version), Value: registration.NewSecret(v.value)}
		return nil
	})
	return got, err
}

func (v *secretStore) Replace(ctx context.Context, was string, value registration.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return do(v.sc, ctx, opSecretPut, "", func() error {
		if was != fmt.Sprint(v.version) {
			return registration.ErrReplaced
		}
		v.value, v.version = value.Reveal(), v.version+1
		v.check()
		return nil
	})
}

// check: no secret is missing that was reported as stored.
func (v *secretStore) check() {
	for _, s := range v.stored {
		if !strings.Contains(v.value, s) {
			v.sc.violate("secret %s was reported as stored, and is gone: %s", s, v.value)
		}
	}
}

// TestSecretWriters: three concurrent writers of the webhook secret, of which some are killed, with
// lost answers. What a writer reported as stored is stored at the end.
func TestSecretWriters(t *testing.T) {
	const seeds = 300
	stored := 0
	for seed := uint64(1); seed <= seeds && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			sc := newScenarioOf(fixedPlan{}.plan(), rand.New(rand.NewPCG(seed, 1)), nil)
			sc.complain = func(wrong string) { t.Errorf("seed %d: %s", seed, wrong) }
			sc.plan.fault, sc.plan.late, sc.plan.lateness, sc.plan.crash = 0.4*sc.rng.Float64(), 0.5, 10*time.Second, 0.01
			v := &secretStore{sc: sc, value: `{"default":["whsec_first"]}`, stored: []string{"whsec_first"}}
			for i := range 3 {
				v.writer(fmt.Sprint("whsec_new", i), []string{"default", "connect-eu"}[sc.rng.IntN(2)])
			}
			sc.live(0)
			sc.end()
			stored += len(v.stored) - 1
			v.check()
		})
	}
	if stored < seeds {
		t.Errorf("%d writers of %d came to their end: this shows nothing", stored, 3*seeds)
	}
}

// writer is one `secret roll`.
func (v *secretStore) writer(secret, endpoint string) {
	p := &proc{name: "a writer of " + secret}
	said := false
	p.finish = func() {
		if v.sc.log("%s: stored %v", p.name, said); said {
			v.stored = append(v.stored, secret)
			slices.Sort(v.stored)
			v.check()
		}
	}
	v.sc.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, err := registration.Change(ctx, v, registration.PutFirst(endpoint, registration.NewSecret(secret)))
		said = err == nil
	})
}
