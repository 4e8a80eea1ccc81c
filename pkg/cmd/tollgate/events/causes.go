package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/causes"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
)

// Causes groups the events that fail.
type Causes struct {
	Fingerprint string `arg:"" optional:"" help:"Show this cause in full: the fingerprint that the list shows."`
	Type        string `help:"Events of this type, or of a pattern such as invoice.*" placeholder:"TYPE"`
	Records     bool   `help:"Read records only. Reading the dead-letter queue hides its messages for up to two minutes."`
	WaitHidden  bool   `name:"wait-hidden" help:"First wait for dead letters that another reader hides, up to twice the time for which this command hides one."`
	MaxRead     int    `default:"10000" help:"Records read at most, and as many dead letters (8 to 100000)."`
}

func (Causes) Help() string {
	return `The events that fail now, before and after they are dead letters, grouped by event type and error; numbers, ids and quoted text in errors are ignored. Records tell most of it: how many events, since when, how many attempts are left, when the next ones come, and where an attempt failed. Dead letters add messages without a record, such as parked ones. An event counts once for each cause.

"since" is the first failure that its records show: they keep the last ten since an event was last done. An attempt that was killed at an event's first receive is in no record. Alarm and section name what infra/README.md says about it.

Messages that another reader hides cannot be read: they are counted, and the command then exits 1. With --json the last object, on stderr, has what was read: {"read":…,"more":…,"letters":…}.

  tollgate causes
  tollgate causes --type 'invoice.*' --records
  tollgate causes 0a1b2c3d4e5f`
}

// CausesReport is the causes of the events that fail now.
type CausesReport struct {
	Causes  []causes.Cause
	Read    int      // records
	More    bool     // there may be records that were not read
	Letters *Letters // nil: the dead-letter queue was not asked
	Target  verb.Target
}

// Letters is what was read of the dead-letter queue.
type Letters struct {
	Read    int    `json:"read"`
	Hidden  int    `json:"hidden"`  // by another reader, and not read
	More    bool   `json:"more"`    // there may be some that were not read
	Certain bool   `json:"certain"` // all were read
	Error   string `json:"error,omitempty"`

	Err error `json:"-"` // of the read; the causes are then those of the records
}

// Load reads records that are not done and, unless the command says otherwise, the dead-letter
// queue, under its lock. A queue that cannot be read does not fail the report.
func (c Causes) Load(ctx context.Context, a *verb.App) (r CausesReport, err error) {
	if err := cmp.Or(checkList(1, c.MaxRead, c.Type), verb.Between("--max-read", c.MaxRead, idempotency.Shards, redrive.MaxMessages)); err != nil {
		return r, err
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return r, err
	}
	r.Target = t
	groups := causes.New(time.Now(), t.Limits())
	page, err := reader.List(ctx, dynamostore.ListRequest{Status: dynamostore.Failed, Type: c.Type, Limit: c.MaxRead, MaxRead: c.MaxRead})
	if err != nil {
		return r, err
	}
	for _, record := range page.Records {
		groups.AddRecord(record)
	}
	r.Read, r.More = page.Read, page.Cursor != ""
	if !c.Records {
		r.Letters = c.letters(ctx, a, t, reader, groups)
	}
	for _, cause := range groups.Sorted() {
		if c.Fingerprint == "" || c.Fingerprint == cause.Fingerprint {
			r.Causes = append(r.Causes, cause)
		}
	}
	return r, nil
}

func (c Causes) letters(ctx context.Context, a *verb.App, t verb.Target, records redrive.Records, groups *causes.Groups) *Letters {
	dlq, err := a.DeadLetters(t, records, "causes")
	if err != nil {
		return &Letters{Err: err, Error: err.Error()}
	}
	p, err := dlq.Plan(ctx, redrive.Selection{
		Filter: redrive.Filter{Type: c.Type}, MaxRead: c.MaxRead, WaitHidden: c.WaitHidden,
		Each: func(d redrive.DeadLetter, _ []byte) (bool, error) {
			groups.AddLetter(d)
			return true, nil
		},
	})
	if err != nil {
		return &Letters{Err: verb.Locked(err), Error: err.Error()}
	}
	return &Letters{Read: p.Read, Hidden: p.Hidden, More: p.More, Certain: p.Certain}
}

// Run lists causes, or shows one. No cause is not a failure.
func (c *Causes) Run(ctx context.Context, a *verb.App) error {
	r, err := c.Load(ctx, a)
	if err != nil {
		return err
	}
	if c.Fingerprint == "" || a.JSON {
		printCauses(a, r.Causes, "No event fails.")
	} else {
		for _, cause := range r.Causes {
			showCause(a, cause)
		}
	}
	note := "the dead-letter queue was not read"
	if r.Letters != nil {
		note = verb.Plural(r.Letters.Read, "dead letter", "dead letters") + " read"
	}
	if r.More {
		note += "; there may be more records (--max-read)"
	}
	if r.Letters != nil && !r.Letters.Certain {
		note += "; there may be more dead letters"
	}
	a.Note(map[string]any{"read": r.Read, "more": r.More, "letters": r.Letters}, verb.Plural(r.Read, "record", "records")+" and "+note)
	switch l := r.Letters; {
	case l != nil && l.Err != nil:
		return l.Err
	case l != nil && l.Hidden > 0:
		return verb.Hint(fmt.Errorf("%s hidden by another reader and left out", verb.Plural(l.Hidden, "dead letter is", "dead letters are")), "--wait-hidden waits for them")
	case c.Fingerprint != "" && len(r.Causes) == 0:
		return verb.Hint(errors.New("no event fails with fingerprint "+c.Fingerprint), "tollgate causes lists the causes; an error whose text or event type changed has another fingerprint")
	}
	return nil
}

func printCauses(a *verb.App, list []causes.Cause, none string) {
	now := time.Now()
	span := func(from, to time.Time) string {
		first, last := verb.ShortTime(from, now), verb.ShortTime(to, now)
		if first == last {
			return first
		}
		return first + " – " + last
	}
	verb.List(a, list, func(c causes.Cause) any { return c }, none,
		"events|dead|type|first seen – last seen|attempts left|next attempts|fingerprint|newest event|alarm|error", func(c causes.Cause) []string {
			return []string{
				fmt.Sprint(c.Events), fmt.Sprint(c.Dead), verb.Dash(verb.Clip(c.Type, 36)), span(c.First, c.Last), leftText(c), span(c.NextFirst, c.NextLast),
				c.Fingerprint, verb.Dash(c.EventID), c.Alarm, c.What(),
			}
		})
}

func leftText(c causes.Cause) string {
	switch {
	case c.Retrying == 0:
		return "-"
	case c.LeftMin == c.LeftMax:
		return fmt.Sprint(c.LeftMin)
	default:
		return fmt.Sprintf("%d – %d", c.LeftMin, c.LeftMax)
	}
}

func showCause(a *verb.App, c causes.Cause) {
	lines := [][2]string{
		{"type", verb.Dash(c.Type)}, {"fingerprint", c.Fingerprint}, {"reason", verb.Dash(c.Reason)}, {"error", c.What()}, {"frame", verb.Dash(c.Frame)},
		{"events", fmt.Sprintf("%d: %d retrying, %d dead", c.Events, c.Retrying, c.Dead)},
		{"dead letters", fmt.Sprintf("%d read, %d of them of events that are done", c.Letters, c.Leftovers)},
		{"first seen", verb.LongTime(c.First)}, {"last seen", verb.LongTime(c.Last)},
		{"attempts left", leftText(c)}, {"next attempt", verb.LongTime(c.NextFirst)}, {"of the last", verb.LongTime(c.NextLast)},
		{"newest event", verb.Dash(c.EventID)}, {"alarm", c.Alarm}, {"what to do", c.Section},
	}
	if c.Dead+c.Leftovers > 0 {
		lines = append(lines, [2]string{"after the fix", "tollgate redrive --error " + c.Fingerprint + ` --canary 5 --wait --note "…"`})
	}
	a.Fields(lines)
	fmt.Fprintf(a.Out, "events, the newest first, at most %d:\n  %s\n", causes.MaxIDs, verb.OneLine(strings.Join(c.IDs, " ")))
}

// groups returns the causes of a list's records.
func groups(records []idempotency.Record, l limits.Limits) []causes.Cause {
	g := causes.New(time.Now(), l)
	for _, r := range records {
		g.AddRecord(r)
	}
	return g.Sorted()
}
