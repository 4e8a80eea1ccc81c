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
	"github.com/google/go-cmp/cmp"
)

func TestAllTypesComeBack(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	item := attrs{"pk": str("x"), "empty": str(""), "text": str("a\"<>&\u2028\x00ä😀"), "b": bin("\x00\xff"), "n": num("-1e-3"), "t": boolean(true), "f": boolean(false), "z": null(),
		"l": list(str("a"), list(), doc(attrs{})), "m": doc(attrs{"a b": doc(attrs{"c": num("007.10")})}), "ss": strSet("b", "a"), "ns": numSet("10", "9"),
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{{2}, {1}}}, "naïve name": num("1e20")}
	s.put("things", item)
	item["n"], item["naïve name"] = num("-0.001"), num("100000000000000000000")
	item["m"] = doc(attrs{"a b": doc(attrs{"c": num("7.1")})})
	item["ss"], item["ns"], item["bs"] = strSet("a", "b"), numSet("9", "10"), &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}}
	s.reopen()
	if diff := cmp.Diff(item, s.get("things", attrs{"pk": str("x")}), sameAttrs); diff != "" {
		t.Errorf("item (-want +got)\n%s", diff)
	}
	if got := s.get("things", attrs{"pk": str("other")}); got != nil {
		t.Errorf("item that is not there: %v", got)
	}
}

func deep(levels int) av {
	v := str("x")
	for range levels {
		v = list(v)
	}
	return v
}

func TestItemRefusals(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "sk", keyType("sk", "B"), gsi("list", "g", "", "ALL"))
	item := func(more attrs) attrs {
		out := attrs{"pk": str("x"), "sk": bin("y")}
		for k, v := range more {
			if v == nil {
				delete(out, k)
			} else {
				out[k] = v
			}
		}
		return out
	}
	const bad = "One or more parameter values were invalid: "
	filler := 400<<10 - len("pk"+"x"+"sk"+"y"+"f")
	tests := []struct {
		name string
		item attrs
		err  string
	}{
		{"no range key", item(attrs{"sk": nil}), bad + "Missing the key sk in the item"},
		{"key of another type", item(attrs{"pk": num("1")}), bad + "Type mismatch for key pk expected: S actual: N"},
		{"empty hash key", item(attrs{"pk": str("")}), "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
		{"empty range key", item(attrs{"sk": bin("")}), "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: sk"},
		{"longest hash key", item(attrs{"pk": str(strings.Repeat("x", 2048))}), ""},
		{"longer hash key", item(attrs{"pk": str(strings.Repeat("x", 2049))}), bad + "Size of hashkey has exceeded the maximum size limit of2048 bytes"},
		{"longest range key", item(attrs{"sk": bin(strings.Repeat("\x00", 1024))}), ""},
		{"longer range key", item(attrs{"sk": bin(strings.Repeat("x", 1025))}), bad + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"},
		{"index key of another type", item(attrs{"g": num("1")}), bad + "Type mismatch for Index Key g Expected: S Actual: N IndexName: list"},
		{"largest item", item(attrs{"f": str(strings.Repeat("f", filler))}), ""},
		{"larger item", item(attrs{"f": str(strings.Repeat("f", filler+1))}), "Item size has exceeded the maximum allowed size"},
		{"deepest item", item(attrs{"d": deep(32)}), ""},
		{"deeper item", item(attrs{"d": deep(33)}), "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"},
		{"empty set", item(attrs{"s": strSet()}), bad + "An string set  may not be empty"},
		{"empty number set", item(attrs{"s": numSet()}), bad + "An number set  may not be empty"},
		{"duplicates", item(attrs{"s": strSet("a", "b", "a")}), bad + "Input collection [a, b, a] contains duplicates."},
		{"equal numbers", item(attrs{"s": numSet("1", "1.0")}), "Input collection contains duplicates"},
		{"not a number", item(attrs{"n": num("1x")}), "The parameter cannot be converted to a numeric value: 1x"},
		{"empty number", item(attrs{"n": num("")}), "The parameter cannot be converted to a numeric value"},
		{"39 digits", item(attrs{"n": num(strings.Repeat("1", 39))}), "Attempting to store more than 38 significant digits in a Number"},
		{"too large a number", item(attrs{"n": num("1e126")}), "Number overflow. Attempting to store a number with magnitude larger than supported range"},
		{"too small a number", item(attrs{"n": num("1e-131")}), "Number underflow. Attempting to store a number with magnitude smaller than supported range"},
		{"false NULL", item(attrs{"z": &types.AttributeValueMemberNULL{Value: false}}), bad + "Null attribute value types must have the value of true"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, err := s.PutItem(context.Background(), &sdk.PutItemInput{TableName: aws.String("things"), Item: tc.item})
			want := tc.err
			if want != "" {
				want = "ValidationException: " + want
			}
			wantError(t, err, want)
		})
	}
	for name, key := range map[string]attrs{"partial": {"pk": str("x")}, "larger": item(attrs{"z": str("z")}), "other type": item(attrs{"sk": str("y")})} {
		t.Run(name+" key", func(t *testing.T) {
			_, err := s.GetItem(context.Background(), &sdk.GetItemInput{TableName: aws.String("things"), Key: key})
			wantError(t, err, "ValidationException: The provided key element does not match the schema")
		})
	}
}

func TestProjections(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	s.put("things", attrs{"pk": str("x"), "a": num("1"), "l": list(num("0"), doc(attrs{"p": num("1"), "q": num("2")}), num("2")), "m": doc(attrs{"x": doc(attrs{"y": num("3"), "z": num("4")})})})
	tests := []struct {
		projection string
		names      map[string]string
		want       attrs
		err        string
	}{
		{"a, pk", nil, attrs{"a": num("1"), "pk": str("x")}, ""},
		{"l[2], l[0]", nil, attrs{"l": list(num("0"), num("2"))}, ""},
		{"l[1].q, l[1].p, l[9]", nil, attrs{"l": list(doc(attrs{"p": num("1"), "q": num("2")}))}, ""},
		{"m.x.y", nil, attrs{"m": doc(attrs{"x": doc(attrs{"y": num("3")})})}, ""},
		{"m.x.#n", map[string]string{"#n": "z"}, attrs{"m": doc(attrs{"x": doc(attrs{"z": num("4")})})}, ""},
		{"nothing.at_all", nil, attrs{}, ""},
		{"a, a", nil, nil, "ValidationException: Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]"},
		{"a,", nil, nil, `ValidationException: Invalid ProjectionExpression: Syntax error; token: "<EOF>", near: ", <EOF>"`},
		{"a.1b", nil, nil, `ValidationException: Invalid ProjectionExpression: Syntax error; token: "1", near: ". 1 b"`},
		{"status", nil, nil, "ValidationException: Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: status"},
		{"a", map[string]string{"#n": "z"}, nil, "ValidationException: Value provided in ExpressionAttributeNames unused in expressions: keys: {#n}"},
		{"a", map[string]string{"n": "z"}, nil, `ValidationException: ExpressionAttributeNames contains invalid key: Syntax error; key: "n"`},
	}
	for _, tc := range tests {
		t.Run(tc.projection, func(t *testing.T) {
			out, err := s.GetItem(context.Background(), &sdk.GetItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("x")}, ProjectionExpression: &tc.projection, ExpressionAttributeNames: tc.names})
			wantError(t, err, tc.err)
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.want, out.Item, sameAttrs); diff != "" {
				t.Errorf("item (-want +got)\n%s", diff)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	ctx := context.Background()
	s.table("things", "pk", "")
	var keys []attrs
	var puts []types.WriteRequest
	for i := range 101 {
		key := attrs{"pk": str(fmt.Sprint(i))}
		keys = append(keys, key)
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: attrs{"pk": key["pk"], "x": num("1"), "y": num("2")}}})
	}
	write := func(w ...types.WriteRequest) error {
		_, err := s.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"things": w}})
		return err
	}
	wantError(t, write(puts[:26]...), "ValidationException: Too many items requested for the BatchWriteItem call")
	wantError(t, write(puts[0], puts[0]), "ValidationException: Provided list of item keys contains duplicates")
	for i := 0; i < 100; i += 25 {
		wantError(t, write(puts[i:i+25]...), "")
	}
	wantError(t, write(types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: keys[99]}}), "")

	read := func(k ...attrs) (*sdk.BatchGetItemOutput, error) {
		return s.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"things": {Keys: k, ProjectionExpression: aws.String("pk, y")}}})
	}
	out, err := read(keys[:100]...)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(out.Responses["things"]); got != 99 || len(out.UnprocessedKeys) != 0 {
		t.Errorf("%d items, %d unprocessed", got, len(out.UnprocessedKeys))
	}
	if diff := cmp.Diff(attrs{"pk": str("0"), "y": num("2")}, out.Responses["things"][0], sameAttrs); diff != "" {
		t.Errorf("item (-want +got)\n%s", diff)
	}
	_, err = read(keys...)
	wantError(t, err, "ValidationException: Too many items requested for the BatchGetItem call")
	_, err = read(keys[0], keys[0])
	wantError(t, err, "ValidationException: Provided list of item keys contains duplicates")
}

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
