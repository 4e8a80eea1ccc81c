package dynamostore

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// TestEraseLeavesTheLeader: what leads to a row that has changed meanwhile is not erased either, or no
// later run would find the row.
func TestEraseLeavesTheLeader(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	const row, leader = "OBJ#test#-#sub_1", "FACT#test#-#in_1#paid"
	for key, more := range map[string]item{row: {"ver": num(3)}, leader: {}} {
		more["pk"], more["customer"] = str(key), str("cus_1")
		check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: more})))
	}
	for _, c := range []struct {
		ver  int64
		done bool
	}{{2, false}, {3, true}} {
		done, err := f.operator.Erase(t.Context(), "cus_1", []map[string]any{
			{"pk": row, "customer": "cus_1", "ver": c.ver}, {"pk": leader, "customer": "cus_1"},
		})
		if done != c.done || err != nil {
			t.Fatalf("version %d: done %t, %v", c.ver, done, err)
		}
		for _, key := range []string{row, leader} {
			it, _, err := f.reader.Item(t.Context(), key)
			if got := it["customer"] == nil; got != c.done || err != nil {
				t.Errorf("version %d: %s is erased: %t, %v", c.ver, key, got, err)
			}
		}
	}
}
