package idempotency

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"tollgate/pkg/event"
)

// Identity returns the digest that a new record of an event gets. Two messages of one event
// must share it. The body is not included: Stripe renders one event in several API versions.
func Identity(e event.Envelope) string { return IdentitiesOf(e)[0] }

// Identities are the identities that the record of one event may have, twice the same if there
// is only one.
type Identities [2]string

// IdentitiesOf returns the identities of an event, that of a new record first.
//
// Releases that ignored context recorded the events of organisations under no account, so for
// these events that identity is accepted too. For no others: a message that names another
// account than the record's is of another event, or of an endpoint that is set up wrongly. A
// message of such a release gets the identity that this release gives it after a rollback.
func IdentitiesOf(e event.Envelope) Identities {
	named := identityAs(e, e.Account)
	switch e.AccountFrom {
	case event.FromContext:
		return Identities{named, identityAs(e, "")}
	case event.FromBody:
		return Identities{identityAs(e, ""), named}
	default:
		return Identities{named, named}
	}
}

// Has reports whether a record with this identity is of the event.
func (i Identities) Has(identity string) bool { return identity == i[0] || identity == i[1] }

func identityAs(e event.Envelope, account string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		e.ID, e.Type, strconv.FormatInt(e.Created, 10), strconv.FormatBool(e.Livemode), account, e.ObjectID,
	}, "\n")))
	return hex.EncodeToString(sum[:])
}
