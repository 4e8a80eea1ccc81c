package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func sendChecks() []check {
	const page = "SendMessage, Amazon SQS API Reference"
	return []check{
		{"sqs/send/round-trip", page, "A message is received with its body, id and MD5.", onQueue(sendRoundTrip)},
		{"sqs/send/message-delay", page, "DelaySeconds hides a message at first.", onQueue(sendDelay)},
		{"sqs/send/queue-delay", "Amazon SQS delay queues, Developer Guide", "A queue's delay holds for every message without its own.", sendQueueDelay},
		{"sqs/send/delay-over-900-refused", page, "A delay is at most 900 seconds.", onQueue(sendDelayLimit)},
		{"sqs/send/missing-body-refused", page, "A message has at least one character.", onQueue(sendEmpty)},
		{"sqs/send/unusual-text", page, "Any allowed text comes back byte for byte.", onQueue(sendText)},
	}
}

func messageLimitChecks() []check {
	const page = "Amazon SQS message quotas, Developer Guide"
	return []check{
		{"sqs/limit/message-1-mib", page, "A message has at most 1,048,576 bytes.", onQueue(limitMessage)},
		{"sqs/limit/attributes-count-to-size", page, "Names, types and values of message attributes count to the size.", onQueue(limitMessageAttributes)},
		{"sqs/limit/queue-maximum", "SetQueueAttributes, Amazon SQS API Reference", "A queue may have a smaller maximum.", limitQueueMaximum},
		{"sqs/limit/character-set", page, "Only #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF are allowed; others are refused with InvalidMessageContents.", onQueue(limitCharacters)},
		{"sqs/limit/ten-attributes", page, "A message has at most ten attributes.", onQueue(limitTenAttributes)},
	}
}

func sendRoundTrip(p *probe, url string) {
	body := `{"hello":"wörld"}`
	sent := p.send(url, body)
	p.equal(md5Hex(body), aws.ToString(sent.MD5OfMessageBody), "MD5 of the sent body")
	got := p.takeOne(url, 30)
	p.equal(body, aws.ToString(got.Body), "body")
	p.equal(md5Hex(body), aws.ToString(got.MD5OfBody), "MD5")
	p.equal(aws.ToString(sent.MessageId), aws.ToString(got.MessageId), "message id")
	if aws.ToString(got.ReceiptHandle) == "" {
		p.failf("no receipt handle")
	}
}

func sendDelay(p *probe, url string) {
	start := time.Now()
	p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("later"), DelaySeconds: 2})
	if got := p.receive(receiving(url)); len(got) > 0 && time.Since(start) < 2*time.Second {
		p.failf("received at once")
	}
	p.comesBackWithin(url, start, 1900*time.Millisecond, 2*time.Second+p.slack())
}

func sendQueueDelay(p *probe) {
	url := p.queue(attributes{"DelaySeconds": "2"})
	start := time.Now()
	p.send(url, "later")
	p.comesBackWithin(url, start, 1900*time.Millisecond, 2*time.Second+p.slack())
}

func sendDelayLimit(p *probe, url string) {
	p.sendRefused(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: 901}, badValue, "send with a delay of 901")
	p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: 900})
}

func sendEmpty(p *probe, url string) {
	p.sendRefused(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("")},
		badValue+"|MissingParameter|InvalidMessageContents", "send an empty body")
}

func sendText(p *probe, url string) {
	for _, body := range []string{" leading and trailing ", "line\r\nbreak\ttab", `<xml a="&amp;">]]></xml>`, "\ue000\ufffd😀\U0010ffff", "\u2028", "%41+%20", `\u0041`} {
		p.send(url, body)
		got := p.takeOne(url, 30)
		p.equal(body, aws.ToString(got.Body), "body")
		p.ok(p.remove(url, got), "delete")
	}
}

const mebibyte = 1 << 20

func limitMessage(p *probe, url string) {
	p.send(url, strings.Repeat("x", mebibyte))
	p.equal(mebibyte, len(aws.ToString(p.takeOne(url, 30).Body)), "received bytes")
	p.sendRefused(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(strings.Repeat("x", mebibyte+1))}, badValue, "send 1,048,577 bytes")
	p.sendRefused(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(strings.Repeat("é", mebibyte/2) + "x")}, badValue,
		"send 1,048,577 bytes in half as many characters")
}

func limitMessageAttributes(p *probe, url string) {
	with := func(body int) *sqs.SendMessageInput {
		return &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(strings.Repeat("x", body)),
			MessageAttributes: map[string]types.MessageAttributeValue{"name": stringAttribute("value")}}
	}
	rest := mebibyte - len("name") - len("String") - len("value")
	p.sendInput(with(rest))
	p.sendRefused(with(rest+1), badValue, "send one byte more")
}

func limitQueueMaximum(p *probe) {
	url := p.queue(attributes{"MaximumMessageSize": "1024"})
	p.send(url, strings.Repeat("x", 1024))
	p.sendRefused(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(strings.Repeat("x", 1025))}, badValue, "send 1025 bytes")
}

func limitCharacters(p *probe, url string) {
	for _, r := range []rune{0, 1, 8, 0x0b, 0x0c, 0x1f, 0xfffe, 0xffff} {
		body := "a" + string(r) + "b"
		typed[*types.InvalidMessageContents](p, errOf(p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})), fmt.Sprintf("send U+%04X", r))
	}
	for _, r := range []rune{9, 10, 13, 0x20, 0x7f, 0x85, 0xd7ff, 0xe000, 0xfffd, 0x10000, 0x1ffff, 0x10ffff} {
		p.send(url, "a"+string(r)+"b")
	}
}

func limitTenAttributes(p *probe, url string) {
	with := func(n int) *sqs.SendMessageInput {
		all := map[string]types.MessageAttributeValue{}
		for i := range n {
			all[fmt.Sprint("a", i)] = stringAttribute("x")
		}
		return &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageAttributes: all}
	}
	p.sendInput(with(10))
	p.sendRefused(with(11), badValue, "send eleven attributes")
}

func attributeChecks() []check {
	const meta = "Amazon SQS message metadata, Developer Guide"
	const receive = "ReceiveMessage, Amazon SQS API Reference"
	return []check{
		{"sqs/message-attributes/round-trip", meta, "String, Number and Binary attributes come back, with custom labels too.", onQueue(messageAttributes)},
		{"sqs/message-attributes/md5", meta, "MD5OfMessageAttributes is the MD5 of the documented encoding.", onQueue(messageAttributesMD5)},
		{"sqs/message-attributes/name-filter", receive, "Names, prefixes with .* and All choose the attributes; none are given by default.", onQueue(messageAttributeFilter)},
		{"sqs/message-attributes/invalid-refused", meta, "Bad names, types and empty values are refused.", onQueue(messageAttributesInvalid)},
		{"sqs/system-attributes/all", receive, "Every receive tells sender, sent time, first receive and receive count.", onQueue(systemAttributes)},
		{"sqs/system-attributes/by-name", receive, "MessageSystemAttributeNames chooses; none are given by default.", onQueue(systemAttributesByName)},
		{"sqs/system-attributes/deprecated-names", receive, "The deprecated AttributeNames still chooses.", onQueue(systemAttributesDeprecated)},
		{"sqs/system-attributes/trace-header", "SendMessage, Amazon SQS API Reference", "AWSTraceHeader is carried from send to receive.", onQueue(traceHeader)},
		{"sqs/system-attributes/trace-header-refused", "SendMessage, Amazon SQS API Reference", "AWSTraceHeader must be a correctly formatted X-Ray trace header.", onQueue(traceHeaderRefused)},
		{"sqs/system-attributes/group-on-standard-queue", "Amazon SQS fair queues, Developer Guide", "MessageGroupId is accepted on a standard queue and carried along.", onQueue(groupID)},
	}
}

func stringAttribute(v string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
}

func sampleAttributes() map[string]types.MessageAttributeValue {
	return map[string]types.MessageAttributeValue{
		"text":       stringAttribute("wörld"),
		"number":     {DataType: aws.String("Number"), StringValue: aws.String("-12.5")},
		"bytes":      {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}},
		"trace.id":   {DataType: aws.String("String.uuid"), StringValue: aws.String("x-1")},
		"trace.kind": stringAttribute("k"),
	}
}

func showAttributes(all map[string]types.MessageAttributeValue) map[string]string {
	texts := make(map[string]string, len(all))
	for name, v := range all {
		texts[name] = fmt.Sprintf("%s %s %x", aws.ToString(v.DataType), aws.ToString(v.StringValue), v.BinaryValue)
	}
	return texts
}

func (p *probe) sendWithAttributes(url string) *sqs.SendMessageOutput {
	return p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageAttributes: sampleAttributes()})
}

func messageAttributes(p *probe, url string) {
	p.sendWithAttributes(url)
	p.equal(showAttributes(sampleAttributes()), showAttributes(p.takeOne(url, 30).MessageAttributes), "attributes")
}

func messageAttributesMD5(p *probe, url string) {
	want := attributesMD5(sampleAttributes())
	p.equal(want, aws.ToString(p.sendWithAttributes(url).MD5OfMessageAttributes), "MD5 of the sent attributes")
	p.equal(want, aws.ToString(p.takeOne(url, 30).MD5OfMessageAttributes), "MD5 of the received attributes")
}

func messageAttributeFilter(p *probe, url string) {
	p.sendWithAttributes(url)
	for filter, want := range map[string]int{"": 0, "All": 5, ".*": 5, "text": 1, "trace.*": 2, "text,bytes,nothing": 2} {
		in := receiving(url)
		in.MessageAttributeNames, in.WaitTimeSeconds = strings.FieldsFunc(filter, func(r rune) bool { return r == ',' }), 1
		got := p.receive(in)
		if len(got) != 1 {
			p.failf("%d messages received with filter %q", len(got), filter)
		}
		p.equal(want, len(got[0].MessageAttributes), "attributes with filter "+filter)
		p.ok(p.hide(url, got[0], 0), "give back")
	}
}

func messageAttributesInvalid(p *probe, url string) {
	for what, all := range map[string]map[string]types.MessageAttributeValue{
		"a type that is none":   {"a": {DataType: aws.String("Strange"), StringValue: aws.String("x")}},
		"an empty string":       {"a": stringAttribute("")},
		"a reserved name":       {"AWS.a": stringAttribute("x")},
		"a name with a space":   {"a b": stringAttribute("x")},
		"a name with two dots":  {"a..b": stringAttribute("x")},
		"a number that is none": {"a": {DataType: aws.String("Number"), StringValue: aws.String("twelve")}},
		"no value":              {"a": {DataType: aws.String("String")}},
	} {
		p.sendRefused(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageAttributes: all}, badValue, "send "+what)
	}
}

func systemAttributes(p *probe, url string) {
	p.send(url, "x")
	got := p.takeOne(url, 30)
	p.near(p.millis(got, "SentTimestamp"), "SentTimestamp")
	p.near(p.millis(got, "ApproximateFirstReceiveTimestamp"), "ApproximateFirstReceiveTimestamp")
	p.equal("1", got.Attributes["ApproximateReceiveCount"], "receive count")
	if got.Attributes["SenderId"] == "" {
		p.failf("no SenderId")
	}
}

func systemAttributesByName(p *probe, url string) {
	p.send(url, "x")
	in := &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 1}
	got := p.receive(in)
	p.equal(1, len(got), "messages")
	p.equal(0, len(got[0].Attributes), "attributes by default")
	p.ok(p.hide(url, got[0], 0), "give back")
	in.MessageSystemAttributeNames = []types.MessageSystemAttributeName{"ApproximateReceiveCount"}
	got = p.receive(in)
	p.equal(1, len(got), "messages")
	p.equal(attributes{"ApproximateReceiveCount": "2"}, got[0].Attributes, "attributes")
}

func systemAttributesDeprecated(p *probe, url string) {
	p.send(url, "x")
	got := p.receive(&sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 1,
		//lint:ignore SA1019 the check is that it still works
		AttributeNames: []types.QueueAttributeName{"ApproximateReceiveCount"}})
	p.equal(1, len(got), "messages")
	p.equal(attributes{"ApproximateReceiveCount": "1"}, got[0].Attributes, "attributes")
}

func traceHeader(p *probe, url string) {
	const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"),
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String(trace)}}})
	p.equal(trace, p.takeOne(url, 30).Attributes["AWSTraceHeader"], "AWSTraceHeader")
}

func traceHeaderRefused(p *probe, url string) {
	_, err := p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"),
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("garbage")}}})
	p.refused(err, badValue, "send with a trace header of another form")
}

func groupID(p *probe, url string) {
	p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageGroupId: aws.String("acct_1")})
	p.equal("acct_1", p.takeOne(url, 30).Attributes["MessageGroupId"], "MessageGroupId")
}
