package ledger

import (
	"fmt"
	"strings"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/ledger"
)

// kinds are the prefixes of the ids that the ledger is read by, with Stripe's words for them.
func kinds() map[string]string {
	return map[string]string{
		"cus": "customer", "acct": "customer", "sub": "subscription", "in": "invoice", "pi": "payment", "cs": "checkout",
		"dp": "dispute", "du": "dispute", "re": "refund", "pyr": "refund", "ch": "charge", "py": "charge", "issfr": "early fraud warning",
	}
}

// kindOf returns the kind of object that an id is of, "" for an id that the ledger is not read by.
func kindOf(id string) string {
	prefix, rest, _ := strings.Cut(id, "_")
	if rest == "" || strings.Contains(id, "#") {
		return ""
	}
	return kinds()[prefix]
}

// Readable reports whether the ledger is read by an id like this one.
func Readable(id string) bool { return kindOf(id) != "" }

func isCustomer(id string) bool { return kindOf(id) == "customer" }

// check refuses a use without one id or reference.
func (c *Show) check() error {
	switch {
	case c.ID != "" && c.Reference != "":
		return verb.Usage("give an id or --reference, not both")
	case c.Reference != "":
		return nil
	case c.ID == "":
		return verb.Usage("whose ledger? give the id of a customer or object, or --reference")
	case kindOf(c.ID) != "":
		return nil
	case strings.HasPrefix(c.ID, "evt_"):
		return verb.Usage("%s is an event: tollgate events show %s", c.ID, c.ID)
	}
	return verb.Usage("%.80q is not an id that the ledger is read by: cus_…, acct_…, sub_…, in_…, pi_…, cs_…, dp_…, du_…, re_…, ch_… or issfr_…", c.ID)
}

// unknown is the error of an id or reference that the ledger does not have.
func (c *Show) unknown(target string) error {
	subject := "reference " + c.Reference
	if c.Reference == "" {
		subject = kindOf(c.ID) + " " + c.ID
	}
	why := map[string]string{
		"invoice": "an invoice has a row once it was paid, voided or uncollectible, or a payment failed or needs an action",
		"payment": "a failed payment of an invoice is found by the invoice, one without a message by its customer",
		"charge":  "a charge has a row once it was refunded: show its payment, pi_…", "checkout": "a checkout has a row once it was completed or has expired",
		"": "only guest checkouts are found by a reference: those of a customer are in the customer's ledger",
	}[kindOf(c.ID)]
	if why != "" {
		why += "; or "
	}
	return verb.Hint(unknownError(fmt.Sprintf("%s is not known in %s mode in %s", subject, event.Mode(c.Live), target)),
		"%sno event about it was handled yet (tollgate events list), or it is of the other mode (--live) or of a connected account (--account)", why)
}

// unknownError is a [ledger.ErrUnknown] with the words of this verb.
type unknownError string

func (e unknownError) Error() string        { return string(e) }
func (e unknownError) Is(target error) bool { return target == ledger.ErrUnknown }
