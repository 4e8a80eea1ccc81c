// Package overview is the console's first page: what flows, over time, and what is wrong now.
package overview

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	doctorverb "tollgate/pkg/cmd/tollgate/doctor"
	"tollgate/pkg/cmd/tollgate/events"
	reconcileverb "tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/doctor"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
)

//go:embed overview.html
var templates embed.FS

// Pages are the overview.
func Pages(a *verb.App) []console.Page {
	o := newOverview(a)
	return []console.Page{{
		Path: "/", Title: "Overview", Nav: "Watch/Overview", Views: console.Parse(templates, "overview.html"), Every: 2 * time.Second,
		Load: func(ctx context.Context, r *http.Request) (any, error) {
			return o.load(ctx, rangeOf(r.URL.Query().Get("range")))
		},
	}}
}

// overview keeps what its parts cost to read: however many pages are open, each is read once in its
// time, and not at all while none is open.
type overview struct {
	app   *verb.App
	cloud bool

	counts   recent[counts]
	depth    recent[depth]
	findings recent[[]doctor.Finding]
	days     recent[[]reconcile.Day]
	pauses   recent[pause.State]
	causes   recent[events.CausesReport]

	mu   sync.Mutex
	data map[string]*recent[timeseries.Data] // by range
}

func newOverview(a *verb.App) *overview {
	const timeout = 20 * time.Second
	o := &overview{app: a, cloud: a.Stack != "" || a.Env.Named(), data: map[string]*recent[timeseries.Data]{}}
	target := func(ctx context.Context) (verb.Target, error) { return a.Target(ctx) }
	pace := func(local, cloud time.Duration) time.Duration {
		if o.cloud {
			return cloud
		}
		return local
	}
	o.counts = recent[counts]{every: 5 * time.Minute, timeout: timeout, read: func(ctx context.Context) (counts, error) {
		t, err := target(ctx)
		if err != nil {
			return counts{}, err
		}
		return countsOf(ctx, t)
	}}
	o.depth = recent[depth]{every: pace(2*time.Second, depthCloud), timeout: timeout, read: func(ctx context.Context) (depth, error) {
		t, err := target(ctx)
		if err != nil {
			return depth{}, err
		}
		return depthOf(ctx, t)
	}}
	o.findings = recent[[]doctor.Finding]{every: pace(10*time.Second, time.Minute), timeout: timeout, read: func(ctx context.Context) ([]doctor.Finding, error) {
		t, err := target(ctx)
		if err != nil {
			return nil, err
		}
		return doctorverb.Watch(ctx, a, t, timeout)
	}}
	o.days = recent[[]reconcile.Day]{every: pace(time.Minute, 5*time.Minute), timeout: timeout, read: func(ctx context.Context) ([]reconcile.Day, error) {
		proof, _, err := (&reconcileverb.Report{Days: reconcileverb.MaxDays}).Prove(ctx, a)
		return proof.Days(), err
	}}
	o.pauses = recent[pause.State]{every: pace(2*time.Second, depthCloud), timeout: timeout, read: func(ctx context.Context) (pause.State, error) {
		_, reader, err := a.Reader(ctx)
		if err != nil {
			return pause.State{}, err
		}
		return reader.Pauses(ctx)
	}}
	o.causes = recent[events.CausesReport]{every: pace(5*time.Second, time.Minute), timeout: timeout, read: func(ctx context.Context) (events.CausesReport, error) {
		return events.Causes{Records: true, MaxRead: maxRecords}.Load(ctx, a) // reading dead letters would hide them
	}}
	return o
}

// maxRecords bounds the records that fail and are grouped by cause.
const maxRecords = 2000

// refreshed is how often a range is read anew: CloudWatch is asked at most once a minute.
const (
	refreshedLocal = 5 * time.Second
	refreshedCloud = time.Minute
	depthCloud     = 10 * time.Second // of the queues
)

// series returns the reader of a range.
func (o *overview) series(s span) *recent[timeseries.Data] {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.data[s.Name]
	if r == nil {
		every, step := refreshedLocal, s.step
		if o.cloud {
			every, step = refreshedCloud, s.cloudStep()
		}
		r = &recent[timeseries.Data]{every: every, timeout: 20 * time.Second, read: func(ctx context.Context) (timeseries.Data, error) {
			c, _, err := o.counts.get(ctx)
			if err != nil && c.source == nil {
				return timeseries.Data{}, err
			}
			return c.Series(ctx, timeseries.Last(time.Now(), s.span, step))
		}}
		o.data[s.Name] = r
	}
	return r
}

// view is the page's data.
type view struct {
	Range  span
	Ranges []span

	Flow    []step
	Wrong   []problem
	Checked time.Time // zero while the first checks run
	Charts  []chart
	Since   time.Time // of a local system's counts, if that is within the range
	Cloud   bool
	Cost    cost
}

// load never fails for a part that cannot be read: it is among what is wrong.
func (o *overview) load(ctx context.Context, s span) (view, error) {
	v := view{Range: s, Ranges: ranges()}
	fault := func(part string, err error) { v.fault(part, err, o.app.HintOf(err)) }
	for _, start := range []func(context.Context) chan struct{}{o.counts.start, o.depth.start, o.findings.start, o.days.start, o.pauses.start, o.causes.start} {
		start(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, _, err := o.counts.get(ctx)
	d := timeseries.Data{Window: timeseries.Last(time.Now(), s.span, s.step)}
	if c.source != nil {
		var read timeseries.Data
		if read, _, err = o.series(s).get(ctx); read.Steps > 0 {
			d = read
		}
	}
	fault("the counts", err)
	now, _, err := o.depth.get(ctx)
	fault("the queues", err)
	known := !errors.Is(err, errPending) && (err == nil || now != depth{})
	found, at, err := o.findings.get(ctx)
	fault("the checks", err)
	if !errors.Is(err, errPending) {
		v.Checked = at
	}
	days, _, err := o.days.get(ctx)
	fault("the coverage", err)
	compared := coverageChart(days)
	if err != nil && days == nil {
		compared.Empty = "The coverage was not read yet."
	}
	switched, _, err := o.pauses.get(ctx)
	fault("the pauses", err)

	v.Flow = flow(d, now, known, names(switched))
	fails, _, err := o.causes.get(ctx)
	fault("the causes", err)
	v.Wrong = slices.Concat(v.Wrong, failing(fails.Causes, fails.More), problems(found))
	slices.SortStableFunc(v.Wrong, func(a, b problem) int { return cmp.Compare(a.Tone, b.Tone) }) // bad, then warn
	v.Charts = append(charts(d, c.typed, causeNames(fails.Causes)), compared)
	v.Cloud, v.Cost = o.cloud, costOf(c, now)
	if d.Since.After(d.From) {
		v.Since = d.Since
	}
	return v, nil
}

// depthOf asks the queues how many messages they have.
func depthOf(ctx context.Context, t verb.Target) (d depth, err error) {
	client := sqs.NewFromConfig(t.AWS)
	names := []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible, sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	read := func(url string) (waiting, inFlight int, err error) {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
		if err != nil {
			return 0, 0, err
		}
		number := func(name sqstypes.QueueAttributeName) int {
			n, _ := strconv.Atoi(out.Attributes[string(name)]) // 0 where it is absent
			return n
		}
		return number(names[0]), number(names[1]) + number(names[2]), nil
	}
	for _, q := range []struct {
		url  string
		into func(waiting, inFlight int)
	}{
		{t.QueueURL, func(w, f int) { d.waiting, d.inFlight = w, f }},
		{t.DLQURL, func(w, f int) { d.dead = w + f }},
		{t.HoldURL, func(w, f int) { d.held = w + f }},
		{t.SendDLQURL, func(w, f int) { d.sendDead, d.sends = w+f, true }},
	} {
		if q.url == "" {
			continue
		}
		waiting, inFlight, err := read(q.url)
		if err != nil {
			return d, err
		}
		d.asked++
		q.into(waiting, inFlight)
	}
	return d, nil
}
