package dynamodb

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameAttrs compares items of the SDK, whose structs have a hidden member.
var sameAttrs = cmpopts.IgnoreUnexported(
	types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{},
	types.AttributeValueMemberBOOL{}, types.AttributeValueMemberNULL{}, types.AttributeValueMemberL{},
	types.AttributeValueMemberM{}, types.AttributeValueMemberSS{}, types.AttributeValueMemberNS{},
	types.AttributeValueMemberBS{})

func TestUpdateExpressions(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	tests := []struct {
		name   string
		before attrs // nil: no item
		update string
		names  map[string]string
		values attrs
		after  attrs // without pk
		err    string
	}{
		{"set on a new item", nil, "SET a = :a", nil, attrs{":a": str("x")}, attrs{"a": str("x")}, ""},
		{"no expression creates the key", nil, "", nil, nil, attrs{}, ""},
		{"add up", attrs{"n": num("1.5")}, "SET n = n + :d", nil, attrs{":d": num("2.25")}, attrs{"n": num("3.75")}, ""},
		{"subtract below zero", attrs{"n": num("1")}, "SET n = :z - n", nil, attrs{":z": num("0")}, attrs{"n": num("-1")}, ""},
		{"counter from nothing", nil, "SET att = if_not_exists(att, :zero) + :one", nil, attrs{":zero": num("0"), ":one": num("1")}, attrs{"att": num("1")}, ""},
		{"if_not_exists keeps", attrs{"a": str("old")}, "SET a = if_not_exists(a, :a)", nil, attrs{":a": str("new")}, attrs{"a": str("old")}, ""},
		{"reads see the item before", attrs{"a": num("1"), "b": num("2")}, "SET a = b, b = a", nil, nil, attrs{"a": num("2"), "b": num("1")}, ""},
		{"list_append", attrs{"l": list(num("1"))}, "SET l = list_append(:x, l)", nil, attrs{":x": list(num("0"))}, attrs{"l": list(num("0"), num("1"))}, ""},
		{"nested function", nil, "SET l = list_append(if_not_exists(l, :none), :x)", nil, attrs{":none": list(), ":x": list(str("a"))}, attrs{"l": list(str("a"))}, ""},
		{"parentheses", attrs{"n": num("5")}, "SET n = (n + (:one))", nil, attrs{":one": num("1")}, attrs{"n": num("6")}, ""},
		{"nested set", attrs{"m": doc(attrs{"x": num("1")})}, "SET m.#y = :v", map[string]string{"#y": "y"}, attrs{":v": num("2")}, attrs{"m": doc(attrs{"x": num("1"), "y": num("2")})}, ""},
		{"list element", attrs{"l": list(num("1"), num("2"))}, "SET l[1] = :v", nil, attrs{":v": num("9")}, attrs{"l": list(num("1"), num("9"))}, ""},
		{"past the end appends in order", attrs{"l": list(num("1"))}, "SET l[9] = :b, l[5] = :a", nil, attrs{":a": str("a"), ":b": str("b")}, attrs{"l": list(num("1"), str("a"), str("b"))}, ""},
		{"remove elements by old index", attrs{"l": list(num("0"), num("1"), num("2"), num("3"))}, "REMOVE l[1], l[2]", nil, nil, attrs{"l": list(num("0"), num("3"))}, ""},
		{"remove past the end", attrs{"l": list(num("0"))}, "REMOVE l[7]", nil, nil, attrs{"l": list(num("0"))}, ""},
		{"append and remove", attrs{"l": list(num("0"))}, "SET l[1] = :v REMOVE l[0]", nil, attrs{":v": num("1")}, attrs{"l": list(num("1"))}, ""},
		{"remove attribute", attrs{"a": num("1"), "b": num("2")}, "remove a, c", nil, nil, attrs{"b": num("2")}, ""},
		{"add number", attrs{"n": num("1")}, "ADD n :d, k :d", nil, attrs{":d": num("2")}, attrs{"n": num("3"), "k": num("2")}, ""},
		{"add to set", attrs{"s": strSet("a")}, "ADD s :d", nil, attrs{":d": strSet("b", "a")}, attrs{"s": strSet("a", "b")}, ""},
		{"delete from set", attrs{"s": strSet("a", "b")}, "DELETE s :d", nil, attrs{":d": strSet("b", "c")}, attrs{"s": strSet("a")}, ""},
		{"emptied set goes", attrs{"s": numSet("1")}, "DELETE s :d", nil, attrs{":d": numSet("1.0")}, attrs{}, ""},
		{"all four", attrs{"a": num("1"), "n": num("1"), "s": strSet("x", "y")}, "ADD n :one SET b = a DELETE s :x REMOVE a", nil,
			attrs{":one": num("1"), ":x": strSet("x")}, attrs{"b": num("1"), "n": num("2"), "s": strSet("y")}, ""},

		{"key", nil, "SET pk = :a", nil, attrs{":a": str("x")}, nil,
			"ValidationException: One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key"},
		{"reserved word", nil, "SET open = :a", nil, attrs{":a": str("x")}, nil,
			"ValidationException: Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: open"},
		{"overlap", nil, "SET a = :a REMOVE a.b", nil, attrs{":a": str("x")}, nil,
			"ValidationException: Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
		{"conflict", nil, "SET a[0] = :a REMOVE a.b", nil, attrs{":a": str("x")}, nil,
			"ValidationException: Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, [0]], path two: [a, b]"},
		{"unused value", nil, "SET a = :a", nil, attrs{":a": str("x"), ":b": str("y")}, nil,
			"ValidationException: Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}"},
		{"unused name", nil, "SET a = :a", map[string]string{"#b": "b"}, attrs{":a": str("x")}, nil,
			"ValidationException: Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"},
		{"undefined value", nil, "SET a = :a", nil, nil, nil,
			"ValidationException: Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :a"},
		{"undefined name", nil, "SET #a = :a", nil, attrs{":a": str("x")}, nil,
			"ValidationException: Invalid UpdateExpression: An expression attribute name used in the document path is not defined; attribute name: #a"},
		{"section twice", nil, "SET a = :a SET b = :a", nil, attrs{":a": str("x")}, nil,
			`ValidationException: Invalid UpdateExpression: The "SET" section can only be used once in an update expression;`},
		{"three operands", nil, "SET a = :a + :a + :a", nil, attrs{":a": num("1")}, nil,
			`ValidationException: Invalid UpdateExpression: Syntax error; token: "+", near: ":a + :a"`},
		{"missing operand", nil, "SET a = b + :a", nil, attrs{":a": num("1")}, nil,
			"ValidationException: The provided expression refers to an attribute that does not exist in the item"},
		{"operand of another type", attrs{"b": str("x")}, "SET a = b + :a", nil, attrs{":a": num("1")}, nil,
			"ValidationException: An operand in the update expression has an incorrect data type"},
		{"literal of another type", nil, "SET a = :a + :a", nil, attrs{":a": str("1")}, nil,
			"ValidationException: Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S"},
		{"parent missing", nil, "SET a.b = :a", nil, attrs{":a": num("1")}, nil,
			"ValidationException: The document path provided in the update expression is invalid for update"},
		{"parent is no list", attrs{"a": doc(attrs{})}, "SET a[0] = :a", nil, attrs{":a": num("1")}, nil,
			"ValidationException: The document path provided in the update expression is invalid for update"},
		{"add a string", nil, "ADD a :a", nil, attrs{":a": str("1")}, nil,
			"ValidationException: Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"},
		{"add to another type", attrs{"a": str("x")}, "ADD a :a", nil, attrs{":a": num("1")}, nil,
			"ValidationException: An operand in the update expression has an incorrect data type"},
		{"39 digits", attrs{"n": num("12345678901234567890123456789012345678")}, "SET n = n + :d", nil, attrs{":d": num("0.1")}, nil,
			"ValidationException: Attempting to store more than 38 significant digits in a Number"},
		{"too large", attrs{"a": str(strings.Repeat("x", 300<<10))}, "SET b = a", nil, nil, nil,
			"ValidationException: Item size to update has exceeded the maximum allowed size"},
		{"empty", nil, " ", nil, nil, nil,
			"ValidationException: Invalid UpdateExpression: The expression can not be empty;"},
	}
	for i, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			key := attrs{"pk": str(tc.name)}
			if tc.before != nil {
				tc.before["pk"] = key["pk"]
				s.put("things", tc.before)
			}
			in := &sdk.UpdateItemInput{TableName: aws.String("things"), Key: key, ExpressionAttributeNames: tc.names,
				ExpressionAttributeValues: tc.values, ReturnValues: types.ReturnValueAllNew}
			if tc.update != "" {
				in.UpdateExpression = &tests[i].update
			}
			out, err := s.UpdateItem(context.Background(), in)
			wantError(t, err, tc.err)
			want := tc.before
			if tc.after != nil {
				tc.after["pk"] = key["pk"]
				want = tc.after
				if diff := cmp.Diff(want, out.Attributes, sameAttrs); diff != "" {
					t.Errorf("ALL_NEW (-want +got)\n%s", diff)
				}
			}
			if diff := cmp.Diff(want, s.get("things", key), sameAttrs); diff != "" {
				t.Errorf("stored (-want +got)\n%s", diff)
			}
		})
	}
}

func TestReturnValues(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	before := attrs{"pk": str("x"), "a": num("1"), "b": doc(attrs{"c": num("2"), "d": num("3")}), "l": list(num("0"), num("1"))}
	tests := []struct {
		mode types.ReturnValue
		want attrs
	}{
		{types.ReturnValueNone, nil},
		{types.ReturnValueAllOld, before},
		{types.ReturnValueAllNew, attrs{"pk": str("x"), "a": num("5"), "b": doc(attrs{"c": num("5"), "d": num("3")}), "l": list(num("0"), num("5")), "z": num("5")}},
		{types.ReturnValueUpdatedOld, attrs{"a": num("1"), "b": doc(attrs{"c": num("2")}), "l": list(num("1"))}},
		{types.ReturnValueUpdatedNew, attrs{"a": num("5"), "b": doc(attrs{"c": num("5")}), "l": list(num("5")), "z": num("5")}},
	}
	for _, tc := range tests {
		t.Run(string(tc.mode), func(t *testing.T) {
			s.put("things", before)
			out, err := s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("x")},
				UpdateExpression: aws.String("SET a = :v, b.c = :v, l[1] = :v, z = :v"), ExpressionAttributeValues: attrs{":v": num("5")}, ReturnValues: tc.mode})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, out.Attributes, sameAttrs); diff != "" {
				t.Errorf("attributes (-want +got)\n%s", diff)
			}
		})
	}
	old, err := s.PutItem(context.Background(), &sdk.PutItemInput{TableName: aws.String("things"), Item: attrs{"pk": str("x")}, ReturnValues: types.ReturnValueAllOld})
	if err != nil || len(old.Attributes) != 5 {
		t.Errorf("put: old item %v, %v", old.Attributes, err)
	}
	_, err = s.PutItem(context.Background(), &sdk.PutItemInput{TableName: aws.String("things"), Item: attrs{"pk": str("x")}, ReturnValues: types.ReturnValueAllNew})
	wantError(t, err, "ValidationException: ReturnValues can only be ALL_OLD or NONE")
	gone, err := s.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("x")}, ReturnValues: types.ReturnValueAllOld})
	if err != nil || len(gone.Attributes) != 1 {
		t.Errorf("delete: old item %v, %v", gone.Attributes, err)
	}
	gone, err = s.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("x")}, ReturnValues: types.ReturnValueAllOld})
	if err != nil || gone.Attributes != nil {
		t.Errorf("delete of nothing: %v, %v", gone.Attributes, err)
	}
}

func TestFailedConditionReturnsTheOldItem(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	item := attrs{"pk": str("x"), "st": str("done")}
	s.put("things", item)
	in := &sdk.UpdateItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("x")}, UpdateExpression: aws.String("SET st = :r"),
		ConditionExpression: aws.String("attribute_not_exists(pk) OR st = :f"), ExpressionAttributeValues: attrs{":r": str("running"), ":f": str("failed")}}
	for _, tc := range []struct {
		mode types.ReturnValuesOnConditionCheckFailure
		want attrs
	}{{"", nil}, {"NONE", nil}, {"ALL_OLD", item}} {
		in.ReturnValuesOnConditionCheckFailure = tc.mode
		_, err := s.UpdateItem(context.Background(), in)
		var failed *types.ConditionalCheckFailedException
		if !errors.As(err, &failed) || failed.ErrorMessage() != "The conditional request failed" {
			t.Fatalf("%q: error %v", tc.mode, err)
		}
		if diff := cmp.Diff(tc.want, failed.Item, sameAttrs); diff != "" {
			t.Errorf("%q: item (-want +got)\n%s", tc.mode, diff)
		}
	}
}
