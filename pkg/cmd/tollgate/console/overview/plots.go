package overview

import (
	"fmt"
	"math"
	"time"

	"tollgate/pkg/console"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/reconcile"
)

// chart is a plot with its place on the page.
type chart struct {
	ID    string
	Plot  console.Plot
	Empty string // instead of the plot
	Note  string
}

// maxLines bounds the lines of a plot, besides the one of all others.
const maxLines = 5

// charts returns the plots of a window.
func charts(d timeseries.Data, typed bool, of map[string]string) []chart {
	p, step := plotter{d}, console.Duration(d.Step)
	failed := p.plot("Failures per " + step + ", by cause")
	failed.Bars = true
	for _, s := range p.causes() {
		name := s.Of
		if of[name] != "" {
			name = of[name]
		}
		failed.Lines = append(failed.Lines, p.line(name, "", s.Values))
	}
	for _, name := range failures() {
		if name != limits.MetricFailed || len(failed.Lines) == 0 {
			failed.Lines = p.counted(failed.Lines, failureWords()[name], "", name)
		}
	}
	types := p.plot("Done per " + step + ", by event type")
	types.Bars = true
	for _, s := range d.By(limits.MetricDone, limits.DimensionEventType, maxLines) {
		types.Lines = append(types.Lines, p.line(s.Of, "", s.Values))
	}
	untyped := "Nothing was done in this time."
	if !typed {
		untyped = `This stage does not count by event type: "event-metrics": true in its file turns it on.`
	}
	deliveries := p.plot("Deliveries per " + step)
	deliveries.Bars = true
	deliveries.Lines = p.counted(p.counted(nil, "enqueued", "ok", limits.MetricEnqueued), "rejected", "bad", limits.MetricRejected)
	times := p.plot("From created at Stripe to done")
	times.Format, times.Log = milliseconds, true
	for _, stat := range []string{timeseries.P50, timeseries.P99} {
		if values, ok := d.Of(limits.MetricAge, stat); ok && !math.IsNaN(values.Last()) {
			times.Lines = append(times.Lines, p.line(stat, "", values))
		}
	}
	age := p.plot("Age of the oldest event in the queue")
	age.Format = func(s float64) string { return milliseconds(1000 * s) }
	age.Top = niceSeconds(highest(d, timeseries.LevelOldest))
	if values, ok := d.Of(timeseries.LevelOldest, timeseries.Max); ok && !math.IsNaN(values.Last()) {
		age.Lines = append(age.Lines, p.line("oldest", "", values))
	}
	all := []chart{
		{ID: "deliveries", Plot: deliveries, Empty: "Nothing was delivered in this time."},
		{ID: "types", Plot: types, Empty: untyped},
		{ID: "times", Plot: times, Empty: "Nothing was done in this time."},
		{ID: "failures", Plot: failed, Empty: "Nothing failed in this time."},
		{ID: "age", Plot: age, Empty: "The queue was not measured in this time."},
	}
	for i := range all {
		if d.Series == nil {
			all[i].Empty = "The counts were not read yet."
		}
	}
	return all
}

// failureWords are the metrics of failures in words.
func failureWords() map[string]string {
	return map[string]string{
		limits.MetricFailed: "failed attempts", limits.MetricDeadLettered: "made dead letters", limits.MetricStoreDown: "table down", limits.MetricThrottled: "item throttled",
		limits.MetricWaiting: "waits for Stripe", limits.MetricNoTime: "no time left", limits.MetricSuperseded: "superseded", limits.MetricNewer: "of a newer release",
	}
}

func milliseconds(ms float64) string {
	if math.IsNaN(ms) {
		return console.Number(ms)
	}
	return console.Duration(time.Duration(ms * float64(time.Millisecond)))
}

// highest is the highest level of a window, 0 if none is known.
func highest(d timeseries.Data, name string) (most float64) {
	values, _ := d.Of(name, timeseries.Max)
	for _, v := range values {
		if v > most {
			most = v
		}
	}
	return most
}

// niceSeconds returns a round time that is not under s, and whose half is round.
func niceSeconds(s float64) float64 {
	for _, nice := range []float64{1, 2, 4, 10, 20, 60, 120, 240, 600, 1200, 3600, 7200, 14_400, 43_200, 86_400, 172_800, 345_600} {
		if s <= nice {
			return nice
		}
	}
	return 1_209_600 // SQS keeps nothing longer
}

type plotter struct{ timeseries.Data }

// plot returns an empty one over the window.
func (p plotter) plot(title string) console.Plot {
	return console.Plot{Title: title, From: p.From, To: p.End(), Unit: ""}
}

// line returns a series with its points at the middle of its steps.
func (p plotter) line(name, tone string, values timeseries.Values) console.Line {
	l := console.Line{Name: name, Tone: tone}
	for i, v := range values {
		l.Points = append(l.Points, console.Point{At: p.At(i), Value: v})
	}
	return l
}

// counted adds the line of a metric that counted something.
func (p plotter) counted(lines []console.Line, name, tone, metric string) []console.Line {
	if values, ok := p.Of(metric, timeseries.Sum); ok && values.Total() > 0 {
		lines = append(lines, p.line(name, tone, values))
	}
	return lines
}

// causes are the failed attempts by cause, or by event type where the source knows no causes.
func (p plotter) causes() []timeseries.Series {
	if all := p.By(limits.MetricFailed, timeseries.ByCause, maxLines); len(all) > 0 {
		return all
	}
	return p.By(limits.MetricFailed, limits.DimensionEventType, maxLines)
}

// coverageChart shows by day which part of the time passes have compared with Stripe's list.
func coverageChart(days []reconcile.Day) chart {
	for len(days) > 0 && days[0].Compared+days[0].Gap == 0 { // before the begin of all
		days = days[1:]
	}
	c := chart{ID: "coverage", Empty: "No pass of reconcile has compared anything yet: the first one runs within 15 minutes.",
		Plot: console.Plot{Title: "Compared with Stripe's list, by day", Bars: true, Top: 100, Format: func(v float64) string { return fmt.Sprintf("%.0f %%", v) }}}
	if len(days) == 0 {
		return c
	}
	lines := []console.Line{{Name: "compared", Tone: "ok"}, {Name: "gap", Tone: "bad"}, {Name: "before its begin", Tone: "mute"}}
	missing := false
	for _, d := range days {
		whole := float64(max(d.Compared+d.Gap+d.Before, 1))
		gap := math.Ceil(100 * float64(d.Gap) / whole) // a second of it is seen
		before := math.Floor(100 * float64(d.Before) / whole)
		for i, part := range []float64{100 - gap - before, gap, before} {
			lines[i].Points = append(lines[i].Points, console.Point{At: d.Date, Value: part})
		}
		missing = missing || d.Gap > 0
	}
	c.Plot.From, c.Plot.To, c.Plot.Lines = days[0].Date, days[len(days)-1].Date.AddDate(0, 0, 1), lines
	if missing {
		c.Note = "A gap may hide an event that was never delivered."
	}
	return c
}
