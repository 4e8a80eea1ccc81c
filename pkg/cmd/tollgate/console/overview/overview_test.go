package overview

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/causes"
	"tollgate/pkg/console"
	"tollgate/pkg/doctor"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
)

// noted returns the data of a recorder that noted something now.
func noted(note func(*timeseries.Recorder)) timeseries.Data {
	r := timeseries.NewRecorder(func() time.Time { return begin })
	note(r)
	return r.Data(timeseries.Last(begin, 0, time.Minute))
}

// render shows a template of the page as text.
func render(t testing.TB, name string, data any) string {
	t.Helper()
	views := console.Parse(templates, "overview.html")
	views.Funcs(template.FuncMap{"live": func(name string, _ any) string { return "(" + name + ")" }})
	var html bytes.Buffer
	if err := views.ExecuteTemplate(&html, name, data); err != nil {
		t.Fatal(err)
	}
	return html.String()
}

func named(steps []step, name string) step {
	i := slices.IndexFunc(steps, func(s step) bool { return s.Name == name })
	if i < 0 {
		return step{}
	}
	return steps[i]
}

func TestFlowFromLeftToRight(t *testing.T) {
	d := noted(func(r *timeseries.Recorder) {
		r.Add(limits.MetricReceived, 1200)
		r.Add(limits.MetricEnqueued, 1190)
		r.Add(limits.MetricRejected, 10)
		r.AddOf(limits.MetricRejected, limits.DimensionReason, "no_match", 9)
		r.AddOf(limits.MetricRejected, limits.DimensionReason, "<b>", 1)
		r.Add(limits.MetricDone, 1000)
		r.Add(limits.MetricFailed, 3)
		r.Level(limits.MetricOutboxHeld, 4)
		r.Level(timeseries.LevelOldest, 90)
	})
	steps := flow(d, depth{waiting: 7, inFlight: 2, dead: 1, held: 5, sendDead: 2, sends: true}, true, []string{"invoice.paid"})
	var names []string
	for _, s := range steps {
		names = append(names, s.Name+" "+s.Number)
	}
	want := "Received 1,200|Rejected 10|Queued 7|In flight 2|Done 1,000|Failed attempts 3|Dead 1|Paused 5|Held mail 4|Sent on 0"
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("flow\n%s, want\n%s", got, want)
	}
	rejected := named(steps, "Rejected").Details
	if len(rejected) != 2 || rejected[0] != (detail{"9", "whose signature matches no secret"}) || rejected[1].Name != "<b>" {
		t.Errorf("rejected %+v", rejected)
	}
	if named(steps, "Queued").Details[0].Name != "oldest 1 min 30 s" || named(steps, "Dead").Tone != "bad" || named(steps, "Failed attempts").Tone != "warn" {
		t.Errorf("steps %+v", steps)
	}
	html := render(t, "live-flow", view{Flow: steps, Range: ranges()[1], Since: begin})
	if strings.Contains(html, "<b>invoice") || !strings.Contains(html, "&lt;b&gt;") || !strings.Contains(html, "Counted since") {
		t.Errorf("shows %s", html)
	}

	quiet := flow(noted(func(*timeseries.Recorder) {}), depth{}, false, nil)
	if len(quiet) != 8 || named(quiet, "Queued").Number != "–" || named(quiet, "Held mail").Number != "–" || named(quiet, "Received").Number != "0" {
		t.Errorf("what is not known is a dash: %+v", quiet)
	}
	if left := named(flow(d, depth{held: 1}, true, nil), "Paused"); !strings.Contains(left.Details[0].Name, "resume") {
		t.Errorf("messages that a resume left: %+v", left)
	}
}

func chartNamed(all []chart, id string) chart {
	return all[slices.IndexFunc(all, func(c chart) bool { return c.ID == id })]
}

func lineNames(c chart) (names []string) {
	for _, l := range c.Plot.Lines {
		names = append(names, l.Name)
	}
	return names
}

// TestFailuresAreByCause: by cause where the source knows it, else by event type, else in sum; and
// what kept messages from being handled, next to them.
func TestFailuresAreByCause(t *testing.T) {
	note := func(more func(*timeseries.Recorder)) timeseries.Data {
		return noted(func(r *timeseries.Recorder) {
			r.Add(limits.MetricFailed, 3)
			r.Add(limits.MetricStoreDown, 2)
			more(r)
		})
	}
	for want, d := range map[string]timeseries.Data{
		"no table|plan.created abc|table down": note(func(r *timeseries.Recorder) {
			r.AddOf(limits.MetricFailed, timeseries.ByCause, "invoice.paid f1", 2)
			r.AddOf(limits.MetricFailed, timeseries.ByCause, "plan.created abc", 1)
		}),
		"invoice.paid|table down": note(func(r *timeseries.Recorder) {
			r.AddOf(limits.MetricFailed, limits.DimensionEventType, "invoice.paid", 3)
		}),
		"failed attempts|table down": note(func(*timeseries.Recorder) {}),
	} {
		all := charts(d, true, map[string]string{"invoice.paid f1": "no table"})
		if got := strings.Join(lineNames(chartNamed(all, "failures")), "|"); got != want {
			t.Errorf("lines %s, want %s", got, want)
		}
	}
}

func TestEmptyPlotsSayWhy(t *testing.T) {
	d := noted(func(*timeseries.Recorder) {})
	html := render(t, "live-plots", view{Charts: append(charts(d, false, nil), coverageChart(nil))})
	for _, want := range []string{"Nothing was delivered", "event-metrics", "Nothing failed", "was not measured", "No pass of reconcile"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
	if strings.Contains(html, "<svg") {
		t.Error("an empty plot is drawn")
	}
}

// TestUnknownIsNotZero: while the source does not answer, no number and no plot says that nothing happened.
func TestUnknownIsNotZero(t *testing.T) {
	var d timeseries.Data
	for _, s := range flow(d, depth{}, false, nil) {
		if s.Number != "–" || s.Tone != "" {
			t.Errorf("%+v", s)
		}
	}
	if html := render(t, "live-plots", view{Charts: charts(d, true, nil)}); strings.Contains(html, "Nothing") || strings.Count(html, "not read yet") != 5 {
		t.Errorf("shows %s", html)
	}
}

// TestAGapIsSeen: a second without a comparison takes a percent of its day.
func TestAGapIsSeen(t *testing.T) {
	day := 24 * time.Hour
	c := coverageChart([]reconcile.Day{{Date: begin, Compared: day - time.Second, Gap: time.Second}, {Date: begin.Add(day), Before: day}, {Date: begin.Add(2 * day), Compared: day}})
	var got []float64
	for i := range 3 {
		for _, l := range c.Plot.Lines {
			got = append(got, l.Points[i].Value)
		}
	}
	if want := []float64{99, 1, 0, 0, 0, 100, 100, 0, 0}; !slices.Equal(got, want) || c.Note == "" {
		t.Errorf("percents %v, note %q, want %v", got, c.Note, want)
	}
}

func TestWhatIsWrongSaysWhatToDo(t *testing.T) {
	v := view{Range: ranges()[1], Checked: begin}
	v.fault("the counts", errors.New("AccessDenied <script>"), "")
	v.fault("the queues", errPending, "")
	v.fault("the checks", nil, "sign in")
	v.fault("the pauses", errors.New("no credentials"), "sign in")
	v.fault("the coverage", errors.New("expired"), "sign in")
	v.Wrong = append(v.Wrong, problems([]doctor.Finding{
		{Name: "queue", Status: doctor.OK, Detail: "fine"}, {Name: "alarms", Status: doctor.Skipped},
		{Name: "outbox", Status: doctor.Warn, Detail: "late", Fix: "tollgate outbox list --unsent"},
		{Name: "dead letters", Status: doctor.Fail, Detail: "3: their events are not handled", Fix: "tollgate dlq list, and after the fix tollgate redrive"},
	})...)
	html := render(t, "live-wrong", v)
	for _, want := range []string{"AccessDenied &lt;script&gt;", "their events are not handled", `href="/dead"`, "<code>tollgate outbox list --unsent</code>", "and after the fix tollgate redrive</p>", "the pauses, the coverage</strong> cannot be read: no credentials", ">sign in</p>"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
	if dead, late := strings.Index(html, "dead letters"), strings.Index(html, "outbox"); dead > late {
		t.Error("a warning is before what fails")
	}
	if len(v.Wrong) != 4 {
		t.Errorf("%d problems, want 4", len(v.Wrong))
	}
	if html := render(t, "live-wrong", view{}); !strings.Contains(html, "first checks run") {
		t.Errorf("before the first checks: %s", html)
	}
	if html := render(t, "live-wrong", view{Checked: begin}); !strings.Contains(html, "Nothing is wrong now") {
		t.Errorf("without a problem: %s", html)
	}
}

func TestCostIsStated(t *testing.T) {
	c := costOf(counts{dollars: 120 * dollarsPerMetric}, depth{asked: 3})
	if c.Metrics != 120 || math.Abs(c.View-0.0012) > 1e-9 || math.Abs(c.Hourly-(0.072+0.0006+0.000432)) > 1e-6 {
		t.Errorf("cost %+v", c)
	}
	html := render(t, "live-foot", view{Cloud: true, Cost: c})
	for _, want := range []string{"120 metrics", "$0.0012 each time", "$0.07 an hour"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
}

// TestDocumentHasThePrice: what infra/COST.md says of a view is what a view asks for.
func TestDocumentHasThePrice(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "..", "infra", "COST.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := liveStage()
	sends, least := all, all
	sends.types, least.types, least.sends = nil, nil, false
	text := strings.Join(strings.Fields(string(raw)), " ")
	for _, want := range []string{
		fmt.Sprintf("asks CloudWatch for %d metrics", len(least.asks())), fmt.Sprintf("With destinations it is %d", len(sends.asks())),
		fmt.Sprintf("%d for %d types, %.4f each time", len(all.asks()), len(all.types), newCloudWatch(nil, all).dollars()),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("COST.md lacks %q", want)
		}
	}
}

// impatient gets a value as a page does.
func impatient[T any](t *testing.T, get func(context.Context) (T, time.Time, error)) (T, time.Time, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return get(ctx)
}

// TestReadOncePerTime: however many ask, one read in its time; a slow one is shown when it ends, an
// error keeps the value, and what is long past is not shown.
func TestReadOncePerTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		var fails atomic.Bool
		r := recent[int64]{every: time.Minute, timeout: time.Second, read: func(context.Context) (int64, error) {
			time.Sleep(500 * time.Millisecond)
			if fails.Load() {
				return 0, errors.New("down")
			}
			return reads.Add(1), nil
		}}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, _, err := impatient(t, r.get); !errors.Is(err, errPending) {
					t.Errorf("error %v before the first value", err)
				}
			})
		}
		wg.Wait()
		expect := func(says string, want int64, wantErr bool) {
			t.Helper()
			if got, _, err := impatient(t, r.get); got != want || (err != nil) != wantErr {
				t.Errorf("%s: %d, %v, want %d", says, got, err, want)
			}
		}
		time.Sleep(time.Second)
		expect("after the first read", 1, false)
		time.Sleep(58 * time.Second)
		expect("within the minute", 1, false)
		time.Sleep(2 * time.Second)
		expect("while it is read again", 1, false)
		time.Sleep(time.Second)
		expect("after it", 2, false)
		fails.Store(true)
		time.Sleep(time.Minute)
		impatient(t, r.get)
		time.Sleep(time.Second)
		expect("after a failure", 2, true)
		fails.Store(false)
		time.Sleep(time.Hour)
		if _, _, err := impatient(t, r.get); !errors.Is(err, errPending) {
			t.Errorf("error %v, want an hour-old value not shown", err)
		}
		time.Sleep(time.Second)
		if reads.Load() != 3 {
			t.Errorf("%d reads, want 3", reads.Load())
		}
	})
}

// TestReadEndsInTime: a read that hangs ends, and its error is what the page says.
func TestReadEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recent[int]{every: time.Minute, timeout: time.Second, read: func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		over, cancel := context.WithCancel(t.Context())
		cancel() // a reader that goes does not end it for the others
		r.get(over)
		time.Sleep(2 * time.Second)
		if _, _, err := r.get(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// TestPanicOfARead: it is an error of the part, and the next read is made.
func TestPanicOfARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := recent[int]{every: time.Minute, timeout: time.Second, read: func(context.Context) (int, error) {
			if n++; n == 1 {
				panic("no row")
			}
			return n, nil
		}}
		if _, _, err := r.get(t.Context()); err == nil || !strings.Contains(err.Error(), "no row") {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		if got, _, err := r.get(t.Context()); got != 2 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	})
}

// TestPausedNamesAreInTheFlow: what is paused and what is half resumed.
func TestPausedNamesAreInTheFlow(t *testing.T) {
	s := pause.State{
		Paused: map[string]pause.Mark{"invoice.paid": {At: begin}, pause.All: {At: begin}}, Resuming: map[string]pause.Span{"plan.created": {From: begin}},
	}
	if got := strings.Join(names(s), "|"); got != "everything|invoice.paid|plan.created" {
		t.Errorf("names %s", got)
	}
}

// TestCausesAreTold: how many events fail with what, since when, when they are tried again, and where
// to look; the causes of most events one by one.
func TestCausesAreTold(t *testing.T) {
	all := []causes.Cause{{
		Type: "invoice.paid", Fingerprint: "0a1b2c3d4e5f", Error: "no <table>\n" + strings.Repeat("x", 1000), Events: 3, Retrying: 2, Dead: 1,
		First: begin, NextFirst: begin.Add(time.Hour + time.Millisecond), NextLast: begin.Add(2 * time.Hour), LeftMin: 4, LeftMax: 9, Section: "infra/README.md#x",
	}}
	for i := range 9 {
		all = append(all, causes.Cause{Type: "plan.created", Fingerprint: fmt.Sprint("f", i), Events: 1, Dead: 0})
	}
	told := failing(all, false)
	html := render(t, "live-wrong", view{Wrong: told})
	for _, want := range []string{
		"3 events fail: no &lt;table&gt; xxx", "1 of them dead. At least 4 attempts are left.", `datetime="2026-03-01T12:00:00Z"`, `datetime="2026-03-01T13:00:00Z"`, `datetime="2026-03-01T14:00:00Z"`,
		`href="/causes/0a1b2c3d4e5f"`, "infra/README.md#x", "5 more causes.",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
	if len(told) != 6 || told[0].Tone != "bad" || told[1].Tone != "warn" || len(told[0].Text) > 300 {
		t.Errorf("told %+v", told)
	}
	if some := failing(all, true); !strings.HasPrefix(some[0].Text, "at least 3 events fail") {
		t.Errorf("of more records than were read: %s", some[0].Text)
	}
	if got := causeNames(all); len(got) != 1 || !strings.HasPrefix(got["invoice.paid 0a1b2c3d4e5f"], "invoice.paid: no <table> xx") {
		t.Errorf("names %q", got)
	}
}

// TestDeadEventsAreOneProblem: of the queue's count and of the oldest's age, the one that matters.
func TestDeadEventsAreOneProblem(t *testing.T) {
	letters := doctor.Finding{Name: "dead letters", Status: doctor.Fail, Detail: "3: their events are not handled"}
	young := doctor.Finding{Name: "dead events", Status: doctor.Fail, Detail: "3; dead for 1m", Fix: "tollgate causes"}
	old := doctor.Finding{Name: "dead events", Status: doctor.Fail, Detail: "3; dead for 200h", Fix: "tollgate redrive, or tollgate dlq export, at once"}
	none := doctor.Finding{Name: "dead events", Status: doctor.OK}
	for want, found := range map[string][]doctor.Finding{
		letters.Detail: {letters, young}, old.Detail: {letters, old}, young.Detail: {young}, "3: their events are not handled ": {letters, none},
	} {
		if got := problems(found); len(got) != 1 || got[0].Text != strings.TrimSpace(want) {
			t.Errorf("%+v, want %q alone", got, want)
		}
	}
}
