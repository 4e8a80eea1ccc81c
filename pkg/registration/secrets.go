package registration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Version is one value of the stored webhook secret. The zero Version is that of a
// secret without a value.
type Version struct {
	ID    string
	At    time.Time // when it was written
	Value Secret
}

// Secrets stores the webhook secret.
type Secrets interface {
	// Current returns the present value, zero if there is none. It may be out of date.
	Current(ctx context.Context) (Version, error)
	// Replace makes value the present one if the present version still has the id was, "" for
	// none. Otherwise the error wraps [ErrReplaced] and nothing was changed. After any other
	// error the value may have been written.
	Replace(ctx context.Context, was string, value Secret) error
}

// ErrReplaced: the secret changed after the caller read it.
var ErrReplaced = errors.New("the webhook secret was changed since it was read")

// ErrContended: another writer came first at every try.
var ErrContended = errors.New("other writers changed the webhook secret at every try")

// Bounds of a change among other writers: how long it tries, and the wait between tries.
const (
	changeFor    = 40 * time.Second
	leastBackOff = 100 * time.Millisecond
	mostBackOff  = 2 * time.Second
)

// Change applies an edit to the stored secret and reports whether it wrote. It replaces only
// the version that it edited: after another writer's change it waits, reads and edits again,
// so no value is lost. It returns [ErrContended] after 40 s.
func Change(ctx context.Context, v Secrets, edit Edit) (changed bool, err error) {
	end := time.Now().Add(changeFor)
	for pause := leastBackOff; ; pause = min(2*pause, mostBackOff) {
		base, err := v.Current(ctx)
		if err != nil {
			return false, err
		}
		value, same, err := edited(base, edit)
		if err != nil || same {
			return changed, err
		}
		changed = true
		if err = v.Replace(ctx, base.ID, value); err == nil {
			return true, nil
		}
		if !errors.Is(err, ErrReplaced) {
			if again, err := unanswered(ctx, v, base, err); !again {
				return false, err
			}
		}
		if !time.Now().Before(end) {
			return false, fmt.Errorf("%w: %w", ErrContended, err)
		}
		if err := wait(ctx, rand.N(pause)); err != nil {
			return false, err
		}
	}
}

// unanswered checks the version after a failed write: if it changed, the write may have been
// applied, and editing again shows it.
func unanswered(ctx context.Context, v Secrets, base Version, failed error) (again bool, err error) {
	now, err := v.Current(ctx)
	if err != nil {
		return false, errors.Join(failed, fmt.Errorf("read back what was written: %w", err))
	}
	return now.ID != base.ID, failed
}

// edited applies an edit; same: it changes nothing.
func edited(base Version, edit Edit) (value Secret, same bool, err error) {
	s, err := ReadStored(base.Value)
	if err != nil {
		return Secret{}, false, err
	}
	if value, err = edit(s); err != nil {
		return Secret{}, false, err
	}
	before, err := s.render()
	return value, before.Reveal() == value.Reveal(), err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
