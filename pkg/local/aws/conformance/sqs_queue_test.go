package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

func queueChecks() []check {
	const create = "CreateQueue, Amazon SQS API Reference"
	return []check{
		{"sqs/queue/url-by-name", "GetQueueUrl, Amazon SQS API Reference", "A queue's URL is found by its name and ends in it.", queueURL},
		{"sqs/queue/create-again", create, "Creating a queue again with the same attributes gives its URL.", queueAgain},
		{"sqs/queue/create-conflict", create, "Creating a queue again with other attributes is refused with QueueNameExists.", queueConflict},
		{"sqs/queue/invalid-name-refused", create, "A name has at most 80 letters, digits, hyphens and underscores.", queueBadName},
		{"sqs/queue/missing", "GetQueueUrl, Amazon SQS API Reference", "A queue that does not exist is answered with QueueDoesNotExist.", queueMissing},
		{"sqs/queue/error-codes", "Error messages, Amazon SQS Developer Guide", "Errors have the documented codes, prefix included.", onQueue(queueErrorCodes)},
		{"sqs/queue/delete", "DeleteQueue, Amazon SQS API Reference", "A deleted queue is gone.", onQueue(queueDelete)},
		{"sqs/queue/list-by-prefix", "ListQueues, Amazon SQS API Reference", "Queues are listed by the beginning of their names.", queueList},
		{"sqs/queue/list-pages", "ListQueues, Amazon SQS API Reference", "With MaxResults the list comes in pages.", queueListPages},
		{"sqs/queue/purge", "PurgeQueue, Amazon SQS API Reference", "A purge deletes the messages that were sent before, in flight or not.", onQueue(queuePurge)},
		{"sqs/queue/tags", "TagQueue, Amazon SQS API Reference", "Tags are added, listed and removed.", onQueue(queueTags)},
	}
}

func queueURL(p *probe) {
	name := unique()
	url := p.queueNamed(name, nil)
	out, err := p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	p.ok(err, "get queue URL")
	p.equal(url, aws.ToString(out.QueueUrl), "URL")
	if !strings.HasSuffix(url, "/"+name) {
		p.failf("URL %s does not end in the name", url)
	}
}

func queueAgain(p *probe) {
	name, a := unique(), attributes{"VisibilityTimeout": "7", "DelaySeconds": "1"}
	url := p.queueNamed(name, a)
	out, err := p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: a})
	p.ok(err, "create again")
	p.equal(url, aws.ToString(out.QueueUrl), "URL")
	p.equal("7", p.queueAttributes(url, "All")["VisibilityTimeout"], "visibility timeout")
}

func queueConflict(p *probe) {
	name := unique()
	url := p.queueNamed(name, attributes{"VisibilityTimeout": "7"})
	_, err := p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes{"VisibilityTimeout": "8"}})
	typed[*types.QueueNameExists](p, err, "create with another visibility timeout")
	p.equal("7", p.queueAttributes(url, "All")["VisibilityTimeout"], "visibility timeout")
}

func queueBadName(p *probe) {
	for _, name := range []string{"has space", "dot.ted", "ü", strings.Repeat("x", 81), ""} {
		p.refused(errOf(p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: &name})), badValue+"|MissingParameter", "create "+name)
	}
	p.queueNamed(unique()+strings.Repeat("x", 80-len(unique())), nil)
}

func queueMissing(p *probe) {
	name := unique()
	_, err := p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	typed[*types.QueueDoesNotExist](p, err, "get queue URL")
	p.refused(err, missingQueue, "get queue URL")
	url := p.queue(nil)
	url = url[:strings.LastIndex(url, "/")+1] + name
	typed[*types.QueueDoesNotExist](p, errOf(p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})), "send")
	typed[*types.QueueDoesNotExist](p, errOf(p.sqs.ReceiveMessage(p.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})), "receive")
	typed[*types.QueueDoesNotExist](p, errOf(p.sqs.GetQueueAttributes(p.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url})), "get attributes")
}

func queueErrorCodes(p *probe, url string) {
	_, missing := p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(unique())})
	_, delay := p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: 901})
	_, batch := p.sqs.SendMessageBatch(p.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{}})
	for want, err := range map[string]error{
		sqsPrefix + "NonExistentQueue": missing, "InvalidParameterValue": delay, sqsPrefix + "EmptyBatchRequest": batch,
		"ReceiptHandleIsInvalid": p.remove(url, p.badHandle(url)),
	} {
		api, ok := errors.AsType[smithy.APIError](err)
		if !ok || api.ErrorCode() != want {
			p.failf("error %v, want the code %s", err, want)
		}
	}
}

func queueDelete(p *probe, url string) {
	_, err := p.sqs.DeleteQueue(p.ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	p.ok(err, "delete queue")
	p.eventually("the queue is gone", func() bool {
		_, err = p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
		return err != nil
	})
	typed[*types.QueueDoesNotExist](p, err, "send")
}

func queueList(p *probe) {
	prefix := unique()
	want := []string{p.queueNamed(prefix+"-1", nil), p.queueNamed(prefix+"-2", nil)}
	p.queue(nil)
	p.eventually("both queues are listed", func() bool {
		out, err := p.sqs.ListQueues(p.ctx, &sqs.ListQueuesInput{QueueNamePrefix: &prefix})
		p.ok(err, "list queues")
		slices.Sort(out.QueueUrls)
		return slices.Equal(want, out.QueueUrls)
	})
}

func queueListPages(p *probe) {
	prefix := unique()
	want := []string{}
	for i := range 5 {
		want = append(want, p.queueNamed(prefix+"-"+strconv.Itoa(i), nil))
	}
	p.eventually("five queues in pages of two", func() bool {
		got := []string{}
		for pages := sqs.NewListQueuesPaginator(p.sqs, &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(2)}); pages.HasMorePages(); {
			out, err := pages.NextPage(p.ctx)
			p.ok(err, "list queues")
			if len(out.QueueUrls) > 2 {
				p.failf("a page of %d", len(out.QueueUrls))
			}
			got = append(got, out.QueueUrls...)
		}
		slices.Sort(got)
		return slices.Equal(want, got)
	})
}

func queuePurge(p *probe, url string) {
	p.send(url, "one")
	p.takeOne(url, 30)
	p.send(url, "two")
	p.ok(errOf(p.sqs.PurgeQueue(p.ctx, &sqs.PurgeQueueInput{QueueUrl: &url})), "purge")
	p.counts(url, 0, 0, 0)
}

func queueTags(p *probe, url string) {
	p.ok(errOf(p.sqs.TagQueue(p.ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: attributes{"a": "1", "b": "2"}})), "tag")
	p.ok(errOf(p.sqs.UntagQueue(p.ctx, &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: []string{"a"}})), "untag")
	out, err := p.sqs.ListQueueTags(p.ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	p.ok(err, "list tags")
	p.equal(attributes{"b": "2"}, out.Tags, "tags")
}

func queueAttributeChecks() []check {
	const page = "GetQueueAttributes, Amazon SQS API Reference"
	const set = "SetQueueAttributes, Amazon SQS API Reference"
	return []check{
		{"sqs/queue-attributes/defaults", page, "A new queue has the documented defaults.", onQueue(attributeDefaults)},
		{"sqs/queue-attributes/names", page, "Only the attributes that are asked for are given.", attributeNames},
		{"sqs/queue-attributes/set", set, "Attributes are changed one by one.", attributeSet},
		{"sqs/queue-attributes/invalid-refused", set, "Unknown attributes and values out of range are refused.", onQueue(attributeInvalid)},
		{"sqs/queue-attributes/redrive-policy", set, "A redrive policy is kept, and its target lists the queue as a source.", attributeRedrive},
		{"sqs/queue-attributes/redrive-to-missing-refused", set, "A redrive policy must name an existing queue.", attributeRedriveMissing},
		{"sqs/queue-attributes/counts", page, "Visible, hidden and delayed messages are counted.", onQueue(attributeCounts)},
	}
}

func attributeDefaults(p *probe, url string) {
	a := p.queueAttributes(url, "All")
	for name, want := range (attributes{"VisibilityTimeout": "30", "DelaySeconds": "0", "MessageRetentionPeriod": "345600", "MaximumMessageSize": "1048576",
		"ReceiveMessageWaitTimeSeconds": "0", "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0"}) {
		p.equal(want, a[name], name)
	}
	if name := url[strings.LastIndex(url, "/"):]; !strings.HasPrefix(a["QueueArn"], "arn:aws:sqs:") || !strings.HasSuffix(a["QueueArn"], ":"+name[1:]) {
		p.failf("ARN %q", a["QueueArn"])
	}
	for _, name := range []string{"CreatedTimestamp", "LastModifiedTimestamp"} {
		if _, err := strconv.ParseInt(a[name], 10, 64); err != nil {
			p.failf("%s is %q, want seconds", name, a[name])
		}
	}
}

func attributeNames(p *probe) {
	url := p.queue(attributes{"VisibilityTimeout": "9"})
	p.equal(attributes{"VisibilityTimeout": "9", "DelaySeconds": "0"}, p.queueAttributes(url, "VisibilityTimeout", "DelaySeconds"), "attributes")
	p.equal(0, len(p.queueAttributes(url)), "attributes without names")
}

func attributeSet(p *probe) {
	url := p.queue(attributes{"VisibilityTimeout": "9", "DelaySeconds": "3"})
	_, err := p.sqs.SetQueueAttributes(p.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url,
		Attributes: attributes{"DelaySeconds": "0", "MessageRetentionPeriod": "60"}})
	p.ok(err, "set attributes")
	p.eventually("the attributes are set", func() bool {
		a := p.queueAttributes(url, "All")
		return a["VisibilityTimeout"] == "9" && a["DelaySeconds"] == "0" && a["MessageRetentionPeriod"] == "60"
	})
}

func attributeInvalid(p *probe, url string) {
	for name, value := range (attributes{"NoSuchAttribute": "1", "VisibilityTimeout": "43201", "DelaySeconds": "901", "MessageRetentionPeriod": "59",
		"ReceiveMessageWaitTimeSeconds": "21", "MaximumMessageSize": "1048577", "RedrivePolicy": "{"}) {
		_, err := p.sqs.SetQueueAttributes(p.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes{name: value}})
		p.refused(err, badAttribute+"|"+badValue, "set "+name+" to "+value)
		_, err = p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: aws.String(unique()), Attributes: attributes{name: value}})
		p.refused(err, badAttribute+"|"+badValue, "create with "+name+" "+value)
	}
	_, err := p.sqs.GetQueueAttributes(p.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"NoSuchAttribute"}})
	p.refused(err, badAttribute, "get an unknown attribute")
}

func attributeRedrive(p *probe) {
	url, dead := p.withDeadLetters(3, nil)
	policy := p.queueAttributes(url, "RedrivePolicy")["RedrivePolicy"]
	if !strings.Contains(policy, p.arn(dead)) || !strings.Contains(policy, "maxReceiveCount") {
		p.failf("redrive policy %s", policy)
	}
	p.eventually("the dead-letter queue lists its source", func() bool {
		out, err := p.sqs.ListDeadLetterSourceQueues(p.ctx, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &dead})
		p.ok(err, "list sources")
		return slices.Equal([]string{url}, out.QueueUrls)
	})
}

func attributeRedriveMissing(p *probe) {
	missing := p.arn(p.queue(nil)) + "x"
	_, err := p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: aws.String(unique()),
		Attributes: attributes{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, missing)}})
	p.refused(err, badValue+"|"+missingQueue, "create with a redrive policy to no queue")
}

func attributeCounts(p *probe, url string) {
	for _, body := range []string{"1", "2", "3"} {
		p.send(url, body)
	}
	p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("later"), DelaySeconds: 600})
	p.counts(url, 3, 0, 1)
	m := p.takeOne(url, 60)
	p.counts(url, 2, 1, 1)
	p.ok(p.remove(url, m), "delete")
	p.counts(url, 2, 0, 1)
}
