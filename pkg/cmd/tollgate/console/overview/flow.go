package overview

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/console"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/pause"
)

// step is one of the flow, from left to right.
type step struct {
	Name, Link string
	Tone       string // warn or bad where somebody has to look
	Number     string
	Now        bool // a level of now, not a sum over the range
	Details    []detail
}

// detail is a line below a step's number.
type detail struct{ Number, Name string }

// names are what is paused or being resumed, everything first.
func names(s pause.State) []string {
	all := slices.Sorted(maps.Keys(s.Paused))
	all = append(all, slices.Sorted(maps.Keys(s.Resuming))...)
	for i, name := range all {
		if name == pause.All {
			all[i] = "everything"
		}
	}
	return all
}

// depth is how many messages the queues have now.
type depth struct {
	waiting, inFlight, dead, held, sendDead int // held are those of paused types
	sends                                   bool
	asked                                   int // queues
}

// flow returns the steps. What is not known is a dash.
func flow(d timeseries.Data, now depth, known bool, paused []string) []step {
	total := func(name string) float64 {
		if d.Series == nil { // the source has not answered
			return math.NaN()
		}
		values, _ := d.Of(name, timeseries.Sum) // none if nothing of it was counted yet
		return values.Total()
	}
	level := func(n int) string {
		if !known {
			return console.Number(math.NaN())
		}
		return console.Number(float64(n))
	}
	some := func(pairs ...any) (all []detail) { // of names and metrics, without what is 0
		for i := 0; i < len(pairs); i += 2 {
			if n := total(pairs[i+1].(string)); n > 0 {
				all = append(all, detail{Number: console.Number(n), Name: pairs[i].(string)})
			}
		}
		return all
	}
	steps := []step{
		{Name: "Received", Link: "/events", Number: console.Number(total(limits.MetricReceived)),
			Details: some("enqueued", limits.MetricEnqueued, "sent by reconcile", limits.MetricRequeued, "refused by API Gateway (429)", limits.MetricAPIThrottled)},
		{Name: "Rejected", Link: "/endpoint", Number: console.Number(total(limits.MetricRejected)), Details: byReason(d, limits.MetricRejected, rejectedBecause())},
		{Name: "Queued", Link: "/events", Now: true, Number: level(now.waiting), Details: oldest(d)},
		{Name: "In flight", Link: "/events?status=running", Now: true, Number: level(now.inFlight), Details: []detail{{Name: "or backing off"}}},
		{Name: "Done", Link: "/events?status=done", Number: console.Number(total(limits.MetricDone)), Details: some("duplicates", limits.MetricDuplicate, "excluded by a policy", limits.MetricPolicyIgnored)},
		{Name: "Failed attempts", Link: "/causes", Tone: tone(total(limits.MetricFailed) > 0, "warn"), Number: console.Number(total(limits.MetricFailed)),
			Details: some("wait for Stripe", limits.MetricWaiting, "table down", limits.MetricStoreDown, "throttled", limits.MetricThrottled, "no time left", limits.MetricNoTime, "of a newer release", limits.MetricNewer)},
		{Name: "Dead", Link: "/dead", Tone: tone(now.dead > 0, "bad"), Now: true, Number: level(now.dead), Details: byReason(d, limits.MetricDeadLettered, nil)},
	}
	if len(paused) > 0 || now.held > 0 {
		of := detail{Name: "of no paused type: resume moves them"}
		if len(paused) > 0 {
			of.Name = strings.Join(paused[:min(len(paused), maxDetails)], ", ")
		}
		steps = append(steps, step{Name: "Paused", Link: "/pause", Tone: "warn", Now: true, Number: level(now.held), Details: append([]detail{of}, some("moved to the hold queue", limits.MetricHeld)...)})
	}
	held, unsent := last(d, limits.MetricOutboxHeld), last(d, limits.MetricOutboxUnsent)
	mail := step{Name: "Held mail", Link: "/mail", Tone: tone(held > 0, "warn"), Now: true, Number: console.Number(held), Details: some("sent", limits.MetricOutboxSent, "not sent", limits.MetricOutboxFailed)}
	if unsent > 0 {
		mail.Details = append(mail.Details, detail{Number: console.Number(unsent), Name: "wait to be sent"})
	}
	steps = append(steps, mail)
	if now.sends {
		steps = append(steps, step{Name: "Sent on", Link: "/deliveries", Tone: tone(now.sendDead > 0, "bad"), Number: console.Number(total(limits.MetricDelivered)),
			Details: append(some("attempts failed", limits.MetricDeliveryFailed), detail{level(now.sendDead), "dead now"})})
	}
	return steps
}

func tone(is bool, word string) string {
	if is {
		return word
	}
	return ""
}

func last(d timeseries.Data, name string) float64 {
	values, _ := d.Of(name, timeseries.Max)
	return values.Last()
}

// maxDetails bounds the lines below a number.
const maxDetails = 4

// byReason returns a metric's sums by reason, in words where there are some.
func byReason(d timeseries.Data, name string, words map[string]string) (all []detail) {
	for _, s := range d.By(name, limits.DimensionReason, maxDetails) {
		all = append(all, detail{Number: console.Number(s.Values.Total()), Name: cmp.Or(words[s.Of], s.Of)})
	}
	return all
}

func oldest(d timeseries.Data) []detail {
	seconds := last(d, timeseries.LevelOldest)
	if math.IsNaN(seconds) || seconds < 1 {
		return nil
	}
	return []detail{{Name: "oldest " + console.Duration(time.Duration(seconds)*time.Second)}}
}

// rejectedBecause are ingest's reasons in words.
func rejectedBecause() map[string]string {
	return map[string]string{
		"missing": "without a signature", "malformed": "with a broken signature header", limits.ReasonNoMatch: "whose signature matches no secret",
		"too_old": "with an old signature", "future": "signed ahead of the clock", "not_event": "signed, but no event", "endpoint": "to an unknown endpoint",
		"method": "not a POST", "source": "from an address that may not deliver", "too_large": "too large", "media_type": "not JSON",
	}
}
