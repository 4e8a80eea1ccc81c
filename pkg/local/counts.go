package local

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/jsonscan"
)

// Counts are the functions' metrics since the start, by name. Safe for concurrent use.
type Counts struct {
	mu     sync.Mutex
	values map[string]int64
}

// shown are the metrics in the line of counts, in the order of the flow. Age is left out: its
// sum means nothing.
func shown() []string {
	return []string{
		limits.MetricReceived, limits.MetricRejected, limits.MetricEnqueued, limits.MetricSecretUnusable,
		limits.MetricDone, limits.MetricDuplicate, limits.MetricBusy, limits.MetricSuperseded,
		limits.MetricFailed, limits.MetricStoreDown, limits.MetricThrottled, limits.MetricNoTime, limits.MetricNewer, limits.MetricWaiting, limits.MetricDeadLettered,
		limits.MetricHeld, limits.MetricMissed, limits.MetricRequeued, limits.MetricPolicyIgnored, limits.MetricMismatched, limits.MetricDeferred,
		limits.MetricOutboxSent, limits.MetricOutboxFailed,
		limits.MetricDelivered, limits.MetricDeliveryFailed, limits.MetricDeliveryWaiting, limits.MetricDeliveryDead, limits.MetricDestinationDisabled,
	}
}

// String returns one line, without the metrics that are zero.
func (c *Counts) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var words []string
	for _, name := range shown() {
		if n := c.values[name]; n > 0 {
			words = append(words, fmt.Sprintf("%s %d", name, n))
		}
	}
	return strings.Join(words, ", ")
}

// Get returns one metric's sum.
func (c *Counts) Get(name string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[name]
}

// add adds the metrics that a line's directive names, and returns their names.
func (c *Counts) add(directive string, fields []pair) map[string]bool {
	text := []byte(directive)
	if !json.Valid(text) {
		return nil
	}
	names := map[string]bool{}
	for set := range jsonscan.Elements(jsonscan.Get(text, "CloudWatchMetrics")) {
		for m := range jsonscan.Elements(jsonscan.Get(set, "Metrics")) {
			names[jsonscan.Text(jsonscan.Get(m, "Name"))] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range fields {
		if n, err := strconv.ParseInt(f.value, 10, 64); err == nil && names[f.key] {
			c.values[f.key] += n
		}
	}
	return names
}
