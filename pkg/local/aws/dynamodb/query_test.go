package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

// ids returns the string or number attribute of each item, in order.
func ids(items []attrs, name string) []string {
	var out []string
	for _, it := range items {
		switch v := it[name].(type) {
		case *types.AttributeValueMemberS:
			out = append(out, v.Value)
		case *types.AttributeValueMemberN:
			out = append(out, v.Value)
		}
	}
	return out
}

func TestQueryByRangeKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("words", "pk", "sk")
	s.table("numbers", "pk", "sk", keyType("sk", "N"))
	for _, sk := range []string{"a", "ab", "abc", "b", "b\x00", "b\x00c", "c", "ä"} {
		s.put("words", attrs{"pk": str("p"), "sk": str(sk)})
		s.put("words", attrs{"pk": str("pp"), "sk": str(sk)})
	}
	for _, sk := range []string{"-100", "-2.5", "-2", "0", "0.001", "1", "9", "10", "1e20"} {
		s.put("numbers", attrs{"pk": str("p"), "sk": num(sk)})
	}
	tests := []struct {
		table, cond string
		a, b        av
		want        []string
		err         string
	}{
		{"words", "pk = :p", nil, nil, []string{"a", "ab", "abc", "b", "b\x00", "b\x00c", "c", "ä"}, ""},
		{"words", ":p = pk", nil, nil, []string{"a", "ab", "abc", "b", "b\x00", "b\x00c", "c", "ä"}, ""},
		{"words", "pk = :p AND sk = :a", str("b"), nil, []string{"b"}, ""},
		{"words", "sk = :a AND pk = :p", str("b\x00"), nil, []string{"b\x00"}, ""},
		{"words", "(pk = :p) AND (sk < :a)", str("b"), nil, []string{"a", "ab", "abc"}, ""},
		{"words", "pk = :p AND sk <= :a", str("ab"), nil, []string{"a", "ab"}, ""},
		{"words", "pk = :p AND sk > :a", str("b"), nil, []string{"b\x00", "b\x00c", "c", "ä"}, ""},
		{"words", "pk = :p AND :a < sk", str("c"), nil, []string{"ä"}, ""},
		{"words", "pk = :p AND sk >= :a", str("c"), nil, []string{"c", "ä"}, ""},
		{"words", "pk = :p AND sk BETWEEN :a AND :b", str("ab"), str("b"), []string{"ab", "abc", "b"}, ""},
		{"words", "pk = :p AND begins_with(sk, :a)", str("b"), nil, []string{"b", "b\x00", "b\x00c"}, ""},
		{"words", "pk = :p AND begins_with(sk, :a)", str("zz"), nil, nil, ""},
		{"numbers", "pk = :p", nil, nil, []string{"-100", "-2.5", "-2", "0", "0.001", "1", "9", "10", "100000000000000000000"}, ""},
		{"numbers", "pk = :p AND sk > :a", num("-2"), nil, []string{"0", "0.001", "1", "9", "10", "100000000000000000000"}, ""},
		{"numbers", "pk = :p AND sk <= :a", num("-2.50"), nil, []string{"-100", "-2.5"}, ""},
		{"numbers", "pk = :p AND sk BETWEEN :a AND :b", num("0"), num("9.0"), []string{"0", "0.001", "1", "9"}, ""},

		{"words", "pk > :p", nil, nil, nil, "Query key condition not supported"},
		{"words", "sk = :p", nil, nil, nil, "Query condition missed key schema element: pk"},
		{"words", "pk = :p AND another = :a", str("a"), nil, nil, "Query condition missed key schema element: sk"},
		{"words", "pk = :p AND pk = :a", str("a"), nil, nil, "KeyConditionExpressions must only contain one condition per key"},
		{"words", "pk = :p OR sk = :a", str("a"), nil, nil, "Invalid operator used in KeyConditionExpression: OR"},
		{"words", "pk = :p AND sk IN (:a)", str("a"), nil, nil, "Invalid operator used in KeyConditionExpression: IN"},
		{"words", "pk = :p AND contains(sk, :a)", str("a"), nil, nil, "Invalid operator used in KeyConditionExpression: contains"},
		{"words", "pk = :p AND sk = :a", num("1"), nil, nil, "One or more parameter values were invalid: Condition parameter type does not match schema type"},
		{"numbers", "pk = :p AND begins_with(sk, :a)", num("1"), nil, nil, "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
	}
	for _, tc := range tests {
		for _, forward := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%s/%v", tc.table, tc.cond, forward), func(t *testing.T) {
				values := attrs{":p": str("p")}
				if tc.a != nil {
					values[":a"] = tc.a
				}
				if tc.b != nil {
					values[":b"] = tc.b
				}
				want := slices.Clone(tc.want)
				if !forward {
					slices.Reverse(want)
				}
				wantErr := ""
				if tc.err != "" {
					wantErr = "ValidationException: " + tc.err
				}
				in := &sdk.QueryInput{TableName: &tc.table, KeyConditionExpression: &tc.cond, ExpressionAttributeValues: values, ScanIndexForward: &forward}
				out, err := s.Query(context.Background(), in)
				wantError(t, err, wantErr)
				if err != nil {
					return
				}
				if diff := cmp.Diff(want, ids(out.Items, "sk")); diff != "" {
					t.Errorf("range keys (-want +got)\n%s", diff)
				}
				in.Limit = aws.Int32(1) // the same, one item a page
				var got []string
				for p := sdk.NewQueryPaginator(s, in); p.HasMorePages(); {
					page, err := p.NextPage(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, ids(page.Items, "sk")...)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("paged range keys (-want +got)\n%s", diff)
				}
			})
		}
	}
}

func TestQueryShapes(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("words", "pk", "sk")
	for i := range 10 {
		s.put("words", attrs{"pk": str("p"), "sk": str(fmt.Sprint(i)), "even": boolean(i%2 == 0), "x": doc(attrs{"y": num(fmt.Sprint(i))})})
	}
	in := func() *sdk.QueryInput {
		return &sdk.QueryInput{TableName: aws.String("words"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: attrs{":p": str("p")}}
	}
	t.Run("filter counts what it read", func(t *testing.T) {
		q := in()
		q.FilterExpression, q.Limit = aws.String("even = :t"), aws.Int32(5)
		q.ExpressionAttributeValues[":t"] = boolean(true)
		out, err := s.Query(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if out.Count != 3 || out.ScannedCount != 5 || ids([]attrs{out.LastEvaluatedKey}, "sk")[0] != "4" {
			t.Errorf("count %d, scanned %d, last %v", out.Count, out.ScannedCount, out.LastEvaluatedKey)
		}
	})
	t.Run("count", func(t *testing.T) {
		q := in()
		q.Select = types.SelectCount
		out, err := s.Query(context.Background(), q)
		if err != nil || out.Count != 10 || out.Items != nil || out.LastEvaluatedKey != nil {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("projection", func(t *testing.T) {
		q := in()
		q.ProjectionExpression, q.Limit = aws.String("x.y, nothing"), aws.Int32(1)
		out, err := s.Query(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]attrs{{"x": doc(attrs{"y": num("0")})}}, out.Items, sameAttrs); diff != "" {
			t.Errorf("items (-want +got)\n%s", diff)
		}
	})
	refusals := []struct {
		name   string
		change func(*sdk.QueryInput)
		err    string
	}{
		{"filter on the key", func(q *sdk.QueryInput) { q.FilterExpression = aws.String("sk <> :p") }, "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"},
		{"no condition", func(q *sdk.QueryInput) { q.KeyConditionExpression = nil }, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
		{"no such index", func(q *sdk.QueryInput) { q.IndexName = aws.String("nope") }, "The table does not have the specified index: nope"},
		{"limit 0", func(q *sdk.QueryInput) { q.Limit = aws.Int32(0) }, "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"start of another partition", func(q *sdk.QueryInput) { q.ExclusiveStartKey = attrs{"pk": str("q"), "sk": str("1")} }, "The provided starting key is outside query boundaries based on provided conditions"},
		{"start of another form", func(q *sdk.QueryInput) { q.ExclusiveStartKey = attrs{"pk": str("p")} }, "The provided starting key is invalid"},
		{"start outside the range", func(q *sdk.QueryInput) {
			q.KeyConditionExpression, q.ExclusiveStartKey = aws.String("pk = :p AND sk > :p"), attrs{"pk": str("p"), "sk": str("1")}
		}, "The provided starting key does not match the range key predicate"},
		{"projection with count", func(q *sdk.QueryInput) { q.ProjectionExpression, q.Select = aws.String("x"), "COUNT" }, "Cannot specify the ProjectionExpression when choosing to get COUNT"},
		{"overlapping projection", func(q *sdk.QueryInput) { q.ProjectionExpression = aws.String("x, x.y") }, "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x, y]"},
		{"unknown select", func(q *sdk.QueryInput) { q.Select = "SOME" }, "1 validation error detected: Value 'SOME' at 'select' failed to satisfy constraint: Member must satisfy enum value set: [ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES, SPECIFIC_ATTRIBUTES, COUNT]"},
	}
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			q := in()
			tc.change(q)
			_, err := s.Query(context.Background(), q)
			wantError(t, err, "ValidationException: "+tc.err)
		})
	}
}

func TestSparseIndexes(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "", gsi("list", "lpk", "lsk", "ALL"), gsi("keys", "open", "", "KEYS_ONLY"), gsi("some", "lpk", "", "INCLUDE", "a"))
	query := func(index, attr, v string) []attrs {
		t.Helper()
		out, err := s.Query(context.Background(), &sdk.QueryInput{TableName: aws.String("things"), IndexName: &index, KeyConditionExpression: aws.String("#k = :v"),
			ExpressionAttributeNames: map[string]string{"#k": attr}, ExpressionAttributeValues: attrs{":v": str(v)}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Items
	}
	want := func(got []attrs, want ...attrs) {
		t.Helper()
		if diff := cmp.Diff(want, got, sameAttrs); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("index (-want +got)\n%s", diff)
		}
	}
	one := attrs{"pk": str("1"), "lpk": str("L"), "lsk": str("b"), "a": num("1"), "b": num("2")}
	two := attrs{"pk": str("2"), "lpk": str("L"), "lsk": str("a"), "open": str("o")}
	s.put("things", one)
	s.put("things", two)
	s.put("things", attrs{"pk": str("3"), "lpk": str("L")})
	s.put("things", attrs{"pk": str("4")})
	want(query("list", "lpk", "L"), two, one)
	want(query("keys", "open", "o"), attrs{"pk": str("2"), "open": str("o")})
	if got := query("some", "lpk", "L"); len(got) != 3 {
		t.Errorf("%d items in the index without range key, want 3", len(got))
	}
	update := func(key, expression string, values attrs) error {
		_, err := s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: aws.String("things"), Key: attrs{"pk": str(key)}, UpdateExpression: &expression,
			ExpressionAttributeNames: map[string]string{"#open": "open"}, ExpressionAttributeValues: values})
		return err
	}
	if err := update("2", "SET lsk = :z REMOVE #open", attrs{":z": str("z")}); err != nil {
		t.Fatal(err)
	}
	want(query("keys", "open", "o"))
	want(query("list", "lpk", "L"), one, attrs{"pk": str("2"), "lpk": str("L"), "lsk": str("z")})
	wantError(t, update("2", "SET #open = :n", attrs{":n": num("1")}),
		"ValidationException: One or more parameter values were invalid: Type mismatch for Index Key open Expected: S Actual: N IndexName: keys")
	wantError(t, update("2", "SET #open = :e", attrs{":e": str("")}),
		"ValidationException: One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: keys, IndexKey: open")
	if _, err := s.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("1")}}); err != nil {
		t.Fatal(err)
	}
	want(query("list", "lpk", "L"), attrs{"pk": str("2"), "lpk": str("L"), "lsk": str("z")})

	refuse := func(err string, change func(*sdk.QueryInput)) {
		t.Helper()
		q := &sdk.QueryInput{TableName: aws.String("things"), IndexName: aws.String("some"), KeyConditionExpression: aws.String("lpk = :v"), ExpressionAttributeValues: attrs{":v": str("L")}}
		change(q)
		_, got := s.Query(context.Background(), q)
		wantError(t, got, "ValidationException: "+err)
	}
	refuse("Consistent reads are not supported on global secondary indexes", func(q *sdk.QueryInput) { q.ConsistentRead = aws.Bool(true) })
	refuse("One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index some because its projection type is not ALL",
		func(q *sdk.QueryInput) { q.Select = "ALL_ATTRIBUTES" })
	refuse("One or more parameter values were invalid: Global secondary index some does not project [b]", func(q *sdk.QueryInput) { q.ProjectionExpression = aws.String("b") })
}

// Entries of equal index keys are paged without loss, forward and backward.
func TestIndexPagesThroughEqualKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "", gsi("list", "lpk", "lsk", "ALL"))
	for i := range 20 {
		s.put("things", attrs{"pk": str(fmt.Sprint(i)), "lpk": str("L"), "lsk": str(fmt.Sprint(i / 10))})
	}
	for _, forward := range []bool{true, false} {
		p := sdk.NewQueryPaginator(s, &sdk.QueryInput{TableName: aws.String("things"), IndexName: aws.String("list"), KeyConditionExpression: aws.String("lpk = :v"),
			ExpressionAttributeValues: attrs{":v": str("L")}, Limit: aws.Int32(3), ScanIndexForward: &forward})
		seen := map[string]bool{}
		for p.HasMorePages() {
			page, err := p.NextPage(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids(page.Items, "pk") {
				if seen[id] {
					t.Errorf("item %s twice", id)
				}
				seen[id] = true
			}
		}
		if len(seen) != 20 {
			t.Errorf("forward %v: %d items, want 20", forward, len(seen))
		}
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "", gsi("keys", "g", "", "KEYS_ONLY"))
	for i := range 50 {
		item := attrs{"pk": str(fmt.Sprint(i)), "n": num(fmt.Sprint(i))}
		if i < 7 {
			item["g"] = str("x")
		}
		s.put("things", item)
	}
	scan := func(change func(*sdk.ScanInput)) (seen map[string]int) {
		t.Helper()
		in := &sdk.ScanInput{TableName: aws.String("things")}
		change(in)
		seen = map[string]int{}
		for p := sdk.NewScanPaginator(s, in); p.HasMorePages(); {
			page, err := p.NextPage(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids(page.Items, "pk") {
				seen[id]++
			}
		}
		return seen
	}
	if got := scan(func(*sdk.ScanInput) {}); len(got) != 50 {
		t.Errorf("scan: %d items", len(got))
	}
	if got := scan(func(in *sdk.ScanInput) { in.Limit = aws.Int32(7) }); len(got) != 50 {
		t.Errorf("paged scan: %d items", len(got))
	}
	if got := scan(func(in *sdk.ScanInput) { in.IndexName = aws.String("keys") }); len(got) != 7 {
		t.Errorf("index scan: %d items", len(got))
	}
	if got := scan(func(in *sdk.ScanInput) {
		in.FilterExpression, in.ExpressionAttributeValues = aws.String("n < :n"), attrs{":n": num("10")}
	}); len(got) != 10 {
		t.Errorf("filtered scan: %d items", len(got))
	}
	all := map[string]int{}
	for segment := range int32(3) {
		for id, n := range scan(func(in *sdk.ScanInput) {
			in.Segment, in.TotalSegments, in.Limit = &segment, aws.Int32(3), aws.Int32(4)
		}) {
			all[id] += n
		}
	}
	for id, n := range all {
		if n != 1 {
			t.Errorf("item %s in %d segments", id, n)
		}
	}
	if len(all) != 50 {
		t.Errorf("segments: %d items", len(all))
	}
	_, err := s.Scan(context.Background(), &sdk.ScanInput{TableName: aws.String("things"), Segment: aws.Int32(3), TotalSegments: aws.Int32(3)})
	wantError(t, err, "ValidationException: The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 3 is not less than TotalSegments: 3")
	_, err = s.Scan(context.Background(), &sdk.ScanInput{TableName: aws.String("things"), Segment: aws.Int32(0)})
	wantError(t, err, "ValidationException: The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	_, err = s.Scan(context.Background(), &sdk.ScanInput{TableName: aws.String("nowhere")})
	wantError(t, err, "ResourceNotFoundException: Requested resource not found")
}

func TestPagesEndAtOneMegabyte(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "sk")
	for i := range 5 {
		s.put("things", attrs{"pk": str("p"), "sk": str(fmt.Sprint(i)), "x": str(strings.Repeat("x", 300<<10))})
	}
	in := &sdk.QueryInput{TableName: aws.String("things"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: attrs{":p": str("p")}, ProjectionExpression: aws.String("sk")}
	var counts []int32
	for p := sdk.NewQueryPaginator(s, in); p.HasMorePages(); {
		page, err := p.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, page.Count)
	}
	if diff := cmp.Diff([]int32{4, 1}, counts); diff != "" {
		t.Errorf("page sizes (-want +got)\n%s", diff)
	}
}
