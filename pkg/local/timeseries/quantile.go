package timeseries

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// bucketStat is the statistic of a bucket of times, which stays within the recorder.
const bucketStat = "bucket"

// growth is how much larger a bucket's times are than those of the one before: a quantile is off by
// a tenth at most.
const growth = 1.2

// bucketOf returns the bucket of a time in milliseconds; 0 has what is under a millisecond.
func bucketOf(ms float64) int {
	const most = 130 // 200 days
	if !(ms >= 1) {
		return 0
	}
	return min(1+int(math.Log(ms)/math.Log(growth)), most)
}

// middle is the time that stands for a bucket's.
func middle(bucket int) float64 {
	if bucket == 0 {
		return 0.5
	}
	return math.Pow(growth, float64(bucket)-0.5)
}

// quantiles returns the time that a part q of those of each step did not exceed, NaN for a step
// without one.
func quantiles(buckets map[int]Values, w Window, q float64) Values {
	values, order := make(Values, w.Steps), slices.Sorted(maps.Keys(buckets))
	for step := range values {
		total := 0.0
		for _, b := range order {
			if n := buckets[b][step]; n > 0 {
				total += n
			}
		}
		values[step] = math.NaN()
		seen := 0.0
		for _, b := range order {
			if n := buckets[b][step]; n > 0 {
				if seen += n; seen >= q*total {
					values[step] = middle(b)
					break
				}
			}
		}
	}
	return values
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Stat, b.Stat), cmp.Compare(a.By, b.By), cmp.Compare(a.Of, b.Of))
}
