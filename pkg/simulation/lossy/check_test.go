package lossy_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/sqsqueue"
)

// item is one item of the table, read past the store.
type item = map[string]types.AttributeValue

// check returns what is wrong at the end of a run: the table is read whole, by another
// way than the product's own.
func (sys *system) check() (wrong []string) {
	table, err := sys.everything()
	if err != nil {
		return []string{err.Error()}
	}
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	facts := map[string]int{}
	var counted, noted int64
	for key, it := range table {
		switch kind, rest, _ := strings.Cut(key, "#"); kind {
		case "FACT":
			id, _, _ := strings.Cut(rest, "#")
			facts[id]++
			noted++
		case "COUNT":
			counted += number(it["n"])
		case "EVT":
		default:
			say("an item %s", key)
		}
	}
	for n := range sys.events {
		id := orderID(n)
		if facts[id] != 1 {
			say("%s has %d facts", id, facts[id])
		}
		sys.checkRecord(table, id, idempotency.Applied, say)
	}
	for n := range sys.plain() {
		sys.checkRecord(table, plainID(n), idempotency.Ignored, say)
	}
	if int64(sys.events) != counted || noted != counted {
		say("%d orders, %d facts, %d counted", sys.events, noted, counted)
	}
	if n := sys.depth(sys.deadURL); n > 0 {
		say("%d dead letters", n)
	}
	slices.Sort(wrong)
	return wrong
}

// checkRecord wants the event done, by one attempt, whose items its record names.
func (sys *system) checkRecord(table map[string]item, id string, outcome idempotency.Outcome, say func(string, ...any)) {
	it, found := table["EVT#"+id]
	if !found {
		say("%s has no record", id)
		return
	}
	if text(it["st"]) != string(idempotency.Done) || text(it["outcome"]) != string(outcome) {
		say("%s is %s, outcome %q", id, text(it["st"]), text(it["outcome"]))
		return
	}
	fx, _ := it["fx"].(*types.AttributeValueMemberL)
	if outcome == idempotency.Ignored {
		if fx != nil {
			say("%s was ignored with effects", id)
		}
		return
	}
	fact := fmt.Sprintf("%s%d", factKey(id), number(it["att"]))
	if fx == nil || len(fx.Value) != 2 || text(fx.Value[0]) != fact || table[fact] == nil {
		say("%s was done by attempt %d, and its record does not name that attempt's fact", id, number(it["att"]))
	}
}

// everything scans the table.
func (sys *system) everything() (map[string]item, error) {
	out := map[string]item{}
	pages := dynamodb.NewScanPaginator(sys.table, &dynamodb.ScanInput{TableName: aws.String(tableName), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, fmt.Errorf("scan the table: %w", err)
		}
		for _, it := range page.Items {
			out[text(it["pk"])] = it
		}
	}
	return out, nil
}

func text(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func number(v types.AttributeValue) int64 {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		return 0
	}
	return i
}

// depth is how many messages a queue holds, or -1 when it does not say.
func (sys *system) depth(url string) int {
	n, err := sqsqueue.New(sys.sqs, url, "", sys.limits).Depth(context.Background())
	if err != nil {
		return -1
	}
	return n
}
