package sqs_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestAttributeRules(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	one := func(name, kind, value string) map[string]types.MessageAttributeValue {
		return map[string]types.MessageAttributeValue{name: {DataType: &kind, StringValue: &value}}
	}
	const bad, good, unsupported = "InvalidParameterValue", "", "AWS.SimpleQueueService.UnsupportedOperation"
	cases := []struct {
		name string
		in   map[string]types.MessageAttributeValue
		want string
	}{
		{"reserved name in other case", one("amaZon.x", "String", "v"), bad},
		{"name with AWS inside", one("myAWS.x", "String", "v"), good},
		{"period first", one(".x", "String", "v"), bad},
		{"period last", one("x.", "String", "v"), bad},
		{"name of 256", one(strings.Repeat("n", 256), "String", "v"), good},
		{"name of 257", one(strings.Repeat("n", 257), "String", "v"), bad},
		{"custom type", one("x", "String.mine", "v"), good},
		{"bytes in a string's place", map[string]types.MessageAttributeValue{"x": {DataType: aws.String("String"), BinaryValue: []byte("v")}}, bad},
		{"string in the bytes' place", one("x", "Binary", "v"), bad},
		{"list", map[string]types.MessageAttributeValue{"x": {DataType: aws.String("String"), StringListValues: []string{"v"}}}, unsupported},
		{"number", one("x", "Number", "-12.50e3"), good},
		{"zero", one("x", "Number", "0"), good},
		{"38 digits", one("x", "Number", strings.Repeat("9", 38)), good},
		{"39 digits", one("x", "Number", strings.Repeat("9", 39)), bad},
		{"10^126", one("x", "Number", "1e126"), good},
		{"10^127", one("x", "Number", "1e127"), bad},
		{"10^-129", one("x", "Number", "1e-129"), bad},
		{"only a sign", one("x", "Number", "-"), bad},
	}
	for _, c := range cases {
		_, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("b"), MessageAttributes: c.in})
		if got := codeOf(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
