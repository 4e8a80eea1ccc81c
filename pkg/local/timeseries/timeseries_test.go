package timeseries_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/pkg/local/timeseries"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func recorder() (*timeseries.Recorder, *clock) {
	c := &clock{begin}
	return timeseries.NewRecorder(c.now), c
}

func of(t testing.TB, d timeseries.Data, name, stat string) timeseries.Values {
	t.Helper()
	values, ok := d.Of(name, stat)
	if !ok {
		t.Fatalf("no series %s %s in %+v", name, stat, d.Series)
	}
	return values
}

// text shows values, - for what is unknown.
func text(v timeseries.Values) string {
	var words []string
	for _, x := range v {
		if math.IsNaN(x) {
			words = append(words, "-")
		} else {
			words = append(words, fmt.Sprintf("%g", x))
		}
	}
	return fmt.Sprint(words)
}

func want(t testing.TB, v timeseries.Values, says string) {
	t.Helper()
	if got := text(v); got != says {
		t.Errorf("got %s, want %s", got, says)
	}
}

// TestStepsHaveWhatHappenedInThem: counts add up, levels keep the highest, and nothing is known of
// what was before the start and of steps without a level.
func TestStepsHaveWhatHappenedInThem(t *testing.T) {
	r, c := recorder()
	r.Add("Done", 2)
	r.Level("Queued", 5)
	r.Level("Queued", 3)
	c.at = c.at.Add(25 * time.Second)
	r.Add("Done", 1)
	c.at = c.at.Add(time.Minute)
	r.Level("Queued", 0)
	d := r.Data(timeseries.Last(c.at, time.Minute+45*time.Second, 10*time.Second))
	want(t, of(t, d, "Done", timeseries.Sum), "[- - 2 0 1 0 0 0 0 0 0]")
	want(t, of(t, d, "Queued", timeseries.Max), "[- - 5 - - - - - - - 0]")
	if !d.Since.Equal(begin) || !d.At(2).Equal(begin) || d.End().Before(c.at) {
		t.Errorf("since %v, from %v, end %v", d.Since, d.From, d.End())
	}
}

// TestLongWindowsKeepEverything: whatever the range, each count is in its step once.
func TestLongWindowsKeepEverything(t *testing.T) {
	r, c := recorder()
	const every = 37 * time.Second
	n := 0
	for ; c.at.Before(begin.Add(29 * 24 * time.Hour)); c.at = c.at.Add(every) {
		r.Add("Done", 1)
		n++
	}
	last := c.at.Add(-every) // of the counts
	for _, w := range []struct{ span, step time.Duration }{
		{15 * time.Minute, 10 * time.Second}, {time.Hour, 30 * time.Second}, {6 * time.Hour, 5 * time.Minute},
		{24 * time.Hour, 15 * time.Minute}, {7 * 24 * time.Hour, 2 * time.Hour}, {30 * 24 * time.Hour, 6 * time.Hour},
	} {
		d := r.Data(timeseries.Last(c.at, w.span, w.step))
		expected := min(n, int(last.Sub(d.From)/every)+1)
		if got := int(of(t, d, "Done", timeseries.Sum).Total()); got < expected-1 || got > expected {
			t.Errorf("%s by %s: %d counts, want %d", w.span, w.step, got, expected)
		}
	}
}

func TestTimesHaveQuantiles(t *testing.T) {
	r, c := recorder()
	for i := range 1000 {
		r.Time("Age", float64(i))
	}
	c.at = c.at.Add(time.Minute)
	r.Time("Age", 0)
	r.Time("Age", math.MaxFloat64)
	d := r.Data(timeseries.Last(c.at, time.Minute, time.Minute))
	p50, p99 := of(t, d, "Age", timeseries.P50), of(t, d, "Age", timeseries.P99)
	if math.Abs(p50[0]-500) > 50 || math.Abs(p99[0]-990) > 99 {
		t.Errorf("p50 %g of 500, p99 %g of 990", p50[0], p99[0])
	}
	if p50[1] > 1 || p99[1] < 1e9 {
		t.Errorf("p50 %g, p99 %g of none and very long", p50[1], p99[1])
	}
}

// TestClockThatIsSetBack: an hour back starts anew, a moment back counts where it was.
func TestClockThatIsSetBack(t *testing.T) {
	r, c := recorder()
	r.Add("Done", 1)
	c.at = c.at.Add(-5 * time.Second)
	r.Add("Done", 1)
	c.at = begin
	d := r.Data(timeseries.Last(begin, 0, 10*time.Second))
	want(t, of(t, d, "Done", timeseries.Sum), "[2]")
	c.at = begin.Add(-time.Hour)
	r.Add("Done", 1)
	d = r.Data(timeseries.Last(c.at, 0, 10*time.Second))
	want(t, of(t, d, "Done", timeseries.Sum), "[1]")
	if !d.Since.Equal(c.at) {
		t.Errorf("since %v, want %v", d.Since, c.at)
	}
	c.at = begin.Add(1000 * time.Hour) // the machine slept
	r.Add("Done", 4)
	want(t, of(t, r.Data(timeseries.Last(c.at, 20*time.Second, 10*time.Second)), "Done", timeseries.Sum), "[0 0 4]")
}

// TestSeriesAreBounded: a stranger's names make neither series nor answers without end.
func TestSeriesAreBounded(t *testing.T) {
	r, c := recorder()
	for i := range 1000 {
		r.AddOf("Done", "event_type", fmt.Sprint("type.", i), 1)
	}
	d := r.Data(timeseries.Last(c.at, 0, time.Minute))
	if len(d.Series) != 301 {
		t.Errorf("%d series of 1000 types, want 300 and one for the others", len(d.Series))
	}
	top := d.By("Done", "event_type", 5)
	if len(top) != 6 || top[5].Of != timeseries.Other || top[5].Values.Total() != 995 {
		t.Errorf("top %+v", top)
	}
	for i := range 10_000 {
		r.Add(fmt.Sprint("Metric", i), 1)
	}
	if n := len(r.Data(timeseries.Last(c.at, 0, time.Minute)).Series); n != 2000 {
		t.Errorf("%d series, want 2000", n)
	}
}

func TestByOrdersAndSumsTheRest(t *testing.T) {
	nan := math.NaN()
	series := func(of string, values ...float64) timeseries.Series {
		return timeseries.Series{Key: timeseries.Key{Name: "Failed", Stat: timeseries.Sum, By: "cause", Of: of}, Values: values}
	}
	d := timeseries.Data{Series: []timeseries.Series{
		series("a", nan, 1), series("b", nan, 7), series("none", nan, 0), series(timeseries.Other, nan, 2), series("c", 1, 2),
		{Key: timeseries.Key{Name: "Failed", Stat: timeseries.Sum}, Values: timeseries.Values{nan, 99}},
	}}
	got := d.By("Failed", "cause", 2)
	if len(got) != 3 || got[0].Of != "b" || got[1].Of != "c" || text(got[2].Values) != "[- 3]" {
		t.Errorf("got %+v", got)
	}
	if none := d.By("Done", "cause", 2); len(none) != 0 {
		t.Errorf("got %+v of a metric that is not there", none)
	}
}

// TestJSONKeepsValues: what is unknown stays unknown.
func TestJSONKeepsValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Just(math.NaN()), rapid.Map(rapid.IntRange(0, 1<<24), func(i int) float64 { return float64(i) }))
		in := timeseries.Values(rapid.SliceOf(number).Draw(t, "values"))
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out timeseries.Values
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if !slices.EqualFunc(in, out, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			t.Errorf("%v became %v", in, out)
		}
	})
}

// TestLastEndsWithNow: a window has the present step whole and the begin of its span.
func TestLastEndsWithNow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := time.Duration(rapid.SampledFrom([]int{10, 60, 300, 900, 7200, 21600}).Draw(t, "step")) * time.Second
		span := step * time.Duration(rapid.IntRange(1, 120).Draw(t, "steps"))
		now := begin.Add(time.Duration(rapid.Int64Range(0, int64(100*24*time.Hour)).Draw(t, "now")))
		w := timeseries.Last(now, span, step)
		if w.From.After(now.Add(-span)) || !w.End().After(now) || w.End().Sub(now) > step || !w.From.Equal(w.From.Truncate(step)) {
			t.Errorf("now %v: %v to %v", now, w.From, w.End())
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	r := timeseries.NewRecorder(time.Now)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				r.Add("Done", 1)
				r.Data(timeseries.Last(time.Now(), time.Minute, 10*time.Second))
			}
		})
	}
	wg.Wait()
	d := r.Data(timeseries.Last(time.Now(), 24*time.Hour, time.Hour))
	if got := of(t, d, "Done", timeseries.Sum).Total(); got != 800 {
		t.Errorf("%g counts, want 800", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	r := timeseries.NewRecorder(time.Now)
	for b.Loop() {
		r.AddOf("Done", "event_type", "invoice.paid", 1)
	}
}

// BenchmarkData has 300 types and a day of minutes.
func BenchmarkData(b *testing.B) {
	r, c := recorder()
	for c.at.Before(begin.Add(25 * time.Hour)) {
		for i := range 300 {
			r.AddOf("Done", "event_type", fmt.Sprint("type.", i), 1)
		}
		c.at = c.at.Add(time.Hour)
	}
	for b.Loop() {
		r.Data(timeseries.Last(c.at, 24*time.Hour, 15*time.Minute))
	}
}

// FuzzValues: whatever is read is written back the same.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"[]", "[1,null,0.5]", "[1e400]", "null", "{}", `["x"]`, "[[1]]", "[-0]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v, again timeseries.Values
		if json.Unmarshal(raw, &v) != nil {
			return
		}
		written, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil || len(again) != len(v) {
			t.Fatalf("%s became %s: %v", raw, written, err)
		}
		for i := range v {
			if math.IsNaN(v[i]) != math.IsNaN(again[i]) || math.Abs(v[i]-again[i]) > 1e-6*math.Abs(v[i]) {
				t.Errorf("%s became %s", raw, written)
			}
		}
	})
}
