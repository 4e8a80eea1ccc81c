package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/reconcile"
)

// Commands are the verbs for the result of reconcile's passes.
type Commands struct {
	Report Report `cmd:"" help:"Report times of the last days that no pass compared with Stripe's list."`
}

// MaxDays is how far back a report looks: Stripe lists events for 30 days.
const MaxDays = 29

// Report reports gaps in the coverage.
type Report struct {
	Days int `default:"3" help:"How many days to look back (1 to 29)."`
}

func (Report) Help() string {
	return `A period that no finished pass covers is a gap: an event of that period that was never delivered may be missing. Each account and mode that was compared, or is configured for reconcile, is checked separately. The exit code is 1 if there is a gap or if events could not be compared.

The history of an account begins with its first pass, or at the stack's option begin, and not before the from of its endpoint's policy. No pass compares older events: the report names that time, which is not a gap, and backfill compares it. An account excluded by its endpoint's policy has no gap: none of its events is sent.

  tollgate reconcile report --days 7
  tollgate backfill --since 48h`
}

// Gap is one line of the report as JSON.
type Gap struct {
	Kind    string    `json:"kind"` // gap, or faulty: events of it could not be compared
	Account string    `json:"account"`
	Mode    string    `json:"mode"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Errors  int       `json:"errors,omitempty"`

	Endpoint string `json:"endpoint,omitempty"` // of a time that is not compared
}

// View is the whole report as JSON.
type View struct {
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
	Whole    bool       `json:"whole"`
	Says     string     `json:"says"`
	Streams  []string   `json:"streams"`
	Gaps     []Gap      `json:"gaps"`
	Before   []Gap      `json:"not_compared_before"` // To is the last second that passes do not compare
	Excluded []Excluded `json:"excluded"`
	Broken   []string   `json:"broken_notes"` // keys of unreadable coverage items
}

// Excluded is an account that is not compared.
type Excluded struct {
	Account  string `json:"account"`
	Mode     string `json:"mode"`
	Endpoint string `json:"endpoint"`
	Reason   string `json:"reason"` // of its policy: livemode or account
}

// Run fails when there is a gap.
func (c *Report) Run(ctx context.Context, a *verb.App) error {
	v, err := c.Load(ctx, a)
	if err != nil {
		return err
	}
	v.print(a)
	if !v.Whole {
		return verb.Hint(errors.New(v.Says), "tollgate backfill --since %dh compares it now", min(24*c.Days, 24*MaxDays))
	}
	return nil
}

// Load reads the coverage of the last days.
func (c *Report) Load(ctx context.Context, a *verb.App) (v View, err error) {
	p, broken, err := c.Prove(ctx, a)
	if err != nil {
		return v, err
	}
	return c.View(p, broken), nil
}

// Prove reads the coverage of the last days, and the keys of its unreadable items.
func (c *Report) Prove(ctx context.Context, a *verb.App) (p reconcile.Proof, broken []string, err error) {
	if c.Days < 1 || c.Days > MaxDays {
		return p, nil, verb.Usage("--days is 1 to %d", MaxDays)
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return p, nil, err
	}
	now, l := time.Now(), t.Limits().Reconcile
	back := time.Duration(c.Days) * 24 * time.Hour
	// A window may begin before the time that it reaches into.
	notes, broken, err := reader.Covered(ctx, now.Add(-back-l.Frequent.Span-l.Frequent.Every-l.Slice), now)
	if err != nil {
		return p, nil, err
	}
	return reconcile.Prove(notes, l, now, back), broken, nil
}

func (c *Report) summary(p reconcile.Proof) string {
	switch {
	case len(p.Streams) == 0:
		return fmt.Sprintf("nothing of the last %d days was compared with Stripe's list: reconcile has not finished a pass", c.Days)
	case len(p.Streams) == len(p.Excluded):
		return "nothing is compared with Stripe's list: policies exclude every account"
	case len(p.Gaps) > 0:
		return fmt.Sprintf("%s in the last %d days", verb.Plural(len(p.Gaps), "gap", "gaps"), c.Days)
	case len(p.Faulty) > 0:
		return fmt.Sprintf("no gap in the last %d days, but %s events that could not be compared", c.Days, verb.Plural(len(p.Faulty), "slice has", "slices have"))
	}
	return fmt.Sprintf("no gap in the last %d days", c.Days)
}

func streamName(account string, live bool) string {
	return cmp.Or(account, "-") + " " + event.Mode(live)
}

// View returns the report of a proof.
func (c *Report) View(p reconcile.Proof, broken []string) View {
	v := View{
		From: p.From, To: p.To, Whole: p.Whole(), Says: c.summary(p), Streams: []string{}, Gaps: []Gap{},
		Before: []Gap{}, Excluded: []Excluded{}, Broken: append([]string{}, broken...),
	}
	for _, s := range p.Streams {
		v.Streams = append(v.Streams, streamName(s.Account, s.Livemode))
	}
	gap := func(kind string, g reconcile.Gap) Gap {
		return Gap{Kind: kind, Account: g.Account, Mode: event.Mode(g.Livemode), From: g.From, To: g.To}
	}
	for _, g := range p.Gaps {
		v.Gaps = append(v.Gaps, gap("gap", g))
	}
	for _, f := range p.Faulty {
		v.Gaps = append(v.Gaps, Gap{Kind: "faulty", Account: f.Account, Mode: event.Mode(f.Livemode), From: f.From, To: f.To, Errors: f.Errors})
	}
	for _, g := range p.Before {
		before := gap("before", g)
		before.Endpoint = g.Endpoint
		v.Before = append(v.Before, before)
	}
	for _, e := range p.Excluded {
		v.Excluded = append(v.Excluded, Excluded{e.Account, event.Mode(e.Livemode), e.Endpoint, e.Excluded})
	}
	return v
}

func (v View) print(a *verb.App) {
	for _, key := range v.Broken {
		fmt.Fprintf(a.Err, "the coverage item %s cannot be read\n", key)
	}
	if a.JSON {
		a.Object(v)
		return
	}
	if v.Whole {
		fmt.Fprintf(a.Out, "%s, from %s to %s.\n", v.Says, verb.LongTime(v.From), verb.LongTime(v.To))
	}
	for _, b := range v.Before {
		fmt.Fprintf(a.Out, "%s %s: not compared before %s, where its passes begin: tollgate backfill --since %s --until %s%s\n",
			cmp.Or(b.Account, "-"), b.Mode, verb.LongTime(b.To.Add(time.Second)), b.From.Format(time.RFC3339), b.To.Format(time.RFC3339), b.flags())
	}
	for _, e := range v.Excluded {
		fmt.Fprintf(a.Out, "%s %s: excluded by the policy of endpoint %s (%s): nothing of it is compared or sent\n", cmp.Or(e.Account, "-"), e.Mode, e.Endpoint, e.Reason)
	}
	if len(v.Gaps) == 0 {
		return
	}
	verb.List(a, v.Gaps, nil, "", "what|account|mode|from|to|for", func(g Gap) []string {
		return []string{g.Kind, cmp.Or(g.Account, "-"), g.Mode, verb.LongTime(g.From), verb.LongTime(g.To), g.To.Sub(g.From).Round(time.Second).String()}
	})
}

// flags are those of a backfill of the account.
func (g Gap) flags() (flags string) {
	if g.Account != "" {
		flags = " --account " + g.Account
	}
	if g.Endpoint != "" && g.Endpoint != "default" {
		flags += " --endpoint " + g.Endpoint
	}
	return flags
}
