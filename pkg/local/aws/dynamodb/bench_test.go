package dynamodb

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// BenchmarkConditionalUpdate claims items: one condition, six attributes, over
// HTTP with the real client, and without the wire.
func BenchmarkConditionalUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("wire/%d", writers), func(b *testing.B) { benchWire(b, writers) })
		b.Run(fmt.Sprintf("direct/%d", writers), func(b *testing.B) { benchDirect(b, writers) })
	}
}

const (
	benchUpdate    = "SET st = :r, own = :o, lease = :l, upd = :l, att = if_not_exists(att, :z) + :one, first_at = if_not_exists(first_at, :l)"
	benchCondition = "attribute_not_exists(pk) OR st = :f OR (st = :r AND lease < :l)"
)

// spread runs f b.N times in all, from that many goroutines, and reports the rate.
func spread(b *testing.B, writers int, f func(i int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

func benchWire(b *testing.B, writers int) {
	s := benchServer(b)
	values := attrs{":r": str("running"), ":f": str("failed"), ":o": str("0123456789abcdef0123456789abcdef"), ":l": num("1700000000000"), ":z": num("0"), ":one": num("1")}
	spread(b, writers, func(i int64) error {
		_, err := s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: aws.String("things"), Key: attrs{"pk": str(fmt.Sprintf("EVT#evt_%d", i))},
			UpdateExpression: aws.String(benchUpdate), ConditionExpression: aws.String(benchCondition), ExpressionAttributeValues: values,
			ReturnValues: "ALL_NEW", ReturnValuesOnConditionCheckFailure: "ALL_OLD"})
		return err
	})
}

func benchDirect(b *testing.B, writers int) {
	s := benchServer(b)
	op := s.db.Service().Operations["UpdateItem"]
	spread(b, writers, func(i int64) error {
		body := fmt.Sprintf(`{"TableName":"things","Key":{"pk":{"S":"EVT#evt_%d"}},"UpdateExpression":%q,"ConditionExpression":%q,"ReturnValues":"ALL_NEW",`+
			`"ExpressionAttributeValues":{":r":{"S":"running"},":f":{"S":"failed"},":o":{"S":"0123456789abcdef0123456789abcdef"},":l":{"N":"1700000000000"},":z":{"N":"0"},":one":{"N":"1"}}}`,
			i, benchUpdate, benchCondition)
		_, err := op(context.Background(), []byte(body))
		return err
	})
}

func benchServer(b *testing.B) *server {
	s := newServer(b, Options{})
	s.table("things", "pk", "", gsi("list", "lpk", "lsk"))
	return s
}
