package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
)

// bytes is the key by which the file finds a state.
func (k objectKey) bytes() []byte {
	raw, _ := json.Marshal(k) // texts and a flag cannot fail
	return raw
}

// set stores a state unless a newer one is known. Of two events of the same second the later
// given one counts. If there are too many states, the oldest are dropped.
func (x *tx) set(s *state) error {
	key := s.objectKey.bytes()
	if old := x.Bucket(bucketKeys).Get(key); old != nil {
		known, _, err := x.state(old)
		if err != nil {
			return err
		}
		if !s.Put && (known.Put || known.At > s.At) {
			return nil
		}
		if err := x.dropState(old); err != nil {
			return err
		}
	}
	value, packed, err := x.store.joined(s, s.Body)
	if err != nil {
		return err
	}
	n, err := x.append(bucketStates, value)
	if err != nil {
		return err
	}
	if err := x.Bucket(bucketKeys).Put(key, number(n)); err != nil {
		return err
	}
	x.counts.States++
	x.counts.StateBytes += packed
	for x.counts.States > int64(x.store.maxEvents) || x.counts.StateBytes > x.store.maxBytes && x.counts.States > 1 {
		first, _ := x.Bucket(bucketStates).Cursor().First()
		if err := x.dropState(first); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) dropState(n []byte) error {
	n = bytes.Clone(n) // it may lie in a page that the deletions change
	s, packed, err := x.state(n)
	if err != nil {
		return err
	}
	x.counts.States--
	x.counts.StateBytes -= int64(len(packed))
	return errors.Join(x.Bucket(bucketKeys).Delete(s.objectKey.bytes()), x.Bucket(bucketStates).Delete(n))
}

// state reads the state of a number without its body, which is returned packed.
func (x *tx) state(n []byte) (s *state, packed []byte, err error) {
	return readState(x.Bucket(bucketStates).Get(n))
}

func readState(value []byte) (s *state, packed []byte, err error) {
	s = &state{}
	packed, err = split(value, s)
	return s, packed, err
}

// object returns an object, nil if there is none. The fake Stripe accepts test keys only and
// holds both modes, so it serves the test mode's object first.
func (s *store) object(account, kind, id string) (found *state, err error) {
	err = s.view(func(x *tx) error {
		for _, live := range []bool{false, true} {
			n := x.Bucket(bucketKeys).Get(objectKey{account, live, kind, id}.bytes())
			if n == nil {
				continue
			}
			each, packed, err := x.state(n)
			if err != nil {
				return err
			}
			if !each.Gone {
				found = each
				each.Body, err = s.unpacked(packed)
				return err
			}
		}
		return nil
	})
	return found, err
}

// states returns the states that fit, including those of deleted objects, in the order in
// which they were set.
func (s *store) states(fits func(*state) bool) (all []*state, err error) {
	err = s.view(func(x *tx) error {
		return x.Bucket(bucketStates).ForEach(func(_, value []byte) error {
			each, packed, err := readState(value)
			if err != nil || !fits(each) {
				return err
			}
			all = append(all, each)
			each.Body, err = s.unpacked(packed)
			return err
		})
	})
	return all, err
}
