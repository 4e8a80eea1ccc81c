package stripe

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// timeKey orders events by time, then by arrival; times before 1970 come first.
func timeKey(created int64, arrived uint64) []byte {
	return binary.BigEndian.AppendUint64(number(uint64(created)^1<<63), arrived)
}

// add stores an event and its object's state unless its id is known, and drops the oldest
// events if there are then too many. It reports whether the event is new.
func (x *tx) add(e *event) (isNew bool, err error) {
	if x.Bucket(bucketIDs).Get([]byte(e.ID)) != nil {
		return false, nil
	}
	value, packed, err := x.store.joined(e.eventHead, e.body)
	if err != nil {
		return false, err
	}
	if e.arrived, err = x.append(bucketEvents, value); err != nil {
		return false, err
	}
	head, _, err := x.store.joined(e.eventHead, nil)
	if err != nil {
		return false, err
	}
	if err := errors.Join(x.Bucket(bucketIDs).Put([]byte(e.ID), number(e.arrived)), x.Bucket(bucketTimes).Put(timeKey(e.Created, e.arrived), head)); err != nil {
		return false, err
	}
	x.counts.Events++
	x.counts.EventBytes += packed
	for x.counts.Events > int64(x.store.maxEvents) || x.counts.EventBytes > x.store.maxBytes && x.counts.Events > 1 {
		if err := x.dropFirstEvent(); err != nil {
			return false, err
		}
	}
	if e.sets != nil {
		err = x.set(e.sets)
	}
	return true, err
}

func (x *tx) dropFirstEvent() error {
	n, value := x.Bucket(bucketEvents).Cursor().First()
	var h eventHead
	body, err := split(value, &h)
	if err != nil {
		return err
	}
	x.counts.Events--
	x.counts.EventBytes -= int64(len(body))
	return errors.Join(
		x.Bucket(bucketTimes).Delete(timeKey(h.Created, binary.BigEndian.Uint64(n))),
		x.Bucket(bucketIDs).Delete([]byte(h.ID)),
		x.Bucket(bucketEvents).Delete(n),
	)
}

// setPending changes how many webhooks of an event have not been delivered.
func (x *tx) setPending(e *event, n int64) error {
	e.Pending = &n
	value, _, err := x.store.joined(e.eventHead, e.body)
	if err != nil {
		return err
	}
	return x.Bucket(bucketEvents).Put(number(e.arrived), value)
}

// event returns an event whole, nil when it is not known.
func (s *store) event(id string) (e *event, err error) {
	err = s.view(func(x *tx) (err error) {
		e, err = x.event(id)
		return err
	})
	return e, err
}

// delivered counts one webhook of an event as delivered.
func (s *store) delivered(id string) error {
	return s.update(func(x *tx) error {
		e, err := x.event(id)
		if err != nil || e == nil {
			return err
		}
		return x.setPending(e, e.pending()-1)
	})
}

func (x *tx) event(id string) (*event, error) {
	n := x.Bucket(bucketIDs).Get([]byte(id))
	if n == nil {
		return nil, nil
	}
	return x.numbered(binary.BigEndian.Uint64(n))
}

func (x *tx) numbered(n uint64) (*event, error) {
	e := &event{arrived: n}
	body, err := split(x.Bucket(bucketEvents).Get(number(n)), &e.eventHead)
	if err != nil {
		return nil, err
	}
	e.body, err = x.store.unpacked(body)
	return e, err
}

// backward gives the events without their bodies from just before a key of timeKey, or
// from the newest for nil, to the oldest.
func (x *tx) backward(before []byte, yield func(*event) bool) error {
	c := x.Bucket(bucketTimes).Cursor()
	k, v := c.Last()
	if before != nil {
		if at, _ := c.Seek(before); at == nil {
			k, v = c.Last()
		} else {
			k, v = c.Prev()
		}
	}
	return walk(k, v, c.Prev, yield)
}

// forward gives those after a key of timeKey, to the newest.
func (x *tx) forward(after []byte, yield func(*event) bool) error {
	c := x.Bucket(bucketTimes).Cursor()
	k, v := c.Seek(after)
	if bytes.Equal(k, after) {
		k, v = c.Next()
	}
	return walk(k, v, c.Next, yield)
}

func walk(k, v []byte, next func() (k, v []byte), yield func(*event) bool) error {
	for ; k != nil; k, v = next() {
		e := &event{arrived: binary.BigEndian.Uint64(k[8:])}
		if _, err := split(v, &e.eventHead); err != nil || !yield(e) {
			return err
		}
	}
	return nil
}
