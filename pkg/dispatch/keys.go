package dispatch

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strings"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Attributes of the table's list index. An item without both is in no list.
const (
	ListName  = "lst" // name of the list
	ListOrder = "at"  // sort key within the list, mostly a time in RFC 3339, UTC
)

// Prefixes of keys and list names.
const (
	recordPrefix = limits.KeyRecord  // the idempotency records, which no effect may write
	outboxPrefix = limits.KeyMessage // messages, and the lists of those to be sent
	heldPrefix   = "HELD#"           // the lists of messages held until an operator releases them
)

// Key returns an item's key or a list's name: the prefix, the mode, the account ("-" for the
// platform's own) and the parts, joined by "#", as in "FACT#test#-#pi_1#succeeded". Mode and
// account keep test events away from live items and accounts apart.
func Key(prefix string, e event.Envelope, parts ...string) string {
	return strings.Join(append([]string{prefix, e.Mode(), cmp.Or(e.Account, "-")}, parts...), "#")
}

// ObjectKey returns the key of the row kept of an event's object.
func ObjectKey(e event.Envelope) string { return Key("OBJ", e, e.ObjectID) }

// MessageKey returns the key of the message with a name about a subject, which is the key of a
// fact or row. There is at most one message under it, whatever the number of events.
func MessageKey(subject, name string) string { return outboxPrefix + subject + "#" + name }

// IsMessageKey reports whether a key is a message's.
func IsMessageKey(key string) bool { return strings.HasPrefix(key, outboxPrefix) }

// OwnerOf returns the mode and the account ("-" for the platform's own) in a key that [Key] or
// [MessageKey] made, "" for another.
func OwnerOf(key string) (mode, account string) {
	parts := strings.Split(strings.TrimPrefix(key, outboxPrefix), "#")
	if len(parts) < 4 || parts[1] != event.Mode(true) && parts[1] != event.Mode(false) {
		return "", ""
	}
	return parts[1], parts[2]
}

// OutboxShards is the number of lists that messages are spread over: a single list would be
// a hot partition of the index.
const OutboxShards = 8

// OutboxShard returns the shard of the message under a key.
func OutboxShard(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % OutboxShards)
}

// OutboxList returns the name of the list of a shard's messages that are to be sent.
func OutboxList(shard int) string { return fmt.Sprintf("%s%d", outboxPrefix, shard) }

// HeldList returns the name of the list of a shard's held messages.
func HeldList(shard int) string { return fmt.Sprintf("%s%d", heldPrefix, shard) }

// IsHeldList reports whether a list is one of held messages.
func IsHeldList(list string) bool { return strings.HasPrefix(list, heldPrefix) }
