// Package idempotency defines the idempotency record: its states, its writes, and what each
// answer means. An attempt makes two writes (claim, then complete or fail), or only the second
// if it runs without a claim; an operator has three (replay, purge, reidentify). It knows no database; package dynamostore implements the
// writes, and package idempotencytest is the suite that every store must pass.
//
//	(absent) ──claim──▶ RUNNING ──complete──▶ DONE ──replay: generation+1──▶ FAILED
//	                     ▲  │ └─ lease expired: claimed by another, attempt+1
//	               claim │  └──fail──▶ FAILED ──claim──▶ RUNNING
//
// A purge marks the record and changes no state: any later claim removes the mark.
//
// A run without a claim goes from (absent) to DONE or FAILED at once, see [WithoutClaim].
//
// Safety does not depend on the lease but on the fence: every write after the claim is
// conditional on (RUNNING, attempt, owner), and the attempt number rises with every claim and
// is never reset; a write without a claim is conditional on there being no record. Clocks decide when another attempt may start, never whether a late one can
// still write.
//
// Records outlive releases, and two releases write them side by side during a deploy and
// after a rollback. So a new attribute or state takes two deploys, readers first: the release
// that reads it, and does not damage it by its own writes, is deployed everywhere before the
// one that writes it. Readers ignore attributes that they do not know. testdata/wire holds
// records as written by each release that introduced a form.
package idempotency

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"tollgate/pkg/limits"
)

// State of a record.
type State string

const (
	// Running: an attempt holds the claim; left by complete, fail, or a claim after its lease.
	Running State = "RUNNING"
	// Failed: the last attempt failed, or an operator asked for a replay; left by a claim.
	Failed State = "FAILED"
	// Done: the effects are applied; left only by a replay.
	Done State = "DONE"
)

// Outcome of a done event.
type Outcome string

const (
	Applied        Outcome = "applied" // the handler ran; its effects, if any, are committed
	Ignored        Outcome = "ignored" // no handler is registered for the type
	AlreadyApplied Outcome = "stale"   // its effects had been applied before, for another event
)

// Record is a record as read. Times are zero where it has none.
type Record struct {
	ID           string
	State        State
	Attempt      int64 // rises with every claim, never reset: the fencing token
	Owner        string
	Lease        time.Time // present exactly while Running
	Generation   int64
	Identity     string
	Type         string
	Created      int64 // seconds
	Source       string
	FirstAt      time.Time
	Updated      time.Time
	Fails        int64
	Err          string    // at most limits.MaxErrorText bytes
	History      []Attempt // failed ones, oldest first, at most MaxHistory; none once done
	Reason       string    // of a permanent failure or a park
	ReceivesLeft int64     // -1 when absent; 0: in the dead-letter queue, or about to be
	Outcome      Outcome
	Effects      []string // keys of the items that the event's effects wrote
	DoneAt       time.Time
	ReplayBy     string
	ReplayWhy    string
	Purged       time.Time // when an operator purged the event; removed by a later claim
	PurgeBy      string
	Broken       string // why the row is not a valid record; the other fields are then what could be read
}

// Check returns a [*BrokenError] for a record that no write produces.
func (r Record) Check() error {
	switch {
	case r.Broken != "":
		return &BrokenError{ID: r.ID, Text: r.Broken}
	case r.State != Running && r.State != Failed && r.State != Done:
		return &BrokenError{ID: r.ID, Text: fmt.Sprintf("state %.40q is unknown", r.State)}
	case r.State == Running && r.Lease.IsZero():
		return &BrokenError{ID: r.ID, Text: "running without a lease"}
	}
	return nil
}

// BrokenError is a row that is not a valid record: something else wrote it. Other rows are not
// affected.
type BrokenError struct {
	ID   string // of the event
	Text string // which attribute and why, without its value
}

func (e *BrokenError) Error() string { return fmt.Sprintf("record of %s is broken: %s", e.ID, e.Text) }

// KeyPrefix starts the table key of a record; no effect may write such a key.
const KeyPrefix = limits.KeyRecord

// Key returns the table key of an event's record.
func Key(eventID string) string { return KeyPrefix + eventID }

// Shards is the number of partitions of the index of records that failed and are not done.
const Shards = 8

// Shard returns the index partition of an event, so that no single partition is hot.
func Shard(eventID string) string {
	h := fnv.New32a()
	h.Write([]byte(eventID))
	return ShardName(h.Sum32() % Shards)
}

// ShardName returns the name of index partition n.
func ShardName(n uint32) string { return fmt.Sprintf("o#%d", n) }

// NewOwner returns a random 128-bit owner in hex, one for each claim call.
func NewOwner() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
