package sqs

import (
	"bytes"

	"go.etcd.io/bbolt"
)

// SetInFlightLimit lowers the limit of messages in flight, before the first operation.
func (s *Service) SetInFlightLimit(n int) { s.engine.limit = n }

// BreakFile makes every later write fail, as a disk does that went away.
func (s *Service) BreakFile() { s.engine.db.Close() }

// Waiting counts the long polls of a queue.
func (s *Service) Waiting(name string) (n int) {
	s.do(func(t *turn) error {
		n = len(t.queues[name].waiters)
		return nil
	})
	return n
}

// StoredOnDisk counts the payloads and states in the file.
func (s *Service) StoredOnDisk() (payloads, states int) {
	s.engine.db.View(func(tx *bbolt.Tx) error {
		for parent, n := range map[string]*int{bucketPayload: &payloads, bucketState: &states} {
			b := tx.Bucket([]byte(parent))
			b.ForEachBucket(func(k []byte) error {
				*n += b.Bucket(k).Stats().KeyN
				return nil
			})
		}
		return nil
	})
	return payloads, states
}

// Key returns the key that receipts are sealed with.
func (s *Service) Key() []byte { return bytes.Clone(s.engine.receipts.key) }
