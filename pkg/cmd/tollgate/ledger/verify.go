package ledger

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/stripeapi"
)

// Verify compares the kept rows with Stripe, and may repair them.
type Verify struct {
	Since    string        `help:"Rows last written since: days such as 30d, a duration such as 2h, or a time (RFC 3339). Default: all rows." placeholder:"WHEN"`
	Customer string        `help:"Rows of this customer. Default: of all." placeholder:"cus_…"`
	Account  string        `help:"Rows of this connected account. Default: of all accounts; with --customer, of the platform's own." placeholder:"acct_…"`
	Live     bool          `help:"Rows of live mode. Default: of test mode."`
	Repair   bool          `help:"Write what Stripe shows into the rows that differ."`
	Rate     float64       `default:"10" help:"Requests to Stripe a second, at most (0.1 to 100)."`
	Settle   time.Duration `default:"1m" help:"A row that differs is compared again after this long, and counts only if it still differs (0 to 1h)." placeholder:"DURATION"`
	Limit    int           `help:"Stop after this many rows. Default: no limit."`
	After    string        `help:"Continue where an earlier run stopped, with the same filters." placeholder:"CURSOR"`
	Note     string        `help:"Reason, for the audit trail. Required with --repair." placeholder:"TEXT"`
	Yes      bool          `help:"Do not ask for confirmation."`
}

func (Verify) Help() string {
	return `Compares every kept row, and the entitlement of a subscription, with the object as Stripe has it now, and prints the rows that differ and the fields. An event that is still under way is no drift: a row that differs is compared again after --settle. Exit code 0: no row differs, or all were repaired. 1: a row differs, or could not be compared. Rows of accounts that have revoked access are counted and not compared.

--repair writes rows and entitlements only: no message and no fact. It may run next to the consumer. It cannot repair a row whose object is gone, an entitlement without a row, or a row that cannot be read.

A run that is interrupted, or stopped by --limit, prints a cursor on stderr, with --json as an object: {"cursor":…}.

  tollgate ledger verify --live --since 30d
  tollgate ledger verify --live --customer cus_1
  tollgate ledger verify --live --repair --note "after the outage of Monday"`
}

// verifyBatch is how many rows are compared before the next cursor.
const verifyBatch = 200

// Verified is the result of a run, as JSON.
type Verified struct {
	Checked  int `json:"checked"`
	Drifted  int `json:"drifted"` // repaired ones too
	Repaired int `json:"repaired"`
	Failed   int `json:"failed"`  // could not be fetched now
	Revoked  int `json:"revoked"` // of accounts that have revoked access: not compared
	Unknown  int `json:"unknown"` // of kinds without a keeper: not compared
}

// Run compares, and fails if a row differs that is not repaired.
func (c *Verify) Run(ctx context.Context, a *verb.App) error {
	v, err := c.verifier(ctx, a)
	if err != nil {
		return err
	}
	if !c.Repair {
		_, err := v.run(ctx)
		return err
	}
	what := "write what Stripe shows into the rows that differ: " + c.which()
	return a.Change(ctx, v.target, verb.Audit{Verb: "ledger verify --repair", Note: c.Note, Detail: what}, c.Yes, v.run)
}

func (c *Verify) which() string {
	text := event.Mode(c.Live) + " mode"
	for _, filter := range [][2]string{{"since", c.Since}, {"account", c.Account}, {"customer", c.Customer}} {
		if filter[1] != "" {
			text += ", " + filter[0] + " " + filter[1]
		}
	}
	return text
}

func (c *Verify) check(now time.Time) (since time.Time, after string, err error) {
	switch {
	case c.Rate < 0.1 || c.Rate > 100:
		return since, "", verb.Usage("--rate is 0.1 to 100")
	case c.Settle < 0 || c.Settle > time.Hour:
		return since, "", verb.Usage("--settle is 0s to 1h")
	case c.Limit < 0:
		return since, "", verb.Usage("--limit is a number of rows")
	case c.After != "" && c.Customer != "":
		return since, "", verb.Usage("--after continues a run over the table, not over a customer's rows")
	case c.Repair && strings.TrimSpace(c.Note) == "":
		return since, "", verb.Hint(verb.Usage("--repair needs --note"), "it is kept in the audit trail")
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.After)
	if err != nil || c.After != "" && !strings.Contains(string(raw), "#") {
		return since, "", verb.Usage("--after is not a cursor of this verb")
	}
	since, err = verb.When("--since", c.Since, now)
	return since, string(raw), err
}

// verifier is one run.
type verifier struct {
	*Verify
	app     *verb.App
	target  verb.Target
	reader  *dynamostore.Reader
	writer  *dynamostore.Operator
	checker *drift.Checker
	since   time.Time
	after   string // the last key that is done
	done    Verified
}

func (c *Verify) verifier(ctx context.Context, a *verb.App) (*verifier, error) {
	since, after, err := c.check(time.Now())
	if err != nil {
		return nil, err
	}
	v := &verifier{Verify: c, app: a, since: since, after: after}
	if v.target, v.reader, err = a.Reader(ctx); err != nil {
		return nil, err
	}
	if v.writer, err = v.target.Writer(); err != nil {
		return nil, err
	}
	o, err := a.StripeOptions(ctx, v.target)
	if err != nil {
		return nil, err
	}
	o.Rate, o.ResourceRate = c.Rate, c.Rate
	client, err := stripeapi.New(o)
	if err != nil {
		return nil, err
	}
	live, err := client.Livemode(ctx)
	if err != nil {
		return nil, err
	}
	if live != c.Live && !(v.target.Local && c.Live) { // the fake Stripe has both modes
		flag := map[bool]string{true: "add", false: "drop"}[live]
		return nil, verb.Hint(verb.Usage("the key for Stripe's API is one of %s mode: rows of %s mode cannot be compared with it", event.Mode(live), event.Mode(c.Live)),
			"%s --live, or give a key of %s mode", flag, event.Mode(c.Live))
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: v.reader})
	handlers.Register(mux)
	v.checker = &drift.Checker{Rows: mux, Items: v.reader, Livemode: c.Live, Recheck: c.Settle}
	return v, nil
}

// run compares all rows, prints the findings and returns the outcome for the audit trail.
func (v *verifier) run(ctx context.Context) (string, error) {
	progress := v.app.Counter("compared", "rows")
	err := v.walk(ctx, progress)
	progress.Done()
	v.app.Note(v.done, v.done.text())
	left := v.done.Drifted - v.done.Repaired
	switch {
	case err == nil && left > 0:
		err = verb.Hint(fmt.Errorf("%s from Stripe", verb.Plural(left, "row differs", "rows differ")), "%s", v.afterDrift())
	case err == nil && v.done.Failed > 0:
		err = verb.Hint(fmt.Errorf("%s could not be compared", verb.Plural(v.done.Failed, "row", "rows")), "run it again; may the key read these objects?")
	}
	return v.done.text(), err
}

// afterDrift is what to do about rows that differ.
func (v *verifier) afterDrift() string {
	if v.Repair {
		return "a repair cannot mend these: infra/README.md, \"Alarm: ledger-drift\", has what to do"
	}
	return "find the cause (infra/README.md, \"Alarm: ledger-drift\"), then write what Stripe shows: tollgate ledger verify --repair"
}

func (r Verified) text() string {
	return fmt.Sprintf("%s compared, %d differ from Stripe", verb.Plural(r.Checked, "row", "rows"), r.Drifted) +
		verb.Counts(", ", verb.Count(r.Repaired, "repaired"), verb.Count(r.Failed, "could not be fetched"),
			verb.Count(r.Revoked, "of accounts that have revoked access"), verb.Count(r.Unknown, "of a kind without a keeper"))
}

// walk compares batches until nothing is left. Wherever it stops, it prints a cursor.
func (v *verifier) walk(ctx context.Context, progress *verb.Progress) error {
	for {
		keys, next, err := v.page(ctx)
		if err != nil {
			return v.stopped(ctx, err)
		}
		for part := range slices.Chunk(keys, verifyBatch) {
			last := v.Limit > 0 && v.done.Checked+len(part) > v.Limit
			if last {
				part = part[:v.Limit-v.done.Checked]
			}
			if err := v.batch(ctx, part); err != nil {
				return v.stopped(ctx, err)
			}
			if len(part) > 0 {
				v.after = part[len(part)-1]
			}
			progress.Add(len(part))
			if last {
				return v.stopped(ctx, nil)
			}
		}
		if v.after = next; next == "" {
			return nil
		}
	}
}

// stopped prints where to continue.
func (v *verifier) stopped(ctx context.Context, err error) error {
	if v.after != "" && v.Customer == "" {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(v.after))
		v.app.Note(map[string]string{"cursor": cursor}, "there are more rows: continue with --after "+cursor)
	}
	return cmp.Or(ctx.Err(), err)
}

// page returns the next keys of the table that pass the filters, or all those of the customer.
func (v *verifier) page(ctx context.Context) (keys []string, next string, err error) {
	if v.Customer != "" {
		keys, err = v.customers(ctx)
		return keys, "", err
	}
	page, next, err := v.reader.Kept(ctx, v.after)
	if err != nil {
		return nil, "", err
	}
	scope := event.Mode(v.Live) + "#"
	if v.Account != "" {
		scope += v.Account + "#"
	}
	for _, k := range page {
		_, rest, _ := strings.Cut(k.Key, "#")
		if strings.HasPrefix(rest, scope) && !k.FetchedAt.Before(v.since) {
			keys = append(keys, k.Key)
		}
	}
	return keys, next, nil
}

func (v *verifier) customers(ctx context.Context) (keys []string, err error) {
	list, cursor := effect.CustomerList(event.Envelope{Livemode: v.Live, Account: v.Account}, v.Customer), ""
	for {
		page, next, err := v.reader.Listed(ctx, list, dynamostore.Listed{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, item := range page {
			key, _ := item["pk"].(string)
			if strings.HasPrefix(key, "OBJ#") || strings.HasPrefix(key, "ENT#") {
				keys = append(keys, key)
			}
			_, rows := effect.Named(item)
			for _, row := range rows {
				if key, _ := row.(string); !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
		if cursor = next; next == "" {
			return keys, nil
		}
	}
}

// batch compares rows, repairs those that differ if that was asked for, and prints them.
func (v *verifier) batch(ctx context.Context, keys []string) error {
	found, err := v.checker.Check(ctx, keys)
	if err != nil {
		if errors.Is(err, drift.ErrStripe) {
			err = verb.Hint(err, "is Stripe down, or may the key read these objects?")
		}
		return err
	}
	for _, f := range found {
		v.done.Checked++
		if f.Result == drift.Drifted && v.Repair {
			if f, err = v.checker.Repair(ctx, v.writer, f.Key); err != nil {
				return err
			}
		}
		v.count(f)
		if f.Result != drift.Same && f.Result != drift.Revoked && f.Result != drift.Unknown {
			v.print(f)
		}
	}
	return nil
}

func (v *verifier) count(f drift.Finding) {
	switch {
	case f.Result.Drift():
		v.done.Drifted++
	case f.Result == drift.Failed:
		v.done.Failed++
	case f.Result == drift.Revoked:
		v.done.Revoked++
	case f.Result == drift.Unknown:
		v.done.Unknown++
	}
	if f.Repaired {
		v.done.Repaired++
	}
}

func (v *verifier) print(f drift.Finding) {
	text := fmt.Sprintf("%s %s: %s", f.Key, verb.Dash(f.Kind), f.Result)
	if f.Repaired {
		text += ", repaired"
	}
	if f.Error != "" {
		text += ": " + verb.OneLine(f.Error)
	}
	for _, d := range f.Differences {
		if d.Field == drift.Missing {
			text += "\n  " + d.Item + " is missing"
			continue
		}
		text += fmt.Sprintf("\n  %s %s: %s, at Stripe %s", d.Item, d.Field, valueText(d.Kept), valueText(d.Stripe))
	}
	v.app.Line(f, text)
}

func valueText(value any) string {
	if value == nil {
		return "-"
	}
	return verb.Clip(fmt.Sprint(value), 200)
}
