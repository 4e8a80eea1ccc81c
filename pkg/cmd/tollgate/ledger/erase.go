package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
	"tollgate/pkg/ledger"
	"tollgate/pkg/limits"
)

// Erase removes from the table what leads to a customer.
type Erase struct {
	Customer string `arg:"" help:"The customer's id, cus_… or acct_…"`
	Account  string `help:"Connected account that it is of. Default: the platform's own." placeholder:"acct_…"`
	Live     bool   `help:"Of live mode. Default: of test mode."`
	Code     string `help:"Confirms what a run without it printed." placeholder:"CODE"`
	Note     string `help:"Reason, for the audit trail, without the customer's name or id. Required with --code." placeholder:"TEXT"`
	Yes      bool   `help:"Do not ask for confirmation."`
}

func (Erase) Help() string {
	return `Removes the ids of a customer, its invoices' numbers and its application's references from the facts, rows, entitlements and messages of the table, the errors of their events, and what receivers answered to deliveries. Keys, amounts, currencies, states and times stay: the books stay complete, and a late event is not applied again. Held messages are never sent. It needs the stack's role for it: tollgate-STAGE-REGION-erase.

First end the customer's subscriptions and delete the customer at Stripe, so that no new event comes. Then run it twice: the first run prints what it would erase and a code, the second one with --code erases. The code stands for the customer in the audit trail. A run that was interrupted is finished by the next one; another run after it finds nothing. An event about an erased object that comes later, or is replayed, is handled without its customer. One about a new object is stored as any other: run it again.

  tollgate ledger erase cus_1 --live
  tollgate ledger erase cus_1 --live --code 1f0c… --note "request 1204"`
}

// Erased is what a run found, and whether it is erased, as JSON.
type Erased struct {
	Facts        int    `json:"facts"`
	Rows         int    `json:"rows"`
	Entitlements int    `json:"entitlements"`
	Messages     int    `json:"messages"`
	Others       int    `json:"others"` // of an application's own handlers
	Done         bool   `json:"erased"`
	Code         string `json:"code"`
}

func (e Erased) total() int { return e.Facts + e.Rows + e.Entitlements + e.Messages + e.Others }

func (e *Erased) count(all ledger.Erasable) {
	for _, item := range slices.Concat(all...) {
		key, _ := item["pk"].(string)
		switch prefix, _, _ := strings.Cut(key, "#"); {
		case dispatch.IsMessageKey(key):
			e.Messages++
		case effect.IsFactKey(key):
			e.Facts++
		case prefix == "OBJ":
			e.Rows++
		case prefix == "ENT":
			e.Entitlements++
		default:
			e.Others++
		}
	}
}

func (e Erased) text() string {
	text := verb.Counts(", ", verb.Count(e.Facts, "facts"), verb.Count(e.Rows, "rows"), verb.Count(e.Entitlements, "entitlements"),
		verb.Count(e.Messages, "messages"), verb.Count(e.Others, "other items"))
	return strings.TrimPrefix(text, ", ")
}

const (
	erasePasses = 10              // over the list, which lags behind the table
	erasePause  = 2 * time.Second // between two of them
)

// Run prints what would be erased or, with the code, erases it.
func (c *Erase) Run(ctx context.Context, a *verb.App) error {
	if !isCustomer(c.Customer) {
		return verb.Usage("%.80q is not a customer: cus_… or acct_…", c.Customer)
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return err
	}
	who := ledger.Who{Mode: event.Mode(c.Live), Account: c.Account, Customer: c.Customer}
	bar := a.Counter("read", "items of the table")
	named, err := reader.Naming(ctx, c.Customer, bar.Add)
	bar.Done()
	if err != nil {
		return err
	}
	found, err := ledger.FindErasable(ctx, reader, who, named)
	if err != nil {
		return err
	}
	result := Erased{Code: c.code(t)}
	result.count(found)
	switch why := found.Unfinished(); {
	case result.total() == 0:
		result.Done = true
		a.Line(result, "Nothing to erase: "+c.Customer+" is not known in "+who.Mode+" mode, or is erased."+elsewhere(named))
		return nil
	case why != "":
		return fmt.Errorf("nothing was erased: %s", why)
	case c.Code == "":
		a.Line(result, fmt.Sprintf("Would erase %s of %s in %s mode. If that is what you want:\n%s --code %s --note \"…\"", result.text(), c.Customer, who.Mode, c.command(), result.Code))
		return nil
	case c.Code != result.Code:
		return verb.Usage("the code is of another customer, mode, account or system: run it without --code first")
	case strings.TrimSpace(c.Note) == "" || strings.Contains(c.Note, c.Customer):
		return verb.Usage("--note is required: the reason, for the audit trail, without the customer's id")
	}
	of := verb.Audit{
		Verb: "ledger erase", Note: c.Note, Detail: fmt.Sprintf("erase the customer with code %s: %s", result.Code, result.text()),
		Ask: fmt.Sprintf("erase %s in %s mode: %s. This cannot be undone", c.Customer, who.Mode, result.text()),
	}
	return a.Change(ctx, t, of, c.Yes, func(ctx context.Context) (string, error) {
		if err := c.erase(ctx, t, reader, who, named, found); err != nil {
			err = errors.New(strings.ReplaceAll(err.Error(), c.Customer, result.Code)) // the audit trail has it
			return "", verb.Hint(err, "what is erased stays so: run it again to finish it")
		}
		result.Done = true
		a.Line(result, "Erased "+result.text()+".")
		return "erased " + result.text(), nil
	})
}

// elsewhere says that items still name the customer: those of another mode or account.
func elsewhere(named []string) string {
	if len(named) == 0 {
		return ""
	}
	return fmt.Sprintf(" %d items of another mode or account name it: see --live and --account.", len(named))
}

// command is the one that was run, for the same items.
func (c *Erase) command() string {
	text := "tollgate ledger erase " + c.Customer
	if c.Account != "" {
		text += " --account " + c.Account
	}
	if c.Live {
		text += " --live"
	}
	return text
}

// code stands for the customer where its id must not stay.
func (c *Erase) code(t verb.Target) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{t.Table, event.Mode(c.Live), c.Account, c.Customer}, "\n")))
	return hex.EncodeToString(sum[:8])
}

// erase goes over the customer's list and the named items until nothing is left in them: an event
// that was under way may have added to the list, or have changed an item.
func (c *Erase) erase(ctx context.Context, t verb.Target, reader *dynamostore.Reader, who ledger.Who, named []string, found ledger.Erasable) error {
	writer, err := t.Writer()
	if err != nil {
		return err
	}
	var names []string
	if t.SendDLQURL != "" {
		sending, err := t.Sending(ctx)
		if err != nil {
			return err
		}
		for name := range sending.Destinations {
			names = append(names, name)
		}
	}
	for range erasePasses {
		for _, group := range found {
			if err := eraseGroup(ctx, writer, who.Customer, group, names); err != nil {
				return err
			}
		}
		if found, err = ledger.FindErasable(ctx, reader, who, named); err != nil || len(found) == 0 {
			return err
		}
		if why := found.Unfinished(); why != "" {
			return errors.New(why)
		}
		if !limits.Pause(ctx, erasePause, 0, 1) {
			return ctx.Err()
		}
	}
	return errors.New("the customer's items keep changing")
}

// eraseGroup erases what is around the items first: it is found by them. A group that has changed
// is left for the next pass.
func eraseGroup(ctx context.Context, w *dynamostore.Operator, customer string, group []map[string]any, destinations []string) error {
	for _, item := range group {
		if id, _ := item["event_id"].(string); id != "" {
			if err := w.EraseRecord(ctx, id); err != nil {
				return err
			}
		}
		key, _ := item["pk"].(string)
		for _, name := range destinations {
			if !dispatch.IsMessageKey(key) {
				break
			}
			if err := w.EraseDelivery(ctx, delivery.Job{Message: key, Destination: name}); err != nil {
				return err
			}
		}
	}
	_, err := w.Erase(ctx, customer, group)
	return err
}
