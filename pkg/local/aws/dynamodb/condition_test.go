package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const conditionFailedText = "ConditionalCheckFailedException: The conditional request failed"

func TestConditions(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	s.put("things", attrs{"pk": str("x"), "s": str("hello"), "n": num("10"), "b": bin("\x01\x02\x03"), "t": boolean(true), "z": null(),
		"l": list(str("a"), num("1"), doc(attrs{"c": str("deep")})), "m": doc(attrs{"k": num("5")}), "ss": strSet("a", "b"), "ns": numSet("1", "2"),
		"open": str("o#3"), "u": str("äöü")})
	v := attrs{":s": str("hello"), ":he": str("he"), ":ll": str("ll"), ":a": str("a"), ":zz": str("zz"), ":S": str("S"), ":SS": str("SS"), ":NULL": str("NULL"),
		":n10": num("10.0"), ":n9": num("9"), ":n11": num("11"), ":n1": num("1e0"), ":n5": num("5"), ":n3": num("3"), ":n6": num("6"), ":n2": num("2"),
		":true": boolean(true), ":b": bin("\x02"), ":b1": bin("\x01"), ":null": null(), ":ss": strSet("b", "a"), ":deep": str("deep"), ":o": str("o#3"), ":x": str("x")}
	names := map[string]string{"#open": "open", "#s": "s"}
	tests := []struct {
		cond string
		err  string
	}{
		{"s = :s", ""}, {"s <> :s", "no"}, {"n = :n10", ""}, {"n < :n11", ""}, {"n < :n10", "no"}, {"n <= :n10", ""}, {"n > :n9", ""}, {"n >= :n11", "no"},
		{":n9 < n", ""}, {"n = :s", "no"}, {"n <> :s", ""}, {"n < :s", "no"}, {"n >= :s", "no"},
		{"gone = :s", "no"}, {"gone <> :s", ""}, {"gone < :n9", "no"}, {"NOT gone < :n9", ""}, {"gone = absent", "no"}, {"gone <> absent", ""},
		{"n BETWEEN :n9 AND :n11", ""}, {"n between :n10 and :n10", ""}, {"n BETWEEN :n1 AND :n9", "no"}, {"s BETWEEN :he AND :zz", ""},
		{"s IN (:he, :s)", ""}, {"s IN (:he)", "no"}, {"gone IN (:s)", "no"},
		{"attribute_exists(s) AND attribute_not_exists(gone)", ""}, {"attribute_exists(m.k)", ""}, {"attribute_exists(m.q)", "no"}, {"attribute_exists(l[2].c)", ""}, {"attribute_not_exists(l[3])", ""},
		{"attribute_type(s, :S)", ""}, {"attribute_type(n, :S)", "no"}, {"attribute_type(ss, :SS)", ""}, {"attribute_type(z, :NULL)", ""},
		{"begins_with(s, :he)", ""}, {"begins_with(s, :ll)", "no"}, {"begins_with(n, :he)", "no"}, {"begins_with(b, :b1)", ""},
		{"contains(s, :ll)", ""}, {"contains(ss, :a)", ""}, {"contains(ss, :zz)", "no"}, {"contains(ns, :n1)", ""}, {"contains(l, :n1)", ""}, {"contains(l, :zz)", "no"}, {"contains(b, :b)", ""}, {"contains(n, :n1)", "no"},
		{"size(s) = :n5", ""}, {"size(l) = :n3", ""}, {"size(m) = :n1", ""}, {"size(ss) = :n2", ""}, {"size(b) = :n3", ""}, {"size(u) = :n6", ""}, {"size(n) < :n11", "no"}, {"size(gone) < :n11", "no"},
		{"t = :true", ""}, {"z = :null", ""}, {"ss = :ss", ""}, {"l[0] = :a", ""}, {"l[2].c = :deep", ""}, {"m.k = :n5", ""},
		{"#open = :o", ""}, {"#s = :s", ""}, {"pk = :x", ""},
		{"s = :a OR n = :n10 AND t = :true", ""}, {"(s = :a OR n = :n10) AND gone = :a", "no"}, {"NOT s = :a AND n = :n10", ""}, {"NOT (s = :s AND n = :n10)", "no"}, {"(s) = (:s)", ""},

		{"open = :o", "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: open"},
		{"((s = :s))", "Invalid ConditionExpression: The expression has redundant parentheses;"},
		{"s = :s AND", `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "AND <EOF>"`},
		{"s == :s", `Invalid ConditionExpression: Syntax error; token: "=", near: "= = :s"`},
		{"s ! :s", `Invalid ConditionExpression: Syntax error; token: "!", near: "s ! :s"`},
		{"s", `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "s <EOF>"`},
		{"nope(s)", "Invalid ConditionExpression: Invalid function name; function: nope"},
		{"Begins_with(s, :he)", "Invalid ConditionExpression: Invalid function name; function: Begins_with"},
		{"size(s)", "Invalid ConditionExpression: The function is not allowed to be used this way in an expression; function: size"},
		{"contains(s, :he) = :true", "Invalid ConditionExpression: The function is not allowed to be used this way in an expression; function: contains"},
		{"begins_with(s)", "Invalid ConditionExpression: Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1"},
		{"begins_with(s, :n1)", "Invalid ConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
		{"attribute_exists(:s)", "Invalid ConditionExpression: Operator or function requires a document path; operator or function: attribute_exists"},
		{"attribute_type(s, :he)", "Invalid ConditionExpression: Invalid attribute type name found; type: he, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
		{"s = s", "Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [s]"},
		{"n BETWEEN :n11 AND :n9", "Invalid ConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:11}, upper bound operand: AttributeValue: {N:9}"},
		{"n BETWEEN :n9 AND :s", "Invalid ConditionExpression: The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {S:hello}"},
		{"t < :true", "Invalid ConditionExpression: Incorrect operand type for operator or function; operator: <, operand type: BOOL"},
		{"pk.a = :s", "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk"},
		{"s = :undefined", "Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :undefined"},
		{"l[99999999999] = :s", "Invalid ConditionExpression: List index is not within the allowable range; index: [99999999999]"},
		{strings.Repeat("a", 4097), "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"},
		{"s = :s" + strings.Repeat(" OR s=:s", 151), "Invalid ConditionExpression: The expression contains too many operators; operator count: 301"},
		{"s IN (:s" + strings.Repeat(",:s", 100) + ")", "Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101"},
		{"", "Invalid ConditionExpression: The expression can not be empty;"},
	}
	for _, tc := range tests {
		name := tc.cond
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(name, func(t *testing.T) {
			in := &sdk.UpdateItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("x")}, ConditionExpression: aws.String(tc.cond),
				ExpressionAttributeNames: usedNames(tc.cond, names), ExpressionAttributeValues: usedValues(tc.cond, v)}
			_, err := s.UpdateItem(context.Background(), in)
			want := tc.err
			switch {
			case want == "no":
				want = conditionFailedText
			case want != "":
				want = "ValidationException: " + want
			}
			wantError(t, err, want)
		})
	}
}

// usedValues picks the placeholders that stand in the expression.
func usedValues(text string, all attrs) attrs {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ()=<>,", r) })
	out := attrs{}
	for _, w := range words {
		if v, ok := all[w]; ok {
			out[w] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func usedNames(text string, all map[string]string) map[string]string {
	var out map[string]string
	for k, v := range all {
		if strings.Contains(text, k) {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

func TestLegacyParametersAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	key := attrs{"pk": str("x")}
	exists := map[string]types.ExpectedAttributeValue{"a": {Exists: aws.Bool(false)}}
	cond := map[string]types.Condition{"pk": {ComparisonOperator: "EQ", AttributeValueList: []av{str("x")}}}
	name := aws.String("things")
	calls := map[string]func() error{
		"Expected": func() error {
			_, err := s.PutItem(context.Background(), &sdk.PutItemInput{TableName: name, Item: key, Expected: exists})
			return err
		},
		"AttributeUpdates": func() error {
			_, err := s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: name, Key: key, AttributeUpdates: map[string]types.AttributeValueUpdate{"a": {Value: str("x")}}})
			return err
		},
		"KeyConditions": func() error {
			_, err := s.Query(context.Background(), &sdk.QueryInput{TableName: name, KeyConditions: cond})
			return err
		},
		"QueryFilter": func() error {
			_, err := s.Query(context.Background(), &sdk.QueryInput{TableName: name, QueryFilter: cond})
			return err
		},
		"ScanFilter": func() error {
			_, err := s.Scan(context.Background(), &sdk.ScanInput{TableName: name, ScanFilter: cond})
			return err
		},
		"ConditionalOperator": func() error {
			_, err := s.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: name, Key: key, ConditionalOperator: "AND"})
			return err
		},
		"AttributesToGet": func() error {
			_, err := s.GetItem(context.Background(), &sdk.GetItemInput{TableName: name, Key: key, AttributesToGet: []string{"a"}})
			return err
		},
		"LocalSecondaryIndexes": func() error {
			_, err := s.CreateTable(context.Background(), &sdk.CreateTableInput{TableName: aws.String("other"), BillingMode: "PAY_PER_REQUEST",
				AttributeDefinitions:  []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: "S"}},
				KeySchema:             []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}},
				LocalSecondaryIndexes: []types.LocalSecondaryIndex{{IndexName: aws.String("lsi"), KeySchema: []types.KeySchemaElement{}, Projection: &types.Projection{}}}})
			return err
		},
	}
	for member, call := range calls {
		t.Run(member, func(t *testing.T) {
			wantError(t, call(), fmt.Sprintf("ValidationException: %s is not supported by this embedded DynamoDB", member))
		})
	}
	_, err := s.db.Service().Operations["PutItem"](context.Background(), []byte(`{"TableName":"things","Item":{"pk":{"S":"x"}},"Surprise":1}`))
	wantError(t, err, "not an AWS error: ValidationException: the member \"Surprise\" is not supported by this embedded DynamoDB")
}
