package timeseries

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	maxOf     = 300   // values of one dimension of a metric with a series of their own
	maxSeries = 2_000 // of a recorder, some 40 MB; what is new after them is not kept
)

// tier is how long values are kept with one precision.
type tier struct {
	step  time.Duration
	slots int64
}

func tiers() [3]tier {
	return [3]tier{{10 * time.Second, 370}, {time.Minute, 1_460}, {time.Hour, 30*24 + 8}}
}

// Recorder keeps counts, levels and times in memory, of the last hour by ten seconds, of the last
// day by the minute and of the last 30 days by the hour. Safe for concurrent use. After the clock
// was set back it starts anew.
type Recorder struct {
	now func() time.Time

	mu     sync.Mutex
	since  time.Time
	heads  [3]int64 // the newest slot of each tier, since 1970
	series map[Key]*[3][]float64
	of     map[Key]int // values of a dimension that have a series
}

// NewRecorder returns an empty one.
func NewRecorder(now func() time.Time) *Recorder {
	r := &Recorder{now: now}
	r.reset(now())
	return r
}

func (r *Recorder) reset(now time.Time) {
	r.since, r.series, r.of = now, map[Key]*[3][]float64{}, map[Key]int{}
	for i, t := range tiers() {
		r.heads[i] = now.UnixNano() / int64(t.step)
	}
}

// Add counts n more.
func (r *Recorder) Add(name string, n float64) { r.put(Key{Name: name, Stat: Sum}, n) }

// AddOf counts n more of a value of a dimension. Values after the first 300 are [Other].
func (r *Recorder) AddOf(name, by, of string, n float64) { r.put(Key{name, Sum, by, of}, n) }

// Level notes a level as it is now. A step has its highest.
func (r *Recorder) Level(name string, value float64) { r.put(Key{Name: name, Stat: Max}, value) }

// Time notes how long something took, in milliseconds.
func (r *Recorder) Time(name string, ms float64) {
	r.put(Key{name, bucketStat, "", strconv.Itoa(bucketOf(ms))}, 1)
}

func (r *Recorder) put(k Key, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(r.now())
	s := r.named(k)
	if s == nil {
		return
	}
	for i, t := range tiers() {
		slot := &s[i][r.heads[i]%t.slots]
		switch {
		case k.Stat != Max:
			*slot += value
		case math.IsNaN(*slot) || *slot < value:
			*slot = value
		}
	}
}

// named returns a series, a new one if there is none and room for it.
func (r *Recorder) named(k Key) *[3][]float64 {
	if s := r.series[k]; s != nil {
		return s
	}
	all := Key{Name: k.Name, Stat: k.Stat, By: k.By}
	if k.By != "" && k.Of != Other {
		if r.of[all] >= maxOf {
			k.Of = Other
			return r.named(k)
		}
		r.of[all]++
	}
	if len(r.series) >= maxSeries {
		return nil
	}
	s := &[3][]float64{}
	for i, t := range tiers() {
		s[i] = slices.Repeat([]float64{empty(k)}, int(t.slots))
	}
	r.series[k] = s
	return s
}

// empty is the value of a slot in which nothing happened.
func empty(k Key) float64 {
	if k.Stat == Max {
		return math.NaN()
	}
	return 0
}

// advance empties the slots that began since the last call.
func (r *Recorder) advance(now time.Time) {
	for i, t := range tiers() {
		head := now.UnixNano() / int64(t.step)
		if head < r.heads[i]-1 {
			r.reset(now)
			return
		}
		for slot := max(r.heads[i]+1, head-t.slots+1); slot <= head; slot++ {
			for k, s := range r.series {
				s[i][slot%t.slots] = empty(k)
			}
		}
		r.heads[i] = max(r.heads[i], head)
	}
}

// Data returns everything in a window. Its step is best a multiple of what is kept of its begin.
func (r *Recorder) Data(w Window) Data {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(r.now())
	d := Data{Window: w, Since: r.since.UTC(), Series: []Series{}}
	buckets := map[string]map[int]Values{} // by metric
	for _, k := range slices.SortedFunc(maps.Keys(r.series), compareKeys) {
		values := r.read(k, w)
		if k.Stat != bucketStat {
			d.Series = append(d.Series, Series{k, values})
			continue
		}
		if buckets[k.Name] == nil {
			buckets[k.Name] = map[int]Values{}
		}
		b, _ := strconv.Atoi(k.Of) // ours
		buckets[k.Name][b] = values
	}
	for _, name := range slices.Sorted(maps.Keys(buckets)) {
		d.Series = append(d.Series, Series{Key{Name: name, Stat: P50}, quantiles(buckets[name], w, 0.5)},
			Series{Key{Name: name, Stat: P99}, quantiles(buckets[name], w, 0.99)})
	}
	return d
}

// read sums a series' slots by the window's steps. The tier is the finest that reaches back to its
// begin, or to the recorder's own.
func (r *Recorder) read(k Key, w Window) Values {
	i, all := 0, tiers()
	begin := w.From
	if r.since.After(begin) {
		begin = r.since
	}
	oldest := func(i int) int64 { return r.heads[i] - all[i].slots + 1 }
	for i < len(all)-1 && begin.UnixNano()/int64(all[i].step) < oldest(i) {
		i++
	}
	values := slices.Repeat(Values{math.NaN()}, w.Steps)
	t, slots := all[i], r.series[k][i]
	for step := range values {
		from, to := w.At(step), w.At(step+1)
		if !to.After(r.since) || from.After(r.now()) {
			continue
		}
		values[step] = empty(k)
		first := (from.UnixNano() + int64(t.step) - 1) / int64(t.step)
		for slot := max(first, oldest(i)); slot <= r.heads[i] && slot*int64(t.step) < to.UnixNano(); slot++ {
			switch v := slots[slot%t.slots]; {
			case k.Stat != Max:
				values[step] += v
			case math.IsNaN(values[step]) || values[step] < v:
				values[step] = v
			}
		}
	}
	return values
}
