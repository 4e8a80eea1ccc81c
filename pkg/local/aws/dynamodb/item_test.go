package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// What does not fit into 16 MB comes back as keys to ask for again.
func TestBatchGetStopsAtSixteenMegabytes(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	var keys []attrs
	large := strings.Repeat("x", 390<<10)
	var wg sync.WaitGroup
	for i := range 43 {
		keys = append(keys, attrs{"pk": str(fmt.Sprintf("%02d", i))})
		wg.Go(func() {
			if _, err := s.PutItem(context.Background(), &sdk.PutItemInput{TableName: aws.String("things"), Item: attrs{"pk": str(fmt.Sprintf("%02d", i)), "x": str(large)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := map[string]types.KeysAndAttributes{"things": {Keys: keys}}
	seen := map[string]bool{}
	for rounds := 0; len(want) > 0; rounds++ {
		out, err := s.BatchGetItem(context.Background(), &sdk.BatchGetItemInput{RequestItems: want})
		if err != nil || rounds > 1 {
			t.Fatal(rounds, err)
		}
		for _, id := range ids(out.Responses["things"], "pk") {
			seen[id] = true
		}
		want = out.UnprocessedKeys
	}
	if len(seen) != 43 {
		t.Errorf("%d items, want 43", len(seen))
	}
}
