package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

var document = flag.String("document", "", "write the tables between the markers of this file, a path in the repository")

// later marks an event of an object that the table has in another state.
const later = " later"

// guards are the most that an event may cost, in a batch of ten and at the first receive, with
// the message that it sends. None depends on a machine. A change that needs more says here why.
func guards() map[string]counts {
	return map[string]counts{
		Ignored:                                 {sqsRequests: 1.2, writeUnits: 1},                // done at once
		"payment_intent.succeeded":              {sqsRequests: 1.2, writeUnits: 10},               // fact, message; its mark when sent
		"invoice.paid":                          {sqsRequests: 1.2, writeUnits: 12, readUnits: 1}, // row too, which is read
		"customer.subscription.updated":         {sqsRequests: 1.2, writeUnits: 12, readUnits: 1}, // row, entitlement, the welcome if it is the first
		"customer.subscription.updated" + later: {sqsRequests: 1.2, writeUnits: 7, readUnits: 1},  // row and entitlement
	}
}

const each = 10 // events of a run

// TestCost counts what AWS bills for an event of each type, and fails where that grew. make
// cost prints the tables. The race detector changes no count but slows the test down, so CI runs
// it once more without it.
func TestCost(t *testing.T) {
	if raced {
		t.Skip("counts the same as without the race detector")
	}
	var out strings.Builder
	fmt.Fprintf(&out, "\nPrices of us-east-1 as of %s, without a free tier, in US dollars for a million events of 3 KB:\n\n", priced)
	fmt.Fprintln(&out, "| event | batch | API | SQS | Lambda | DynamoDB | logs | **sum** | at 1 % failures | SQS requests | write units | read units | log bytes |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	p := newPlant(t)
	idle := p.task("outbox")
	guards := guards()
	for _, typ := range slices.Sorted(maps.Keys(guards)) {
		for _, batch := range []int{10, 1} {
			good := p.event(typ, batch, false, idle)
			for range 2 { // a slow machine may repeat a request
				if batch == 10 && good[writeUnits] > guards[typ][writeUnits] {
					good = p.event(typ, batch, false, idle)
				}
			}
			failed := p.event(typ, batch, true, idle)
			some := good.times(0.99)
			some.add(failed, 0.01)
			row(&out, typ, batch, good, some)
			if batch == 10 {
				guard(t, typ, good, guards[typ])
			}
		}
	}
	p.delivering(&out, idle)
	p.monthly(&out, idle)
	t.Log(out.String())
	if *document != "" {
		p.check(Publish("../../"+*document, "cost", out.String()))
	}
}

func guard(t *testing.T, typ string, got, most counts) {
	t.Helper()
	for _, name := range []string{sqsRequests, writeUnits, readUnits} {
		if got[name] > most[name] {
			t.Errorf("%s: %v %s an event, at most %v", typ, got[name], name, most[name])
		} else if got[name] < most[name] {
			t.Errorf("%s: %v %s an event: lower its limit of %v", typ, got[name], name, most[name])
		}
	}
}

// event is one event's share of a run with the messages that it left in the outbox. An idle run
// of the outbox is counted by the month.
func (p *plant) event(name string, batch int, fail bool, idle counts) counts {
	typ, known := strings.CutSuffix(name, later)
	created := time.Now() // of an object too, which never changes
	if known {
		p.events(typ, created, each, each, false)
		p.drain(idle)
		p.sent -= each // the same objects
		p.change = func(body []byte) []byte {
			body = bytes.Replace(body, []byte(`"evt_1`), []byte(`"evt_2`), 1)
			return bytes.Replace(body, []byte(`"cancel_at_period_end": false`), []byte(`"cancel_at_period_end": true`), 1)
		}
		defer func() { p.change = nil }()
	}
	sum := p.events(typ, created, each, batch, fail)
	sum.add(p.drain(idle), 1)
	delete(sum, secretCalls) // of a cache's time, not of an event
	delete(sum, pauseReads)
	for name := range sum {
		sum[name] /= each
	}
	return sum
}

// drain runs the outbox until it is empty, as a run on a slow machine may leave messages, and
// returns what it wrote and logged beyond idle runs. It reads as an idle one does.
func (p *plant) drain(idle counts) counts {
	sum := counts{}
	for {
		sent := p.task("outbox")
		if sent[writeUnits] == 0 {
			return sum
		}
		for _, name := range []string{writeUnits, logBytes} {
			sum[name] += max(0, sent[name]-idle[name])
		}
	}
}

func row(out *strings.Builder, typ string, batch int, c, some counts) {
	million := c.times(1e6)
	part := func(names ...string) float64 {
		some := counts{}
		for _, name := range names {
			some[name] = million[name]
		}
		return some.dollars()
	}
	label := "`" + strings.Replace(typ, later, "`, later", 1) + "`"
	switch {
	case typ == Ignored:
		label = "ignored"
	case strings.HasSuffix(typ, later):
		label = strings.TrimSuffix(label, "`")
	}
	fmt.Fprintf(out, "| %s | %d | %.2f | %.2f | %.2f | %.2f | %.2f | **%.2f** | %.2f | %.1f | %.1f | %.1f | %.0f |\n", label, batch,
		part(apiRequests), part(sqsRequests), part(invocations, computeTime), part(writeUnits, readUnits), part(logBytes),
		million.dollars(), some.times(1e6).dollars(), c[sqsRequests], c[writeUnits], c[readUnits], c[logBytes])
}

// monthly prints what depends on time: reconcile, storage, and what is fixed.
func (p *plant) monthly(out *strings.Builder, idle counts) {
	perEvent, perMonth := p.reconciling()
	runs := month.Minutes() / limits.AWS().Reconcile.OutboxEvery.Minutes()
	perMonth.add(idle, runs)
	delete(perMonth, secretCalls)
	expiring, kept := p.storedBy("invoice.paid")
	gb := 1e6 * (expiring*min(12, limits.AWS().RecordTTL.Hours()/month.Hours()) + kept*12) / 1e9
	fmt.Fprintf(out, "\nReconcile adds %.2f for a million events: %.1f read units each.\n", perEvent.times(1e6).dollars(), perEvent[readUnits])
	fmt.Fprintf(out, "After 12 months of a million `invoice.paid` a month the table holds %.1f GB: %.2f a month, and %.2f for point-in-time recovery.\n",
		gb, counts{storageMonths: gb}.dollars(), counts{backupMonths: gb}.dollars())
	fixed := p.fixed()
	fmt.Fprintf(out, "\nFixed, each month: idle runs of reconcile and the outbox %.2f, ", perMonth.dollars())
	sum := perMonth.dollars()
	for _, name := range slices.Sorted(maps.Keys(fixed)) {
		d := counts{name: fixed[name]}.dollars()
		sum += d
		fmt.Fprintf(out, "%.0f %s %.2f, ", fixed[name], name, d)
	}
	fmt.Fprintf(out, "in all %.2f.\n", sum)
}

const month = 730 * time.Hour

// reconciling returns what one event costs while reconcile lists it, and what the passes cost in
// a month without events. Each tier lists an event in span ÷ every passes, of which the first
// may read more than the others. Writes are by slice, not by event.
func (p *plant) reconciling() (event, monthly counts) {
	quiet := newPlant(p.t)
	l := limits.AWS().Reconcile
	tiers := []struct {
		task string
		tier limits.Tier
	}{{"quarter", l.Frequent}, {"nightly", l.Nightly}, {"weekly", l.Weekly}}
	monthly, event = counts{}, counts{}
	without := map[string]float64{}
	quiet.task("quarter")         // notes the start of history
	for _, t := range tiers[:2] { // the weekly pass is too rare to matter, and leaves slices to the others
		c := quiet.task(t.task)
		without[t.task] = c[readUnits]
		monthly.add(c, month.Hours()/t.tier.Every.Hours())
	}
	quiet.task("quarter") // notes the time since, so that no later pass does
	const listed = 100
	now := time.Now()
	for i := range listed { // within the shortest span, so that every pass lists all
		quiet.events("payment_intent.succeeded", now.Add(-10*time.Second-time.Duration(i)*300*time.Millisecond), 1, 1, false)
	}
	for _, t := range tiers {
		first, later := quiet.task(t.task), quiet.task(t.task)
		passes := t.tier.Span.Hours() / t.tier.Every.Hours()
		event[readUnits] += (first[readUnits] - without[t.task] + (passes-1)*(later[readUnits]-without[t.task])) / listed
	}
	return event, monthly
}

// storedBy returns the bytes that one event leaves in the table: of its record, which expires,
// and of what is kept.
func (p *plant) storedBy(typ string) (expiring, kept float64) {
	e, k := p.stored()
	p.events(typ, time.Now(), each, each, false)
	expiring, kept = p.stored()
	return (expiring - e) / each, (kept - k) / each
}

// fixed counts what a stage has in the golden template and what a healthy one logs.
func (p *plant) fixed() counts {
	c := p.deployed("live")
	c.add(counts{metrics: p.customMetrics(), sqsRequests: pollerRequests}, 1)
	return c
}

// pollerRequests are those of the five pollers of an idle queue with waits of 20 s.
const pollerRequests = 5 * 3 * float64(month/time.Minute)

// deployed counts what the resources of a stage's golden template cost each month.
func (p *plant) deployed(stage string) counts {
	c := counts{}
	for _, r := range p.template(stage).Resources {
		switch r.Type {
		case "AWS::DynamoDB::Table":
			c[pauseReads] += 10 * month.Seconds() / limits.AWS().PauseAge.Seconds() // ten processes of the consumer that never rest
		case "AWS::SecretsManager::Secret":
			c[secretsKept]++
			c[secretCalls] += 10 * month.Minutes() / limits.AWS().SecretTTL.Minutes() / 2 // ten warm processes, each reads one of the two
		case "AWS::CloudWatch::Alarm":
			n := 0.0
			for _, m := range r.Properties.Metrics {
				if m.MetricStat != nil {
					n++
				}
			}
			c[alarmMetrics] += max(1, n)
		case "AWS::CloudWatch::CompositeAlarm":
			c[composites]++
		}
	}
	return c
}

// template is the golden template's part that costs.
type template struct {
	Resources map[string]struct {
		Type       string
		Properties struct {
			Metrics           []struct{ MetricStat any }
			AccessLogSettings struct{ Format string }
		}
	}
}

func (p *plant) template(stage string) (t template) {
	raw, err := os.ReadFile("../../infra/testdata/tollgate-" + stage + ".json")
	p.check(err)
	p.check(json.Unmarshal(raw, &t))
	return t
}

func (t template) accessLog() string {
	for _, r := range t.Resources {
		if r.Type == "AWS::ApiGatewayV2::Stage" {
			return r.Properties.AccessLogSettings.Format
		}
	}
	return ""
}

// accessLine fills in the values of an accepted delivery.
func accessLine(format string) string {
	return os.Expand(strings.ReplaceAll(format, ".", "_"), func(name string) string {
		switch name {
		case "context_requestTimeEpoch":
			return "1795892400723"
		case "context_requestId":
			return "JKJaXmPLvHcESHA="
		case "context_routeKey":
			return "POST /webhooks/stripe"
		case "context_status", "context_integration_status", "context_integration_integrationStatus":
			return "200"
		case "context_responseLatency":
			return "25"
		case "context_identity_sourceIp":
			return "54.187.216.72"
		case "context_integration_requestId":
			return "8e2f0a51-7c2b-4f0a-9d3e-3b1f6f0c2d11"
		}
		return "-" // as of what did not happen
	})
}

// customMetrics counts the metrics that the functions logged so far.
func (p *plant) customMetrics() float64 {
	raw, err := os.ReadFile(p.log.Name())
	p.check(err)
	seen := map[string]bool{}
	for line := range bytes.Lines(raw) {
		var l struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		if json.Unmarshal(line, &l) != nil {
			continue
		}
		for _, d := range l.AWS.CloudWatchMetrics {
			for _, m := range d.Metrics {
				for _, dimensions := range d.Dimensions {
					seen[m.Name+fmt.Sprint(dimensions)] = true
				}
			}
		}
	}
	return float64(len(seen))
}
