package sqs

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/boltfile"
)

// The file: meta (format, receipt key), queues (id → record), deleted (name → time), and per
// queue one bucket of payloads and one of states under it, both by message number. States are separate from payloads,
// so that a receive rewrites 40 bytes and not a megabyte.
const (
	formatName    = "tollgate sqs 1"
	bucketQueues  = "queues"
	bucketDeleted = "deleted"
	bucketPayload = "payloads"
	bucketState   = "states"
)

// openFile opens or creates the file; errors are one line with its name.
func openFile(path string) (*bbolt.DB, error) {
	db, err := boltfile.Open(path, initialise)
	if err != nil {
		return nil, fmt.Errorf("open queues %s: %w", path, err)
	}
	return db, nil
}

func initialise(tx *bbolt.Tx) error {
	if err := boltfile.Layout(formatName, bucketQueues, bucketDeleted, bucketPayload, bucketState)(tx); err != nil {
		return err
	}
	meta := tx.Bucket([]byte(boltfile.Meta))
	if meta.Get([]byte("receipts")) != nil {
		return nil
	}
	key := make([]byte, 32)
	rand.Read(key)
	return meta.Put([]byte("receipts"), key)
}

// load reads the engine's state from the file.
func (e *engine) load(tx *bbolt.Tx) error {
	e.receipts.key = bytes.Clone(tx.Bucket([]byte(boltfile.Meta)).Get([]byte("receipts")))
	now := e.now()
	err := tx.Bucket([]byte(bucketQueues)).ForEach(func(k, v []byte) error {
		var r queueRecord
		if err := json.Unmarshal(v, &r); err != nil {
			return fmt.Errorf("read a queue: %w", err)
		}
		q, err := newQueue(binary.BigEndian.Uint64(k), r)
		if err != nil {
			return fmt.Errorf("read queue %s: %w", r.Name, err)
		}
		e.queues[r.Name] = q
		return loadMessages(tx.Bucket([]byte(bucketState)).Bucket(k), q, now)
	})
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucketDeleted)).ForEach(func(k, v []byte) error {
		e.deleted[string(k)] = int64(binary.BigEndian.Uint64(v))
		return nil
	})
}

func loadMessages(states *bbolt.Bucket, q *queue, now int64) error {
	return states.ForEach(func(k, v []byte) error {
		m := &message{seq: binary.BigEndian.Uint64(k)}
		if _, err := binary.Decode(v, binary.BigEndian, &m.state); err != nil {
			return fmt.Errorf("read a message of queue %s: %w", q.Name, err)
		}
		q.add(m, now)
		return nil
	})
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// payload is the part of a message that never changes while it is in a queue.
type payload struct {
	ID         string
	BodyMD5    string
	Attributes map[string]attribute `json:",omitempty"`
	Group      string               `json:",omitempty"`
	Trace      string               `json:",omitempty"`
	Source     string               `json:",omitempty"` // ARN of the queue that it was dead-lettered from
	Body       string               `json:"-"`
}

// encode gives the header's length (4 bytes), the header as JSON and the body as it is.
func (p *payload) encode() ([]byte, error) {
	header, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	b := make([]byte, 0, 4+len(header)+len(p.Body))
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	return append(append(b, header...), p.Body...), nil
}

func decodePayload(b []byte) (payload, error) {
	var p payload
	if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
		return p, errors.New("decode message: cut short")
	}
	end := 4 + int(binary.BigEndian.Uint32(b))
	if err := json.Unmarshal(b[4:end], &p); err != nil {
		return p, fmt.Errorf("decode message: %w", err)
	}
	p.Body = string(b[end:])
	return p, nil
}
