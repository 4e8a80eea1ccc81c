package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Fields are an item's attributes: string, int64, int, bool, []byte, nil, Fields,
// map[string]any or []any of these.
type Fields = map[string]any

// Kind is one of the three things an effect can do.
type Kind string

const (
	// KindInsert writes an item if its key is free; otherwise the effect is dropped, as the
	// fact was written before.
	KindInsert Kind = "insert"
	// KindSwap replaces an item if its version is the one that was read; otherwise the
	// handler runs again.
	KindSwap Kind = "swap"
	// KindCheck writes nothing; if its condition does not hold, the attempt fails with
	// Effect.Err.
	KindCheck Kind = "check"
)

// Effect is a write or a condition. All effects of an event and its record are committed in
// one transaction. There is no unconditional put, add or delete, so running an event twice
// cannot apply anything twice.
type Effect struct {
	Kind   Kind
	Key    string
	Fields Fields // what an insert or swap writes; what a check wants to be equal
	Ver    int64  // a swap's or check's wanted version; 0: no item for a swap, any for a check
	Absent bool   // a check wants no item
	Err    error  // the attempt's error if the check fails

	Since time.Time // a message's: when the state that it reports began; see [Message]
}

// Effects are applied in one transaction.
type Effects []Effect

// Insert writes an item unless one is there.
func Insert(key string, f Fields) Effect { return Effect{Kind: KindInsert, Key: key, Fields: f} }

// Swap replaces the item whose attribute ver is ver (0: there must be none) with f and ver+1.
func Swap(key string, ver int64, f Fields) Effect {
	return Effect{Kind: KindSwap, Key: key, Fields: f, Ver: ver}
}

// CheckAbsent makes the attempt fail with err if there is an item.
func CheckAbsent(key string, err error) Effect {
	return Effect{Kind: KindCheck, Key: key, Absent: true, Err: err}
}

// CheckEqual makes the attempt fail with err unless there is an item whose attributes equal f;
// nil accepts any item.
func CheckEqual(key string, f Fields, err error) Effect {
	return Effect{Kind: KindCheck, Key: key, Fields: f, Err: err}
}

// Bounds of the effects of one event. The database takes 100 actions in a
// transaction, one of which is the record, 4 MB, and items of 400 KB.
const (
	MaxEffects   = 99
	MaxItemBytes = 400_000
	MaxBytes     = 3_900_000
	maxKeyBytes  = 2048
	maxSortBytes = 1024
	maxDepth     = 30
)

// reservedFields are written by the store only.
var reservedFields = []string{"pk", "ver", "exp", "open", "upd"}

// Validate reports why the effects cannot be committed in any attempt.
func (es Effects) Validate() error {
	if len(es) > MaxEffects {
		return fmt.Errorf("%d effects, at most %d fit one transaction", len(es), MaxEffects)
	}
	seen := make(map[string]bool, len(es))
	total := 0
	for i, e := range es {
		n, err := e.validate()
		if err != nil {
			return fmt.Errorf("effect %d (%s): %w", i, e.Kind, err)
		}
		if seen[e.Key] {
			return fmt.Errorf("effect %d (%s): duplicate key %q", i, e.Kind, e.Key)
		}
		seen[e.Key] = true
		total += n
	}
	if total > MaxBytes {
		return fmt.Errorf("effects of %d bytes, at most %d fit one transaction", total, MaxBytes)
	}
	return nil
}

func (e Effect) validate() (size int, err error) {
	switch {
	case e.Key == "" || len(e.Key) > maxKeyBytes:
		return 0, fmt.Errorf("key of %d bytes, want 1 to %d", len(e.Key), maxKeyBytes)
	case strings.HasPrefix(e.Key, recordPrefix):
		return 0, fmt.Errorf("key %q is reserved for records", e.Key)
	case e.Ver < 0:
		return 0, fmt.Errorf("version %d is negative", e.Ver)
	}
	switch e.Kind {
	case KindInsert, KindSwap:
		for _, name := range reservedFields {
			if _, ok := e.Fields[name]; ok {
				return 0, fmt.Errorf("field %q is reserved for the store", name)
			}
		}
		if err := errors.Join(e.listedBy(ListName, maxKeyBytes), e.listedBy(ListOrder, maxSortBytes)); err != nil {
			return 0, err
		}
	case KindCheck:
		if e.Err == nil {
			return 0, errors.New("a check without an error")
		}
	default:
		return 0, fmt.Errorf("kind %q is unknown", e.Kind)
	}
	size, err = sizeOf(e.Fields, 0)
	if err == nil && size+len(e.Key) > MaxItemBytes {
		err = fmt.Errorf("item of %d bytes, at most %d fit", size+len(e.Key), MaxItemBytes)
	}
	return size + len(e.Key), err
}

// listedBy checks a key attribute of the list index: the table rejects an item in which it is
// empty, too long or not a string.
func (e Effect) listedBy(name string, most int) error {
	v, there := e.Fields[name]
	if text, ok := v.(string); there && (!ok || text == "" || len(text) > most) {
		return fmt.Errorf("field %q is a key of the list index: want a string of 1 to %d bytes", name, most)
	}
	return nil
}

// sizeOf returns an upper estimate of a value's size by the database's rule, or an error for a
// value that cannot be stored.
func sizeOf(v any, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("values nested over %d deep", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool:
		return 1, nil
	case int, int64:
		return 12, nil
	case []byte:
		return len(v), nil
	case string:
		if !utf8.ValidString(v) {
			return 0, errors.New("string is not UTF-8")
		}
		return len(v), nil
	case Fields:
		sum := 3
		for name, item := range v {
			n, err := sizeOf(item, depth+1)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			if name == "" {
				return 0, errors.New("field name is empty")
			}
			sum += len(name) + n + 1
		}
		return sum, nil
	case []any:
		sum := 3
		for _, item := range v {
			n, err := sizeOf(item, depth+1)
			if err != nil {
				return 0, err
			}
			sum += n + 1
		}
		return sum, nil
	default:
		return 0, fmt.Errorf("values of type %T cannot be stored", v)
	}
}
