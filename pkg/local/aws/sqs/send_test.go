package sqs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestContentsComeBackAsSent(t *testing.T) {
	bodies := map[string]string{
		"ASCII":           "hello",
		"white space":     "\t\n\r ",
		"JSON":            `{"a":"b\"\\"}`,
		"HTML characters": "<&>\u2028",
		"edges":           "\ud7ff\ue000\ufffd\U00010000\U0010ffff",
		"emoji":           strings.Repeat("😀", 1000),
		"1 MiB":           strings.Repeat("x", 1<<20),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			url := w.queue("q", nil)
			w.send(url, body) // the client compares the digests both ways
			if got := w.bodies(url); len(got) != 1 || got[0] != body {
				t.Errorf("came back as %.60q", got)
			}
		})
	}
}

func TestEscapedSurrogatePairIsOneCharacter(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	if got := w.post("SendMessage", `{"QueueUrl":"`+url+`","MessageBody":"\ud83d\ude00\\u"}`); got != "200  " {
		t.Fatal(got)
	}
	if diff := cmp.Diff([]string{"😀\\u"}, w.bodies(url)); diff != "" {
		t.Error(diff)
	}
}

func TestMessageAttributes(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	text := func(kind, v string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: &kind, StringValue: &v}
	}
	sent := map[string]types.MessageAttributeValue{
		"app.name":  text("String", "tollgate"),
		"app.count": text("Number.int", "42"),
		"other":     {DataType: aws.String("Binary.gif"), BinaryValue: []byte{0, 0xff}},
	}
	out, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("body"),
		MessageAttributes: sent, MessageGroupId: aws.String("acct_1"),
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1-5759e988-bd862e3fe1be46a994272793")}}})
	if err != nil {
		t.Fatal(err)
	}
	// Digests computed apart from this program, by the algorithm of the developer guide.
	want := [3]string{"841a2d689ad86bd1611447453c22c6fc", "f3db0c3320189d0f394d0a6d21cbf3ac", "62a56dd927315f2b2e12832b84617ea5"}
	got := [3]string{*out.MD5OfMessageBody, *out.MD5OfMessageAttributes, *out.MD5OfMessageSystemAttributes}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	all := []string{"app.count", "app.name", "other"}
	cases := []struct {
		name string
		ask  []string
		want []string
	}{
		{"none", nil, nil},
		{"by name", []string{"other"}, []string{"other"}},
		{"all", []string{"All"}, all},
		{"all by pattern", []string{".*"}, all},
		{"by prefix", []string{"app.*"}, []string{"app.count", "app.name"}},
		{"unknown", []string{"nope", "no.*"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.pass(31e9)
			out, err := w.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{QueueUrl: &url, MessageAttributeNames: c.ask,
				MessageSystemAttributeNames: []types.MessageSystemAttributeName{"AWSTraceHeader", "MessageGroupId"}})
			if err != nil || len(out.Messages) != 1 {
				t.Fatalf("%v %v", out, err)
			}
			m := out.Messages[0]
			expect := make(map[string]types.MessageAttributeValue)
			for _, name := range c.want {
				expect[name] = sent[name]
			}
			if diff := cmp.Diff(expect, m.MessageAttributes, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(types.MessageAttributeValue{})); diff != "" {
				t.Error(diff)
			}
			if len(c.want) == 3 && *m.MD5OfMessageAttributes != want[1] {
				t.Error("digest of all attributes differs from the send's")
			}
			system := map[string]string{"AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793", "MessageGroupId": "acct_1"}
			if diff := cmp.Diff(system, m.Attributes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAttributeRules(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	eleven := make(map[string]types.MessageAttributeValue)
	for i := range 11 {
		eleven[fmt.Sprint("a", i)] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("v")}
	}
	one := func(name, kind, value string) map[string]types.MessageAttributeValue {
		return map[string]types.MessageAttributeValue{name: {DataType: &kind, StringValue: &value}}
	}
	const bad, good, unsupported = "InvalidParameterValue", "", "AWS.SimpleQueueService.UnsupportedOperation"
	cases := []struct {
		name string
		in   map[string]types.MessageAttributeValue
		want string
	}{
		{"eleven", eleven, bad},
		{"reserved name", one("AWS.x", "String", "v"), bad},
		{"reserved name in other case", one("amaZon.x", "String", "v"), bad},
		{"name with AWS inside", one("myAWS.x", "String", "v"), good},
		{"period first", one(".x", "String", "v"), bad},
		{"period last", one("x.", "String", "v"), bad},
		{"periods together", one("x..y", "String", "v"), bad},
		{"name with a space", one("x y", "String", "v"), bad},
		{"name of 256", one(strings.Repeat("n", 256), "String", "v"), good},
		{"name of 257", one(strings.Repeat("n", 257), "String", "v"), bad},
		{"unknown type", one("x", "Text", "v"), bad},
		{"custom type", one("x", "String.mine", "v"), good},
		{"empty value", one("x", "String", ""), bad},
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
		{"no number", one("x", "Number", "twelve"), bad},
		{"only a sign", one("x", "Number", "-"), bad},
	}
	for _, c := range cases {
		_, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("b"), MessageAttributes: c.in})
		if got := codeOf(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestQueueOwnSizeLimit(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", map[string]string{"MaximumMessageSize": "1024"})
	w.send(url, strings.Repeat("x", 1024))
	body := strings.Repeat("x", 1025)
	_, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	if codeOf(err) != "InvalidParameterValue" {
		t.Errorf("one byte over: %v", err)
	}
}

func TestSendBatch(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	late := entry("late", "three")
	late.DelaySeconds = 901
	out, err := w.SendMessageBatch(context.Background(), &sdk.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{
		entry("a", "one"), entry("bad", "\x01"), entry("empty", ""), late, entry("b", "two")}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range out.Successful {
		got[*e.Id] = "ok"
	}
	for _, e := range out.Failed {
		got[*e.Id] = fmt.Sprint(*e.Code, e.SenderFault)
	}
	want := map[string]string{"a": "ok", "b": "ok", "bad": "InvalidMessageContentstrue",
		"empty": "MissingParametertrue", "late": "InvalidParameterValuetrue"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"one", "two"}, w.bodies(url)); diff != "" {
		t.Error(diff)
	}
	half := strings.Repeat("x", 1<<19)
	out, err = w.SendMessageBatch(context.Background(), &sdk.SendMessageBatchInput{QueueUrl: &url,
		Entries: []types.SendMessageBatchRequestEntry{entry("a", half), entry("b", half)}})
	if err != nil || len(out.Successful) != 2 {
		t.Errorf("exactly 1 MiB: %v", err)
	}
}

func TestDeleteAndChangeBatches(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	w.send(url, "a", "b", "c")
	m := w.receive(url)
	changed, err := w.ChangeMessageVisibilityBatch(context.Background(), &sdk.ChangeMessageVisibilityBatchInput{QueueUrl: &url,
		Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: aws.String("0"), ReceiptHandle: m[0].ReceiptHandle}, // 0 is the zero value, and sent
			{Id: aws.String("1"), ReceiptHandle: m[1].ReceiptHandle, VisibilityTimeout: 43_201},
			{Id: aws.String("x"), ReceiptHandle: aws.String("nobody's")}}})
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := w.DeleteMessageBatch(context.Background(), &sdk.DeleteMessageBatchInput{QueueUrl: &url,
		Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("2"), ReceiptHandle: m[2].ReceiptHandle},
			{Id: aws.String("x"), ReceiptHandle: aws.String("nobody's")}}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range changed.Successful {
		got["change "+*e.Id] = "ok"
	}
	for _, e := range deleted.Successful {
		got["delete "+*e.Id] = "ok"
	}
	for _, e := range changed.Failed {
		got["change "+*e.Id] = *e.Code
	}
	for _, e := range deleted.Failed {
		got["delete "+*e.Id] = *e.Code
	}
	want := map[string]string{"change 0": "ok", "change 1": "InvalidParameterValue", "change x": "ReceiptHandleIsInvalid",
		"delete 2": "ok", "delete x": "ReceiptHandleIsInvalid"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([3]string{"1", "1", "0"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
}
