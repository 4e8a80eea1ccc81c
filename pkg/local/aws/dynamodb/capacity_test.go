package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

// row makes an item of so many bytes, its key k included.
func row(k string, bytes int, more attrs) attrs {
	item := attrs{"pk": str(k), "v": str(strings.Repeat("x", bytes-len("pk")-len(k)-len("v")))}
	for name, v := range more {
		item[name] = v
	}
	return item
}

// bill is a ConsumedCapacity in one line: the sum, the kind of a transaction, and with
// INDEXES its parts.
func bill(all ...types.ConsumedCapacity) string {
	var lines []string
	for _, c := range all {
		line := fmt.Sprintf("%s %v", *c.TableName, *c.CapacityUnits)
		if c.ReadCapacityUnits != nil {
			line += fmt.Sprintf(" read %v", *c.ReadCapacityUnits)
		}
		if c.WriteCapacityUnits != nil {
			line += fmt.Sprintf(" write %v", *c.WriteCapacityUnits)
		}
		if c.Table != nil {
			line += fmt.Sprintf(" table %v", *c.Table.CapacityUnits)
		}
		for name, u := range c.GlobalSecondaryIndexes {
			line += fmt.Sprintf(" %s %v", name, *u.CapacityUnits)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func one(c *types.ConsumedCapacity) string {
	if c == nil {
		return ""
	}
	return bill(*c)
}

const (
	total   = types.ReturnConsumedCapacityTotal
	indexes = types.ReturnConsumedCapacityIndexes
)

// TestConsumedCapacityOfWrites: 1 unit for each KB of the larger of old and new item, and
// the index entries that change.
func TestConsumedCapacityOfWrites(t *testing.T) {
	s := newServer(t, Options{})
	s.table("rows", "pk", "", gsi("by-n", "n", "", types.ProjectionTypeAll), gsi("keys", "n", "", types.ProjectionTypeKeysOnly))
	put := func(item attrs, asked types.ReturnConsumedCapacity) string {
		out, err := s.PutItem(context.Background(), &sdk.PutItemInput{TableName: aws.String("rows"), Item: item, ReturnConsumedCapacity: asked, ReturnItemCollectionMetrics: "SIZE"})
		if err != nil {
			t.Fatal(err)
		}
		if out.ItemCollectionMetrics != nil {
			t.Error("item collection metrics of a table without local indexes")
		}
		return one(out.ConsumedCapacity)
	}
	remove := func(k string) string {
		out, err := s.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: aws.String("rows"), Key: attrs{"pk": str(k)}, ReturnConsumedCapacity: indexes})
		if err != nil {
			t.Fatal(err)
		}
		return one(out.ConsumedCapacity)
	}
	update := func(k, expression string, values attrs) string {
		out, err := s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: aws.String("rows"), Key: attrs{"pk": str(k)},
			UpdateExpression: &expression, ExpressionAttributeValues: values, ReturnConsumedCapacity: indexes})
		if err != nil {
			t.Fatal(err)
		}
		return one(out.ConsumedCapacity)
	}
	for _, step := range []struct{ name, got, want string }{
		{"not asked", put(row("a", 10, nil), ""), ""},
		{"asked for none", put(row("a", 10, nil), types.ReturnConsumedCapacityNone), ""},
		{"a full KB", put(row("b", 1024, nil), total), "rows 1"},
		{"one byte more", put(row("c", 1025, nil), total), "rows 2"},
		{"a smaller item in its place", put(row("c", 10, nil), indexes), "rows 2 table 2"},
		{"deleted", remove("c"), "rows 1 table 1"},
		{"deleted that is not there", remove("none"), "rows 1 table 1"},
	} {
		if step.got != step.want {
			t.Errorf("%s: %q, want %q", step.name, step.got, step.want)
		}
	}
	for _, step := range []struct {
		name, got string
		want      []string
	}{
		{"into the indexes", put(row("i", 2000, attrs{"n": str("1")}), indexes), []string{"rows 5 table 2", " by-n 2", " keys 1"}},
		{"another attribute", update("i", "SET w = :w", attrs{":w": str("w")}), []string{"rows 4 table 2", " by-n 2"}},
		{"nothing changes", update("i", "SET w = :w", attrs{":w": str("w")}), []string{"rows 2 table 2"}},
		{"the index key changes", update("i", "SET n = :n", attrs{":n": str("2")}), []string{"rows 8 table 2", " by-n 4", " keys 2"}},
		{"out of the indexes", update("i", "REMOVE n", nil), []string{"rows 5 table 2", " by-n 2", " keys 1"}},
	} {
		length := 0
		for _, part := range step.want {
			length += len(part)
			if !strings.Contains(step.got, part) {
				t.Errorf("%s: %q, want %q in it", step.name, step.got, part)
			}
		}
		if len(step.got) != length {
			t.Errorf("%s: %q, want %q only", step.name, step.got, step.want)
		}
	}
}

// TestConsumedCapacityOfReads: 1 unit for each 4 KB, half when eventually consistent.
func TestConsumedCapacityOfReads(t *testing.T) {
	s := newServer(t, Options{})
	s.table("rows", "pk", "", gsi("by-n", "n", "", types.ProjectionTypeAll))
	for i := range 3 {
		s.put("rows", row(fmt.Sprint(i), 3000, attrs{"n": str("1")}))
	}
	s.put("rows", row("big", 4097, nil))
	ctx, table := context.Background(), aws.String("rows")
	get := func(k string, strongly bool) string {
		out, err := s.GetItem(ctx, &sdk.GetItemInput{TableName: table, Key: attrs{"pk": str(k)}, ConsistentRead: &strongly, ReturnConsumedCapacity: total})
		if err != nil {
			t.Fatal(err)
		}
		return one(out.ConsumedCapacity)
	}
	query := func(index, hash, value string, strongly bool) string {
		in := &sdk.QueryInput{TableName: table, KeyConditionExpression: aws.String(hash + " = :v"), ExpressionAttributeValues: attrs{":v": str(value)},
			ConsistentRead: &strongly, ReturnConsumedCapacity: indexes}
		if index != "" {
			in.IndexName = &index
		}
		out, err := s.Query(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return one(out.ConsumedCapacity)
	}
	scan, err := s.Scan(ctx, &sdk.ScanInput{TableName: table, Limit: aws.Int32(4), Select: types.SelectCount, ReturnConsumedCapacity: total})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := s.BatchGetItem(ctx, &sdk.BatchGetItemInput{ReturnConsumedCapacity: total, RequestItems: map[string]types.KeysAndAttributes{
		"rows": {Keys: []map[string]av{{"pk": str("0")}, {"pk": str("big")}, {"pk": str("none")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ name, got, want string }{
		{"strongly", get("0", true), "rows 1"},
		{"eventually", get("0", false), "rows 0.5"},
		{"over 4 KB", get("big", true), "rows 2"},
		{"not there", get("none", false), "rows 0.5"},
		{"query of the table", query("", "pk", "big", true), "rows 2 table 2"},
		{"query that finds nothing", query("", "pk", "none", false), "rows 0.5 table 0.5"},
		{"query of an index", query("by-n", "n", "1", false), "rows 1.5 table 0 by-n 1.5"},
		{"scan", one(scan.ConsumedCapacity), "rows 2"}, // 13,109 bytes, halved
		{"batch, each item rounded up", bill(batch.ConsumedCapacity...), "rows 2"},
	} {
		if step.got != step.want {
			t.Errorf("%s: %q, want %q", step.name, step.got, step.want)
		}
	}
}

// TestConsumedCapacityOfTransactions: twice as much, and of each table its own.
func TestConsumedCapacityOfTransactions(t *testing.T) {
	s := newServer(t, Options{})
	s.table("rows", "pk", "", gsi("by-n", "n", "", types.ProjectionTypeAll))
	s.table("more", "pk", "")
	ctx := context.Background()
	write := func() string {
		out, err := s.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{ReturnConsumedCapacity: total, ClientRequestToken: aws.String("t1"), TransactItems: []types.TransactWriteItem{
			{Put: &types.Put{TableName: aws.String("rows"), Item: row("a", 1500, attrs{"n": str("1")})}},
			{ConditionCheck: &types.ConditionCheck{TableName: aws.String("rows"), Key: attrs{"pk": str("b")}, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
			{Put: &types.Put{TableName: aws.String("more"), Item: row("a", 100, nil)}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return bill(out.ConsumedCapacity...)
	}
	batch := func() string {
		out, err := s.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{ReturnConsumedCapacity: total, RequestItems: map[string][]types.WriteRequest{
			"rows": {{PutRequest: &types.PutRequest{Item: row("c", 1500, nil)}}, {DeleteRequest: &types.DeleteRequest{Key: attrs{"pk": str("none")}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return bill(out.ConsumedCapacity...)
	}
	read := func(keys ...string) (string, error) {
		in := &sdk.TransactGetItemsInput{ReturnConsumedCapacity: total}
		for _, k := range keys {
			in.TransactItems = append(in.TransactItems, types.TransactGetItem{Get: &types.Get{TableName: aws.String("rows"), Key: attrs{"pk": str(k)}}})
		}
		out, err := s.TransactGetItems(ctx, in)
		if err != nil {
			return "", err
		}
		return bill(out.ConsumedCapacity...), nil
	}
	got := []string{write(), write(), batch()}
	both, err := read("a", "none")
	want := []string{
		"more 2 write 2, rows 8 write 8", // 2 × 2 KB, 2 × the check, 2 for the entry
		"more 2 read 2, rows 4 read 4",   // repeated with its token
		"rows 3",
		"rows 4 read 4",
	}
	if diff := cmp.Diff(want, append(got, both)); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
	_, err = read("a", "b", "a")
	wantError(t, err, "ValidationException: Transaction request cannot include multiple operations on one item")
	if _, err := read("none", "gone"); err != nil {
		t.Error(err)
	}
}
