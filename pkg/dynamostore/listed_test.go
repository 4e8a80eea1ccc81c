package dynamostore

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
)

func TestListed(t *testing.T) {
	server := serveEmbedded(t)
	client := server.client(nil, true)
	table := server.table(t)
	put := func(pk, lst, at string) {
		t.Helper()
		_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{
			TableName: aws.String(table), Item: item{"pk": str(pk), "lst": str(lst), "at": str(at), "n": num(7)},
		})
		check(t, err)
	}
	for i := range 7 {
		put(fmt.Sprintf("A#%d", i), "ONE", fmt.Sprintf("2026-11-2%dT00:00:00Z", i/2)) // two share a time
	}
	put("B#0", "OTHER", "2026-11-20T00:00:00Z")
	reader := newReader(t, client, table)

	tests := []struct {
		name string
		lst  string
		o    Listed
		want []string
	}{
		{"all", "ONE", Listed{}, []string{"A#0", "A#1", "A#2", "A#3", "A#4", "A#5", "A#6"}},
		{"newest first", "ONE", Listed{NewestFirst: true}, []string{"A#0", "A#1", "A#2", "A#3", "A#4", "A#5", "A#6"}},
		{"from", "ONE", Listed{From: "2026-11-22T00:00:00Z"}, []string{"A#4", "A#5", "A#6"}},
		{"to", "ONE", Listed{To: "2026-11-20T00:00:00Z"}, []string{"A#0", "A#1"}},
		{"between", "ONE", Listed{From: "2026-11-21T00:00:00Z", To: "2026-11-22T00:00:00Z"}, []string{"A#2", "A#3", "A#4", "A#5"}},
		{"another name", "OTHER", Listed{}, []string{"B#0"}},
		{"nothing", "NONE", Listed{}, nil},
	}
	for _, tt := range tests {
		for _, limit := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("%s by %d", tt.name, limit), func(t *testing.T) {
				o := tt.o
				o.Limit = limit
				var got, times []string
				for {
					items, next, err := reader.Listed(t.Context(), tt.lst, o)
					check(t, err)
					if limit > 0 && len(items) > limit {
						t.Fatalf("%d items on a page of %d", len(items), limit)
					}
					for _, i := range items {
						if i["n"] != int64(7) {
							t.Errorf("item %v came without its attributes", i)
						}
						got, times = append(got, i["pk"].(string)), append(times, i["at"].(string))
					}
					if next == "" {
						break
					}
					o.Cursor = next
				}
				if tt.o.NewestFirst {
					slices.Reverse(times)
				}
				if !slices.IsSorted(times) {
					t.Errorf("times %v are out of order", times)
				}
				slices.Sort(got) // those of one time come in any order
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestListedRefuses(t *testing.T) {
	server := serveEmbedded(t)
	reader := newReader(t, server.client(nil, true), server.table(t))
	for name, o := range map[string]Listed{"no base64": {Cursor: "?"}, "no JSON": {Cursor: "eA"}, "no place": {Cursor: "e30"}} {
		if _, _, err := reader.Listed(t.Context(), "X", o); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: %v, want ErrCursor", name, err)
		}
	}
	if _, _, err := reader.Listed(t.Context(), "", Listed{}); err == nil {
		t.Error("a list without a name was read")
	}
}
