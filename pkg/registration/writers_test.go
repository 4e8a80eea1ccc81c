package registration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowSecrets takes a random time for each call, in which others write. Reads may be behind,
// requests may fail before or after they are carried out.
type slowSecrets struct {
	random *rand.Rand
	blind  bool // it replaces whatever is there, without a check

	mu       sync.Mutex
	versions []Version
}

// step waits and says what goes wrong with a call.
func (v *slowSecrets) step() fault {
	v.mu.Lock()
	d, n := time.Duration(v.random.IntN(300))*time.Millisecond, v.random.IntN(100)
	v.mu.Unlock()
	time.Sleep(d)
	switch {
	case n < 5:
		return before
	case n < 10:
		return after
	}
	return fine
}

func (v *slowSecrets) Current(context.Context) (Version, error) {
	if v.step() == before {
		return Version{}, errStep
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	back := 1
	if len(v.versions) > 1 && v.random.IntN(10) == 0 {
		back = 2
	}
	if len(v.versions) == 0 {
		return Version{}, nil
	}
	return v.versions[len(v.versions)-back], nil
}

func (v *slowSecrets) Replace(_ context.Context, was string, value Secret) error {
	f := v.step()
	if f == before {
		return errStep
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	now := ""
	if n := len(v.versions); n > 0 {
		now = v.versions[n-1].ID
	}
	if now != was && !v.blind {
		return ErrReplaced
	}
	v.versions = append(v.versions, Version{ID: fmt.Sprint(len(v.versions)), Value: value})
	if f == after {
		return errStep
	}
	return nil
}

// writers runs rolls of two endpoints and a removal of an old secret at once, and returns
// what was stored and is gone, "" for nothing.
func writers(t *testing.T, seed uint64, blind bool) (lost string) {
	synctest.Test(t, func(t *testing.T) {
		v := &slowSecrets{random: rand.New(rand.NewPCG(seed, 0)), blind: blind}
		if seed%2 == 0 { // else the secret has no value yet
			v.versions = []Version{{ID: "first", Value: NewSecret(`{"default":["whsec_kept","whsec_old"]}`)}}
		}
		edits := []Edit{Drop("default", []Secret{NewSecret("whsec_old")})}
		names := []string{""}
		for i, endpoint := range []string{"default", "default", "eu"} {
			names = append(names, fmt.Sprint("whsec_", i))
			edits = append(edits, PutFirst(endpoint, NewSecret(names[i+1])))
		}
		errs := make([]error, len(edits))
		var wg sync.WaitGroup
		for i, edit := range edits {
			wg.Go(func() { _, errs[i] = Change(t.Context(), v, edit) })
		}
		wg.Wait()
		stored := ""
		for n, version := range v.versions { // what is stored once stays
			for _, name := range append(slices.Clone(names[1:]), "whsec_kept") {
				if n > 0 && strings.Contains(v.versions[n-1].Value.Reveal(), name) && !strings.Contains(version.Value.Reveal(), name) {
					lost = fmt.Sprintf("%s is gone from version %d", name, n)
				}
			}
			stored = version.Value.Reveal()
		}
		for i, err := range errs {
			if err == nil && !strings.Contains(stored, names[i]) {
				lost = fmt.Sprintf("%s was stored without an error, and is not there", names[i])
			}
		}
		if errs[0] == nil && strings.Contains(stored, "whsec_old") {
			lost = "the old secret was removed, and is there"
		}
	})
	return lost
}

const writerSeeds = 500

// TestWritersInAnyOrder: no order of reads, writes and faults loses a secret.
func TestWritersInAnyOrder(t *testing.T) {
	for seed := range uint64(writerSeeds) {
		if lost := writers(t, seed, false); lost != "" {
			t.Fatalf("seed %d: %s", seed, lost)
		}
	}
}

// TestWritersOfABlindWriters: the orders above do lose a secret where a write replaces whatever
// is there.
func TestWritersOfABlindWriters(t *testing.T) {
	found := 0
	for seed := range uint64(writerSeeds) {
		if writers(t, seed, true) != "" {
			found++
		}
	}
	if found < writerSeeds/10 {
		t.Errorf("%d of %d orders lose a secret: they test little", found, writerSeeds)
	}
}
