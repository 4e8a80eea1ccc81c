// Package timeseries has what a system counts over time: the form that every source of it answers
// in, and the source of a local system, a [Recorder] in memory.
//
//	r := timeseries.NewRecorder(time.Now)
//	r.Add(limits.MetricDone, 1)
//	r.AddOf(limits.MetricDone, limits.DimensionEventType, "invoice.paid", 1)
//	data := r.Data(timeseries.Last(time.Now(), time.Hour, time.Minute))
package timeseries

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Statistics, by CloudWatch's names.
const (
	Sum = "Sum"
	Max = "Maximum"
	P50 = "p50"
	P99 = "p99"
)

// Levels of the queues and what else has no name among the functions' metrics.
const (
	LevelQueued   = "Queued"   // messages that wait
	LevelInFlight = "InFlight" // received ones, also those that back off
	LevelOldest   = "Oldest"   // seconds since the oldest was first sent
	LevelDead     = "Dead"     // dead letters
	ByCause       = "cause"    // dimension of failed attempts: event type and fingerprint, with a space between
)

// Other is the value of a dimension for all that have no series of their own.
const Other = "other"

// Key names a series: a metric with its statistic, and the dimension that it is counted by.
type Key struct {
	Name string `json:"name"`
	Stat string `json:"stat"`
	By   string `json:"by,omitempty"` // the dimension
	Of   string `json:"of,omitempty"` // its value
}

// Series has one value for each step of a window.
type Series struct {
	Key
	Values Values `json:"values"`
}

// Values are NaN where nothing is known. In JSON that is null.
type Values []float64

// MarshalJSON writes whole numbers and shortens others.
func (v Values) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 2+4*len(v)), '[')
	for i, x := range v {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			out = append(out, "null"...)
		} else {
			out = strconv.AppendFloat(out, x, 'g', 8, 64)
		}
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads null as NaN.
func (v *Values) UnmarshalJSON(raw []byte) error {
	var read []*float64
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	*v = make(Values, len(read))
	for i, x := range read {
		if (*v)[i] = math.NaN(); x != nil {
			(*v)[i] = *x
		}
	}
	return nil
}

// Total is the sum of what is known.
func (v Values) Total() (sum float64) {
	for _, x := range v {
		if !math.IsNaN(x) {
			sum += x
		}
	}
	return sum
}

// Last is the newest known value, NaN if there is none.
func (v Values) Last() float64 {
	for _, x := range slices.Backward(v) {
		if !math.IsNaN(x) {
			return x
		}
	}
	return math.NaN()
}

// Window is a time in steps of equal length; the last one may still run.
type Window struct {
	From  time.Time     `json:"from"`
	Step  time.Duration `json:"step"`
	Steps int           `json:"steps"`
}

// Last returns the window of whole steps that ends with the step of now and begins a span earlier.
func Last(now time.Time, span, step time.Duration) Window {
	from := now.Add(-span).Truncate(step)
	return Window{From: from.UTC(), Step: step, Steps: int(now.Sub(from)/step) + 1}
}

// At is the begin of a step.
func (w Window) At(step int) time.Time { return w.From.Add(time.Duration(step) * w.Step) }

// End is the end of the last step.
func (w Window) End() time.Time { return w.At(w.Steps) }

// Data is a source's answer.
type Data struct {
	Window
	Since  time.Time `json:"since"` // the source knows nothing before; zero if it knows the whole window
	Series []Series  `json:"series"`
}

// Of returns one series, and whether the source has it.
func (d Data) Of(name, stat string) (Values, bool) {
	i := slices.IndexFunc(d.Series, func(s Series) bool { return s.Key == Key{Name: name, Stat: stat} })
	if i < 0 {
		return nil, false
	}
	return d.Series[i].Values, true
}

// By returns the sums of a metric by the values of a dimension, the largest first, and at most n and
// one for all others.
func (d Data) By(name, dimension string, n int) []Series {
	var all []Series
	rest := Series{Key: Key{name, Sum, dimension, Other}}
	for _, s := range d.Series {
		switch {
		case s.Name != name || s.Stat != Sum || s.By != dimension:
		case s.Of == Other:
			rest.add(s)
		default:
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(b.Values.Total(), a.Values.Total()), cmp.Compare(a.Of, b.Of))
	})
	for _, s := range all[min(n, len(all)):] {
		rest.add(s)
	}
	all = slices.DeleteFunc(all[:min(n, len(all))], func(s Series) bool { return s.Values.Total() == 0 })
	if rest.Values.Total() > 0 {
		all = append(all, rest)
	}
	return all
}

func (s *Series) add(other Series) {
	if s.Values == nil {
		s.Values = slices.Clone(other.Values)
		return
	}
	for i, x := range other.Values {
		if math.IsNaN(s.Values[i]) {
			s.Values[i] = x
		} else if !math.IsNaN(x) {
			s.Values[i] += x
		}
	}
}
