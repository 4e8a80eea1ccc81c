package stripe

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/boltfile"
)

// formatVersion names the layout of the file.
const formatVersion = "stripe-1"

// The file's buckets. A number is 8 bytes; events and states are numbered in order of
// arrival. The value of an event or state is the length of a head, the head as JSON and a
// body, compressed with zstd.
var (
	bucketMeta   = []byte("meta")   // "format"; "counts" → counts; "endpoints" → a list of endpoints
	bucketEvents = []byte("events") // number → eventHead and body
	bucketIDs    = []byte("ids")    // event id → number
	bucketTimes  = []byte("times")  // created and number → eventHead
	bucketStates = []byte("states") // number → state and body
	bucketKeys   = []byte("keys")   // objectKey → number

	keyCounts    = []byte("counts")
	keyEndpoints = []byte("endpoints")
)

// shareWait is how long a write waits for others to share it.
const shareWait = 4 * time.Millisecond

// store keeps events, the states of objects and webhook endpoints in a file, so that
// memory does not grow with them. It is safe for concurrent use.
type store struct {
	db        *bbolt.DB
	packer    *zstd.Encoder
	unpacker  *zstd.Decoder
	folder    string // of a file that ends with the process, "" for one that stays
	maxEvents int
	maxBytes  int64

	sharing atomic.Int64 // calls of share under way
	crowded atomic.Bool  // the last one was not alone
}

// counts are how many events and states there are, and the bytes of their bodies as stored.
type counts struct {
	Events, EventBytes, States, StateBytes int64
}

// openStore opens the file at a path, or a temporary one for "". The file is not synced at
// each write: a killed process loses nothing, a crashed machine may.
func openStore(path string, maxEvents int, maxBytes int64) (*store, error) {
	s := &store{maxEvents: maxEvents, maxBytes: maxBytes}
	var err error
	if s.packer, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedDefault)); err != nil {
		return nil, err
	}
	if s.unpacker, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(2*MaxEventBytes)); err != nil {
		return nil, err
	}
	if path == "" {
		folder, err := os.MkdirTemp("", "stripe-")
		if err != nil {
			return nil, err
		}
		s.folder, path = folder, folder+"/stripe.db"
	}
	db, err := boltfile.OpenNoSync(path, boltfile.Layout(formatVersion, string(bucketEvents), string(bucketIDs), string(bucketTimes), string(bucketStates), string(bucketKeys)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w (if the file is removed, the fake Stripe only loses its events)", path, err), s.remove())
	}
	s.db = db
	db.MaxBatchDelay = shareWait
	if s.folder != "" {
		return s, s.remove() // the open file stays usable
	}
	return s, nil
}

func (s *store) remove() error {
	if s.folder == "" {
		return nil
	}
	return os.RemoveAll(s.folder)
}

func (s *store) close() error {
	s.unpacker.Close()
	return errors.Join(s.db.Sync(), s.db.Close())
}

// update runs one atomic change of the file.
func (s *store) update(change func(*tx) error) error { return s.db.Update(s.counted(change)) }

// share is [store.update] for changes that come close together: they share a write, for which
// the first waits a moment, unless the one before was alone too. A change may run more than
// once, each time on what the file has then.
func (s *store) share(change func(*tx) error) error {
	alone := s.sharing.Add(1) == 1
	defer s.sharing.Add(-1)
	if crowded := s.crowded.Swap(!alone); alone && !crowded {
		return s.update(change)
	}
	return s.db.Batch(s.counted(change))
}

// counted loads and saves the counts around a change.
func (s *store) counted(change func(*tx) error) func(*bbolt.Tx) error {
	return func(t *bbolt.Tx) error {
		x := &tx{Tx: t, store: s}
		if err := x.load(keyCounts, &x.counts); err != nil {
			return err
		}
		before := x.counts
		if err := change(x); err != nil || x.counts == before {
			return err
		}
		return x.save(keyCounts, x.counts)
	}
}

func (s *store) view(look func(*tx) error) error {
	return s.db.View(func(t *bbolt.Tx) error { return look(&tx{Tx: t, store: s}) })
}

// tx is a transaction on the store.
type tx struct {
	*bbolt.Tx
	store  *store
	counts counts // loaded and saved by update
}

// load reads a member of the meta bucket; if it is absent the value is not changed.
func (x *tx) load(key []byte, into any) error {
	raw := x.Bucket(bucketMeta).Get(key)
	if raw == nil {
		return nil
	}
	return json.Unmarshal(raw, into)
}

func (x *tx) save(key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return x.Bucket(bucketMeta).Put(key, raw)
}

// append puts a value under the bucket's next number and returns that.
func (x *tx) append(bucket []byte, value []byte) (uint64, error) {
	b := x.Bucket(bucket)
	b.FillPercent = 0.9 // numbers only grow
	n, err := b.NextSequence()
	if err != nil {
		return 0, err
	}
	return n, b.Put(number(n), value)
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// joined returns a head followed by a body, if there is one, and the packed size of the body.
func (s *store) joined(head any, body []byte) (value []byte, packed int64, err error) {
	raw, err := json.Marshal(head)
	if err != nil {
		return nil, 0, err
	}
	value = append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)
	if body == nil {
		return value, 0, nil
	}
	n := len(value)
	value = s.packer.EncodeAll(body, value)
	return value, int64(len(value) - n), nil
}

// unpacked returns a decompressed copy of a body of split.
func (s *store) unpacked(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	return s.unpacker.DecodeAll(body, nil)
}

// split reads a head and returns the packed body, which is valid as long as the transaction.
func split(value []byte, head any) (body []byte, err error) {
	n, size := binary.Uvarint(value)
	if size <= 0 || n > uint64(len(value)-size) {
		return nil, errors.New("a value of the file has no head")
	}
	value = value[size:]
	return value[n:], json.Unmarshal(value[:n], head)
}
