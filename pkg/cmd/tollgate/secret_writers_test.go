package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"

	sdksecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// asProcess runs the command in a process of its own, on the system that the environment names.
func (r *registry) asProcess(args ...string) error {
	cmd := exec.CommandContext(r.t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	for name, value := range r.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tollgate %v: %w\n%s", args, err, out)
	}
	return nil
}

// TestThreeWritersOfTheSecret lets three processes write to the webhook secret at once, 24
// times: rolls, and in every third round a new endpoint. What each has stored stays stored.
func TestThreeWritersOfTheSecret(t *testing.T) {
	r := newRegistry(t)
	want, endpoints := []string{"whsec_first"}, 0
	for round := range 24 {
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for n := range errs {
			args := []string{"endpoint", "apply", "--yes", "--no-probe", "--endpoint", fmt.Sprint("e", round), "--url", fmt.Sprint("https://hooks.example.invalid/", round)}
			if n == 2 && round%3 == 0 {
				endpoints++
			} else {
				secret := fmt.Sprintf("whsec_%d_%d", round, n)
				want = append(want, secret)
				args = []string{"secret", "roll", "--yes", "--new-secret-file", r.fresh(secret)}
			}
			wg.Go(func() { errs[n] = r.asProcess(args...) })
		}
		wg.Wait()
		for _, err := range errs {
			check(t, err)
		}
	}
	got := r.stored("default")
	slices.Sort(got)
	slices.Sort(want)
	if lost := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) }); !slices.Equal(got, want) {
		t.Errorf("%d of %d secrets that were stored are gone: %v", len(lost), len(want), lost)
	}
	for round := 0; round < 24; round += 3 {
		if n := len(r.stored(fmt.Sprint("e", round))); n != 1 {
			t.Errorf("endpoint e%d has %d secrets, want 1", round, n)
		}
	}
	if endpoints != 8 {
		t.Errorf("%d endpoints were made, want 8", endpoints)
	}
}

// TestTheFirstSecretHasOneWriter lets three processes write to a secret without a value.
func TestTheFirstSecretHasOneWriter(t *testing.T) {
	r := newRegistry(t)
	for round := range 4 {
		id := fmt.Sprint("fresh/", round)
		_, err := r.secrets.CreateSecret(t.Context(), &sdksecrets.CreateSecretInput{Name: &id})
		check(t, err)
		r.env["TOLLGATE_WEBHOOK_SECRET_ID"] = id
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for n := range errs {
			args := []string{"secret", "roll", "--yes", "--new-secret-file", r.fresh(fmt.Sprint("whsec_", n))}
			wg.Go(func() { errs[n] = r.asProcess(args...) })
		}
		wg.Wait()
		for _, err := range errs {
			check(t, err)
		}
		if got := r.storedIn(id, "default"); len(got) != 3 {
			t.Errorf("round %d: stored %v, want three secrets", round, got)
		}
	}
}
