package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

// volume is a stage of so many events a month, at even intervals, and its table. One of a
// hundred events fails and is done after two hours. An event of the list stands for many; its
// requests and units count as theirs. A list takes its time by the rate, and a read of the
// table none.
type volume struct {
	Client
	began, now time.Time
	gap        time.Duration
	each       float64 // events that one stands for
	rate       float64 // list requests a second, of 100 events

	notes                 map[string]map[string]item // by list and key
	reads, writes, listed float64
	busy                  time.Duration
}

const month = 30 * 24 * time.Hour

func newVolume(events, rate float64) *volume {
	const many = 10_000 // that the test's month has
	began := time.Date(2026, 10, 4, 0, 0, 0, 0, time.UTC)
	return &volume{began: began, now: began, gap: month / many, each: events / many, rate: rate, notes: map[string]map[string]item{}}
}

func (v *volume) id(n int64) string { return fmt.Sprintf("evt_%020d", n) }

func (v *volume) created(n int64) int64 { return v.began.Add(time.Duration(n) * v.gap).Unix() }

func (v *volume) open(n int64) bool {
	return n%100 == 0 && v.now.Before(time.Unix(v.created(n), 0).Add(2*time.Hour))
}

func (v *volume) event(n int64) event.Envelope {
	return event.Envelope{ID: v.id(n), Object: event.ObjectSnapshot, Type: "invoice.paid", Created: v.created(n), ObjectID: "in_1", Body: []byte("{}")}
}

func (v *volume) record(n int64) item {
	row := item{
		"pk": str(idempotency.Key(v.id(n))), "st": str("DONE"), "ident": str(idempotency.Identity(v.event(n))),
		"created": num(v.created(n)), "upd": num(1000 * v.created(n)),
	}
	if v.open(n) {
		row["st"], row["upd"], row["rc_left"], row["open"] = str("FAILED"), millis(v.now), num(5), str(idempotency.Shard(v.id(n)))
	}
	return row
}

func (v *volume) Livemode(context.Context) (bool, error) { return true, nil }

// ListEvents returns pages that stand for 100 events at least, and takes as long as they do.
func (v *volume) ListEvents(_ context.Context, q reconcile.Query) (p reconcile.Page, err error) {
	n := int64(math.Floor(float64(q.To.Sub(v.began)) / float64(v.gap)))
	if q.After != "" {
		if _, err := fmt.Sscanf(q.After, "evt_%d", &n); err != nil {
			return p, err
		}
		n--
	}
	for ; v.created(n) > q.To.Unix(); n-- {
	}
	for most := max(1, int(100/v.each)); len(p.Items) < most && v.created(n) >= q.From.Unix(); n-- {
		p.Items = append(p.Items, reconcile.Item{Event: v.event(n), Position: len(p.Items)})
		p.Last = v.id(n)
	}
	p.More = v.created(n) >= q.From.Unix()
	events := v.each * float64(len(p.Items))
	v.listed += events
	took := time.Duration(max(1, math.Ceil(events/100)) / v.rate * float64(time.Second))
	v.now, v.busy = v.now.Add(took), v.busy+took
	return p, nil
}

func (v *volume) Send(context.Context, event.Envelope, string) error {
	return errors.New("nothing is missing")
}
func (v *volume) Depth(context.Context) (int, error) { return 0, nil }

func (v *volume) Begins(context.Context) (map[reconcile.Stream]time.Time, error) {
	return map[reconcile.Stream]time.Time{{Livemode: true}: v.began.Add(-60 * 24 * time.Hour)}, nil
}
func (v *volume) Oldest(context.Context, []reconcile.Stream, time.Time, time.Time) (map[reconcile.Stream]time.Time, error) {
	return nil, errors.New("the begin is known")
}
func (v *volume) PutBegin(context.Context, reconcile.Stream, time.Time) (time.Time, error) {
	return time.Time{}, errors.New("the begin is known")
}

func (v *volume) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	ask := in.RequestItems["t"]
	units := 0.5
	if aws.ToBool(ask.ConsistentRead) {
		units = 1
	}
	for _, key := range ask.Keys {
		var n int64
		a := attributeReader{item: key}
		if _, err := fmt.Sscanf(a.str("pk"), idempotency.KeyPrefix+"evt_%d", &n); err != nil {
			return nil, err
		}
		v.reads += v.each * units
		out.Responses["t"] = append(out.Responses["t"], v.record(n))
	}
	return out, nil
}

// PutItem stores a note, and its copy in the index.
func (v *volume) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	a := attributeReader{item: in.Item}
	lst, pk := a.str("lst"), a.str("pk")
	if v.notes[lst] == nil {
		v.notes[lst] = map[string]item{}
	}
	v.notes[lst][pk] = in.Item
	v.writes += 2 * math.Ceil(float64(sizeOf(in.Item))/1024)
	return &dynamodb.PutItemOutput{}, nil
}

func (v *volume) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	var rows []item
	times := 1.0
	values := attributeReader{item: in.ExpressionAttributeValues}
	if shard := values.str(":shard"); shard != "" {
		times = v.each
		for n := int64(v.now.Sub(v.began) / v.gap); v.created(n) > v.now.Add(-3*time.Hour).Unix(); n-- {
			if v.open(n) && idempotency.Shard(v.id(n)) == shard {
				rows = append(rows, v.record(n))
			}
		}
	}
	for _, row := range v.notes[values.str(":lst")] {
		a := attributeReader{item: row}
		if at := a.str("at"); at >= values.str(":from") && at <= cmp.Or(values.str(":to"), "~") {
			rows = append(rows, row)
		}
	}
	size := 0
	for _, row := range rows {
		size += sizeOf(row)
	}
	v.reads += 0.5 * max(1, math.Ceil(times*float64(size)/4096))
	return &dynamodb.QueryOutput{Items: rows}, nil
}

// pass runs a tier as a process of its own that begins at a time.
func (v *volume) pass(t testing.TB, r *reconcile.Reconciler, tier string, at time.Time) reconcile.Report {
	t.Helper()
	v.now = at
	report, err := r.Run(t.Context(), tier)
	if err != nil || report.Requeued() > 0 || report.Mismatched > 0 {
		t.Fatalf("%s at %v: %+v, %v", tier, at, report, err)
	}
	return report
}

// oldest is how long ago a slice of a tier was compared, or ended without being compared.
func (v *volume) oldest(t testing.TB, s *Store, tier reconcile.Tier, now time.Time) (age time.Duration) {
	t.Helper()
	notes, _, err := s.Covered(t.Context(), now.Add(-tier.Span), now)
	check(t, err)
	newest := map[time.Time]time.Time{}
	for _, n := range notes {
		if n.Tier == tier.Name && n.DoneAt.After(newest[n.From]) {
			newest[n.From] = n.DoneAt
		}
	}
	for at := now.Add(-tier.Span).Truncate(time.Hour).Add(time.Hour); at.Before(now); at = at.Add(time.Hour) {
		done, compared := newest[at]
		if !compared {
			done = at.Add(time.Hour)
		}
		age = max(age, now.Sub(done))
	}
	return age
}

// costCase is a volume, with what reconcile must do there.
type costCase struct {
	events, rate float64 // a month; list requests a second
	holds        bool    // every tier compares each slice in time
	most         float64 // dollars per million events
}

// costs are what one week of passes took.
type costs struct {
	listed, reads, writes float64 // per event
	busy, longest         time.Duration
	ages                  [2]float64 // of the nightly and the weekly tier's oldest comparison, in days
	month, million        float64    // dollars
	holds                 bool
}

func (c costCase) String() string {
	return fmt.Sprintf("%gM a month, %g lists a second", c.events/1e6, c.rate)
}

// measure runs the schedule for two weeks after a first pass of each tier, and counts the
// second week.
func (c costCase) measure(t testing.TB) (k costs) {
	v := newVolume(c.events, c.rate)
	s, err := New(v, "t", Options{})
	check(t, err)
	r, err := reconcile.New(reconcile.Config{
		Lister: v, Records: s, Sender: v, Coverage: s, Begins: v, Depth: v, Types: []string{"invoice.paid"}, Now: func() time.Time { return v.now },
	})
	check(t, err)
	tiers := reconcile.Tiers(limits.AWS().Reconcile)
	v.rate = math.Inf(1)
	for _, tier := range tiers[1:] {
		v.pass(t, r, tier.Name, v.began)
	}
	v.rate, k.holds = c.rate, true
	for tick := range 14 * 24 * 4 {
		at := v.began.Add(time.Duration(tick+1) * 15 * time.Minute)
		if tick == 7*24*4 {
			v.reads, v.writes, v.listed, v.busy = 0, 0, 0, 0
		}
		if at.Hour() == 3 && at.Minute() == 0 {
			v.pass(t, r, reconcile.Nightly, at)
			if at.Weekday() == time.Sunday {
				v.pass(t, r, reconcile.Weekly, at)
			}
		}
		report := v.pass(t, r, reconcile.Frequent, at)
		k.holds = k.holds && report.Finished == report.Slices
		k.longest = max(k.longest, v.now.Sub(at))
	}
	for i, tier := range tiers[1:] {
		age := v.oldest(t, s, tier, v.now)
		k.ages[i] = age.Hours() / 24
		k.holds = k.holds && age <= tier.Every+tier.Every/4+6*time.Hour
	}
	const perRead, perWrite, perSecond = 0.125e-6, 0.625e-6, 0.25 * 13.33e-6 // dollars, of 256 MB on arm64
	dollars, n := v.reads*perRead+v.writes*perWrite+v.busy.Seconds()*perSecond, c.events*7/30
	k.listed, k.reads, k.writes, k.busy = v.listed/n, v.reads/n, v.writes/n, v.busy
	k.month, k.million = dollars*30/7, dollars/n*1e6
	return k
}

func (c costCase) check(t testing.TB, k costs) {
	t.Logf("%s: %+v", c, k)
	if k.holds != c.holds || k.million > c.most {
		t.Errorf("%s: every tier holds: %v, want %v; %.3f $ per million events, want at most %.2f", c, k.holds, c.holds, k.million, c.most)
	}
}

func TestReconcileCost(t *testing.T) {
	c := costCase{10e6, 5, true, 0.25}
	c.check(t, c.measure(t))
}

// BenchmarkReconcileCost has the figures of more volumes.
func BenchmarkReconcileCost(b *testing.B) {
	for _, c := range []costCase{
		{0.1e6, 5, true, 0.7}, // mostly the notes, whose number does not depend on the events
		{1e6, 5, true, 0.3},
		{10e6, 5, true, 0.25},
		{100e6, 5, false, 0.2},
		{100e6, 20, true, 0.2},
	} {
		b.Run(c.String(), func(b *testing.B) {
			var k costs
			for b.Loop() {
				k = c.measure(b)
			}
			c.check(b, k)
			b.ReportMetric(k.listed, "listed/event")
			b.ReportMetric(k.reads, "RRU/event")
			b.ReportMetric(k.writes, "WRU/event")
			b.ReportMetric(k.longest.Seconds(), "longest-s")
			b.ReportMetric(k.ages[0], "nightly-days")
			b.ReportMetric(k.ages[1], "weekly-days")
			b.ReportMetric(k.month, "$/month")
			b.ReportMetric(k.million, "$/M")
		})
	}
}
