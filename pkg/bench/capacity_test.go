package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
)

// Assumptions of the capacity table, which are written over it.
const (
	peakFactor = 20                     // the busiest minute, in means of the month
	eachEvent  = 400 * time.Millisecond // an event with a request to Stripe, or a delivery's answer
	listedPage = 100                    // events of a page of Stripe's list, its maximum
)

// AWS's numbers.
const (
	inFlight     = 120_000 // received messages of a standard queue
	newTable     = 4000    // write units a second of a new on-demand table
	keyWriteUnit = 1000    // write units a second of one key of a table or index
)

// bound is one limit of a system: how many events a second it carries, at the peak or in the mean.
type bound struct {
	name    string
	carries float64
	mean    bool
	beyond  string
	raise   string
}

func bounds(t *testing.T) []bound {
	l := limits.AWS()
	r := l.Reconcile
	all, err := destination.Parse(`{"d":{"type":"http","url":"https://example.com","secret":"s","messages":["*"]}}`, destination.Deployed)
	if err != nil {
		t.Fatal(err)
	}
	perSecond := 1 / eachEvent.Seconds()
	d := all["d"]
	return []bound{
		{"Stripe's reads of one resource of one account, if every event is fetched", float64(l.StripeRate), false,
			"events wait, and are dead letters after eight hours of refusals", "ask Stripe, then `stripe-rate`; connected accounts have limits of their own"},
		{"writes of a new table, all `invoice.paid`", newTable / guards()["invoice.paid"][writeUnits], false,
			"writes are throttled and tried again; DynamoDB doubles what the table takes", "before the first peak: `aws dynamodb update-table --warm-throughput`"},
		{"API throttle", throttle(t), false, "429, and Stripe retries", "`ReservedIngest`, and the account's concurrency"},
		{"consumers", float64(l.MaxConcurrency*l.BatchConcurrency) * perSecond, false, "events wait in the queue, for four days", "`MaxConcurrency` and `ReservedConsumer`"},
		{"deliveries to one destination, one an event", min(float64(d.Rate), float64(d.Concurrency)*perSecond), false,
			"deliveries wait, for ten days", "its `rate` and `concurrency`"},
		{"lists of unsent messages, one an event", float64(dispatch.OutboxShards) * keyWriteUnit / 2, false, "commits are throttled and tried again", "`OutboxShards`, readers first"},
		{"messages in flight, if all events of an hour fail", inFlight / time.Hour.Seconds(), true, "the queue gives out nothing until back-offs end", "a quota of SQS"},
		{"a nightly pass of reconcile", float64(r.ListRate*listedPage) * r.StopAfter.Seconds() / r.Nightly.Span.Seconds(), true,
			"the quarter-hourly passes compare the rest, to " + rest() + " a month", "`ListRate`"},
	}
}

// rest is the volume from which reconcile does not compare all events in time, as measured by
// BenchmarkReconcileCost of pkg/dynamostore: an event is listed by 18 passes.
func rest() string {
	r := limits.AWS().Reconcile
	const listed = 18
	perSecond := float64(r.ListRate*listedPage) * float64(r.StopAfter) / float64(r.Frequent.Every) / listed
	return fmt.Sprintf("%.0f M", perSecond*month.Seconds()/1e6)
}

// throttle is what the stage's template lets through in a second.
func throttle(t *testing.T) float64 {
	raw, err := os.ReadFile("../../infra/testdata/tollgate-live.json")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources struct {
			APIStage struct {
				Properties struct {
					DefaultRouteSettings struct{ ThrottlingRateLimit float64 }
				}
			} `json:"ApiStage"`
		}
	}
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	return template.Resources.APIStage.Properties.DefaultRouteSettings.ThrottlingRateLimit
}

// TestCapacity: the table of infra/COST.md has the numbers of the code. make cost writes it.
func TestCapacity(t *testing.T) {
	volumes := []float64{10e3, 1e6, 100e6}
	all := bounds(t)
	used := func(b bound, volume float64) float64 {
		rate := volume / month.Seconds()
		if !b.mean {
			rate *= peakFactor
		}
		return rate / b.carries
	}
	var out strings.Builder
	fmt.Fprintf(&out, "\nThe busiest minute has %d times the month's mean: ", peakFactor)
	for _, v := range volumes {
		fmt.Fprintf(&out, "%.3g events a second at %s, ", peakFactor*v/month.Seconds(), count(v))
	}
	fmt.Fprintf(&out, "as when Stripe bills many subscriptions at once. An event with a request to Stripe takes %.1f s, and so does a destination's answer.\n\n", eachEvent.Seconds())
	fmt.Fprintf(&out, "| limit | carries a second | used at %s | at %s | at %s | beyond it | raise |\n|---|---|---|---|---|---|---|\n", count(volumes[0]), count(volumes[1]), count(volumes[2]))
	for _, b := range all {
		kind := ""
		if b.mean {
			kind = ", in the mean"
		}
		fmt.Fprintf(&out, "| %s | %.*f%s |", b.name, decimals(b.carries), b.carries, kind)
		for _, v := range volumes {
			most := true
			for _, other := range all {
				most = most && used(b, v) >= used(other, v)
			}
			fmt.Fprintf(&out, " %s |", share(used(b, v), most))
			if v < volumes[2] && used(b, v) >= 1 {
				t.Errorf("the text under the table says that %s needs nothing raised; of %q it uses %.1f", count(v), b.name, used(b, v))
			}
		}
		fmt.Fprintf(&out, " %s | %s |\n", b.beyond, b.raise)
	}
	const readme, begin, end = "../../infra/COST.md", "<!-- capacity -->\n", "<!-- end of capacity -->"
	if *document != "" {
		if err := Publish("../../"+*document, "capacity", out.String()); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(doc, []byte(begin+out.String()+end)) {
		t.Errorf("%s has other numbers; make cost ARGS=\"-document infra/COST.md\" writes:\n%s", readme, out.String())
	}
}

func decimals(n float64) int {
	if n < 10 {
		return 1
	}
	return 0
}

func count(volume float64) string {
	if volume < 1e6 {
		return fmt.Sprintf("%.0f k", volume/1e3)
	}
	return fmt.Sprintf("%.0f M", volume/1e6)
}

// share formats a part of a limit, bold if it is the first that is met.
func share(part float64, first bool) string {
	text := fmt.Sprintf("%.2g %%", 100*part)
	if part >= 0.995 {
		text = fmt.Sprintf("%.0f %%", 100*part)
	}
	if first {
		text = "**" + text + "**"
	}
	return text
}
