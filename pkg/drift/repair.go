package drift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/limits"
)

// Mender writes a row and the items that change with it.
type Mender interface {
	// Mend writes the swaps in one transaction, each only if its item has the swap's version
	// (0: there is none); all get the version next. False: an item has another version, and
	// nothing was written.
	Mend(ctx context.Context, swaps dispatch.Effects, next int64) (done bool, err error)
}

// maxMends bounds how often a repair starts over because the row changed.
const maxMends = 10

// mendPause is the wait before a repair starts over.
const mendPause = 100 * time.Millisecond

// Repair writes what the keeper of a drifted row would write now: rows only, no message and no
// fact. It may run next to consumers: a row that changes meanwhile is read again, with its
// object. A finding other than Drifted cannot be repaired and is returned as it is.
func (c *Checker) Repair(ctx context.Context, w Mender, key string) (Finding, error) {
	for range maxMends {
		f, r, err := c.refresh(ctx, key)
		if err != nil || f.Result != Drifted {
			return f, err
		}
		done, err := w.Mend(ctx, swapsOf(r), f.version+1)
		if err != nil {
			return f, fmt.Errorf("repair %s: %w", key, err)
		}
		if f.Repaired = done; done {
			return f, nil
		}
		if !limits.Pause(ctx, mendPause, 0, 1) {
			return f, ctx.Err()
		}
	}
	return Finding{Key: key, Result: Failed}, errors.New("repair " + key + ": the row keeps changing")
}

// swapsOf returns the keeper's swaps with the versions that were read. Each item still names the
// messages that it named before, as a repair requests none, and leads to its row.
func swapsOf(r dispatch.Refreshed) (swaps dispatch.Effects) {
	for _, e := range r.Effects {
		if e.Kind != dispatch.KindSwap {
			continue
		}
		kept := r.Before[e.Key]
		fields := maps.Clone(e.Fields)
		delete(fields, effect.MessageKeys)
		messages, _ := effect.Named(kept)
		_, rows := effect.Named(e.Fields)
		if named := append(messages, rows...); len(named) > 0 {
			fields[effect.MessageKeys] = named
		}
		ver, _ := kept["ver"].(int64)
		swaps = append(swaps, dispatch.Swap(e.Key, ver, fields))
	}
	return swaps
}
