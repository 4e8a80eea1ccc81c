//go:build unix

package crash

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/limits"
)

// within bounds the time from the last crash to the last done event: twice the lease and the
// visibility timeout, the back-off of a message that several crashes delayed, and a margin for a
// busy machine.
func within() time.Duration {
	l := limits.Scaled(timeScale)
	d := 2*(lease()+l.Visibility) + busyMachine
	for receives := range 6 {
		d += l.Backoff(receives + 1)
	}
	return d
}

const busyMachine = 30 * time.Second

// depth returns the number of messages in a queue, with hidden and delayed ones.
func (s *system) depth(url string) (sum int, err error) {
	out, err := sqs.NewFromConfig(s.info().AWSConfig()).GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, fmt.Errorf("queue attributes: %w", err)
	}
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			return 0, fmt.Errorf("queue attribute %s: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

// empty waits until a queue is empty.
func (s *system) empty(url string, limit time.Duration) error {
	return eventually(limit, 50*time.Millisecond, func() error {
		n, err := s.depth(url)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d messages are in the queue", n)
		}
		return err
	})
}

// item is a table item's strings and numbers.
type item map[string]string

// items returns the items under a prefix, by the rest of their keys.
func items(all map[string]item, prefix string) map[string]item {
	under := map[string]item{}
	for pk, it := range all {
		if rest, ok := strings.CutPrefix(pk, prefix); ok {
			under[rest] = it
		}
	}
	return under
}

// table reads the whole table consistently.
func (s *system) table() (all map[string]item, err error) {
	all = map[string]item{}
	info, consistent := s.info(), true
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(info.AWSConfig()), &dynamodb.ScanInput{TableName: &info.Table, ConsistentRead: &consistent})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		for _, raw := range page.Items {
			it := item{}
			for name, value := range raw {
				switch v := value.(type) {
				case *dynamotypes.AttributeValueMemberS:
					it[name] = v.Value
				case *dynamotypes.AttributeValueMemberN:
					it[name] = v.Value
				}
			}
			all[it["pk"]] = it
		}
	}
	return all, nil
}

// tableCheck counts what is wrong with a round's events in the table.
type tableCheck struct {
	events, lost, stuck, doubled, retried int
	faults                                []string // the first of each kind, in words
}

func (v *tableCheck) fault(count *int, format string, args ...any) {
	if *count++; *count == 1 {
		v.faults = append(v.faults, fmt.Sprintf(format, args...))
	}
}

// check compares the table with the events answered 200: each must be done in its first generation,
// by one attempt with the only effect.
func (s *system) check(l *load, events int) (v tableCheck, err error) {
	all, err := s.table()
	if err != nil {
		return v, err
	}
	records, facts := items(all, "EVT#evt_"), items(all, "FACT#test#-#in_")
	v.events = events
	byEvent := map[string][]string{} // the attempts that left a fact
	for pk := range facts {
		object, attempt, _ := strings.Cut(pk, "#trial#")
		byEvent[object] = append(byEvent[object], attempt)
	}
	for n := range events {
		id := eventID(n)
		r, outcome, effects := records[id], "applied", 1
		switch l.handler(n) {
		case "unhandled":
			outcome, effects = "ignored", 0
		case "writes_nothing":
			effects = 0
		}
		switch {
		case r == nil:
			v.fault(&v.lost, "%s (%s) was answered 200 and has no record", id, l.handler(n))
			continue
		case r["st"] != "DONE" || r["outcome"] != outcome || r["gen"] != "1":
			v.fault(&v.stuck, "%s (%s) is %s %s by attempt %s in generation %s, want it done and %s in generation 1", id, l.handler(n), r["st"], r["outcome"], r["att"], r["gen"], outcome)
			continue
		}
		if r["att"] != "1" {
			v.retried++
		}
		by := []string{r["att"]}
		if r["att"] == "1" {
			by = append(by, "0") // without a claim
		}
		if done := byEvent[id]; len(done) != effects || effects == 1 && !slices.Contains(by, done[0]) {
			v.fault(&v.doubled, "%s (%s) has effects of the attempts %v and was done by attempt %s", id, l.handler(n), done, r["att"])
		}
	}
	if len(records) != events {
		v.faults = append(v.faults, fmt.Sprintf("%d records for %d events", len(records), events))
	}
	return v, nil
}
