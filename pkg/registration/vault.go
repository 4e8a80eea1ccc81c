package registration

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Version is one value of the stored webhook secret. The zero Version is that of a
// secret without a value.
type Version struct {
	ID    string
	At    time.Time // when it was written
	Value Secret
}

// Vault keeps the webhook secret, with the value before the present one.
type Vault interface {
	// Current returns the present value, zero when there is none.
	Current(ctx context.Context) (Version, error)
	// Previous returns the value that the present one took the place of, zero for none.
	Previous(ctx context.Context) (Version, error)
	// Put writes a value and returns its version's id. After an error it may be there.
	Put(ctx context.Context, value Secret) (id string, err error)
}

// Bounds of a change: how often it meets another's, and how often and when a write is
// looked for that reads do not show yet.
const (
	changeTries = 5
	lookTries   = 6
	lookWait    = 500 * time.Millisecond
)

// ErrContended says that others wrote to the secret at every try.
var ErrContended = errors.New("the webhook secret is written by others at the same time")

// Change applies an edit to the stored secret and reports whether anything was written.
// A write by another that came between our read and our write, and was overwritten by
// it, is found as the previous value, and the edit is made anew on top of that; one that
// came after ours is edited in turn. So no writer's work is lost, unless it falls between
// the last look and the return.
func Change(ctx context.Context, v Vault, edit Edit) (changed bool, err error) {
	now, err := v.Current(ctx)
	if err != nil {
		return false, err
	}
	base := now
	for range changeTries {
		value, same, err := edited(base, edit)
		if err != nil {
			return changed, err
		}
		if same && base.ID == now.ID {
			return changed, nil
		}
		id, err := v.Put(ctx, value)
		if err != nil {
			return changed, settled(ctx, v, edit, err)
		}
		changed = true
		if now, base, err = readBack(ctx, v, now.ID, id); err != nil {
			return changed, fmt.Errorf("read back what was written: %w", err)
		}
	}
	return changed, ErrContended
}

// readBack returns the present version after ours was put over the one that was there,
// and the one to go on from, which is another when ours took another writer's place.
func readBack(ctx context.Context, v Vault, was, put string) (now, base Version, err error) {
	for try := 1; ; try++ {
		if now, err = v.Current(ctx); err != nil {
			return now, now, err
		}
		if now.ID != was || try == lookTries {
			break // a read that is behind shows what was
		}
		if err := wait(ctx, lookWait); err != nil {
			return now, now, err
		}
	}
	if now.ID != put {
		return now, now, nil // another wrote after us
	}
	before, err := v.Previous(ctx)
	if err != nil || before.ID == was {
		return now, now, err
	}
	return now, before, nil
}

// edited also tells whether the edit changes nothing.
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

// settled looks whether a write that failed has been made all the same.
func settled(ctx context.Context, v Vault, edit Edit, failed error) error {
	now, err := v.Current(ctx)
	if err != nil {
		return errors.Join(failed, fmt.Errorf("read back what was written: %w", err))
	}
	if _, same, err := edited(now, edit); err == nil && same {
		return nil
	}
	return failed
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
