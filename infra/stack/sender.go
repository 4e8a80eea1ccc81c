package stack

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
)

const senderFunction = "sender"

// groups are the names of the destinations' groups, each with a queue of its own.
func (p *parts) groups() []string { return slices.Sorted(maps.Keys(p.receivers.Groups())) }

// groupID returns a group's part of a logical id, which has no hyphens. A group has no capitals.
func groupID(prefix, group string) string { return prefix + strings.ReplaceAll(group, "-", "X") }

// addSendQueues adds a queue for each group, so that a dead receiver holds up no other, and one
// dead-letter queue for all.
func (p *parts) addSendQueues() {
	if len(p.receivers) == 0 {
		return
	}
	q, names := p.Limits.SendQueue(), map[string]string{}
	var sources []any
	for _, group := range p.groups() {
		names[group] = p.name("send-" + group)
		sources = append(sources, p.stack.FormatArn(&awscdk.ArnComponents{Service: str("sqs"), Resource: str(names[group])}))
	}
	p.sendDead = p.addQueue("SendDeadLetterQueue", []string{"Sender"}, q.Visibility, &awssqs.CfnQueueProps{
		QueueName:              str(p.name("send-dead")),
		MessageRetentionPeriod: seconds(q.DLQRetention),
		RedriveAllowPolicy:     object{"redrivePermission": "byQueue", "sourceQueueArns": sources},
	})
	for _, group := range p.groups() {
		queue := p.addQueue(groupID("SendQueue", group), append(p.asked(group), "Consumer", "Reconcile"), q.Visibility, &awssqs.CfnQueueProps{
			QueueName:              str(names[group]),
			MessageRetentionPeriod: seconds(q.Retention),
			RedrivePolicy:          object{"deadLetterTargetArn": p.sendDead.AttrArn(), "maxReceiveCount": q.MaxReceives},
		})
		p.sendQueues = append(p.sendQueues, queue)
	}
}

// handOver lets a function hand messages over to the sender.
func (p *parts) handOver(f *function) {
	if len(p.receivers) == 0 {
		return
	}
	f.set("TOLLGATE_DESTINATIONS", p.destinations())
	f.env["TOLLGATE_SEND_DLQ_URL"] = p.sendDead.Ref() // the groups' queues have names like its own
	for _, queue := range p.sendQueues {
		f.grants = append(f.grants, grant{on: queue.AttrArn(), actions: []string{"sqs:SendMessage"}})
	}
}

// addSender adds the function that sends, unless there is nothing to send to.
func (p *parts) addSender() {
	if len(p.receivers) == 0 {
		return
	}
	processes := 0
	for _, d := range p.receivers.Groups() {
		n, _ := p.senders(d)
		processes += n
	}
	f := function{
		name: senderFunction, does: "sends messages to the configured destinations",
		timeout: p.Limits.Sender.Timeout, reserved: processes,
		env: map[string]*string{
			"TOLLGATE_TABLE":        p.tableName,
			"TOLLGATE_SEND_DLQ_URL": p.sendDead.Ref(),
			"TOLLGATE_DESTINATIONS": str(p.destinations()),
		},
		grants: []grant{
			{on: p.sendDead.AttrArn(), actions: []string{"sqs:SendMessage"}},
			{on: p.tableARN, actions: []string{"dynamodb:GetItem"}},
			{on: p.tableARN, actions: []string{"dynamodb:PutItem"}, keys: []string{limits.KeyDestination + "*"}},
			{on: p.tableARN, actions: []string{"dynamodb:UpdateItem"}, keys: []string{limits.KeyDelivery + "*", limits.KeySequence + "*"}},
		},
	}
	for _, queue := range p.sendQueues {
		f.grants = append(f.grants, grant{on: queue.AttrArn(), actions: []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}})
	}
	if p.asksStripe() {
		f.env["TOLLGATE_API_KEY_SECRET_ID"] = p.key.Ref()
		f.set("TOLLGATE_STRIPE_RATE", strconv.Itoa(p.StripeRate))
		f.set("TOLLGATE_CONCURRENCY", strconv.Itoa(processes))
		f.grants = append(f.grants, grant{on: p.key.Ref(), actions: []string{"secretsmanager:GetSecretValue"}})
	}
	for _, name := range slices.Sorted(maps.Keys(p.receivers)) {
		f.grants = append(f.grants, p.reach(p.receivers[name])...)
	}
	p.sender = p.addFunction("Sender", f)
	for i, group := range p.groups() {
		p.addSendMapping(group, p.sendQueues[i])
	}
}

// asksStripe reports whether a destination needs more than the table has.
func (p *parts) asksStripe() bool {
	for _, d := range p.receivers {
		if d.Whole || d.Type == destination.Email {
			return true
		}
	}
	return false
}

// senders returns how many processes read a group's queue at most, and the size of a batch.
func (p *parts) senders(d destination.Destination) (processes, batch int) {
	processes, batch = p.Limits.Sender.Mapping(d.Concurrency)
	if !p.Reserved {
		processes, batch = p.Limits.Sender.Mapping(1)
	}
	return processes, batch
}

func (p *parts) addSendMapping(group string, queue awssqs.CfnQueue) {
	processes, batch := p.senders(p.receivers.Groups()[group])
	awslambda.NewCfnEventSourceMapping(p.stack, str(groupID("SenderMapping", group)), &awslambda.CfnEventSourceMappingProps{
		EventSourceArn:        queue.AttrArn(),
		FunctionName:          p.sender.Ref(),
		Enabled:               jsii.Bool(true),
		BatchSize:             num(batch),
		FunctionResponseTypes: list("ReportBatchItemFailures"),
		ScalingConfig:         &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: num(processes)},
	})
}

// reach is what the sender needs to send to a destination, and nothing else.
func (p *parts) reach(d destination.Destination) []grant {
	switch d.Type {
	case destination.HTTP:
		return []grant{{on: p.secretARN(d.Secret), actions: []string{"secretsmanager:GetSecretValue"}}}
	case destination.SQS:
		arn, _ := queueARN(d.Queue)
		return []grant{{on: p.partitioned(arn), actions: []string{"sqs:SendMessage"}}}
	case destination.EventBridge:
		return []grant{{on: str(d.Bus), actions: []string{"events:PutEvents"}}}
	case destination.SNS:
		return []grant{{on: str(d.Topic), actions: []string{"sns:Publish"}}}
	}
	// SES checks the identity of the sender's address, else that of its domain.
	var all []grant
	for _, identity := range identities(d.From) {
		arn := p.stack.FormatArn(&awscdk.ArnComponents{Service: str("ses"), Resource: str("identity"), ResourceName: str(identity)})
		all = append(all, grant{on: arn, actions: []string{"ses:SendEmail"}})
	}
	return all
}

// secretARN returns the ARN of a secret that is named in the configuration. AWS appends a hyphen
// and six characters to a name, which only they may differ in.
func (p *parts) secretARN(id string) *string {
	if strings.HasPrefix(id, "arn:") {
		return str(id)
	}
	return p.stack.FormatArn(&awscdk.ArnComponents{
		Service: str("secretsmanager"), Resource: str("secret"), ResourceName: str(id + "-??????"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
}

func (p *parts) partitioned(rest string) *string {
	return awscdk.Fn_Join(str(""), &[]*string{str("arn:"), p.stack.Partition(), str(":" + rest)})
}

// queueARN returns the ARN after its partition of a queue's URL, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME.
func queueARN(text string) (arn string, err error) {
	u, err := url.Parse(text)
	if err == nil {
		host, path := strings.SplitN(u.Host, ".", 3), strings.Split(u.Path, "/")
		if len(host) == 3 && host[0] == "sqs" && strings.HasPrefix(host[2], "amazonaws.com") && len(path) == 3 && len(path[1]) == 12 && path[2] != "" {
			return fmt.Sprintf("sqs:%s:%s:%s", host[1], path[1], path[2]), nil
		}
	}
	return "", errors.New("its queue is not https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, from which the sender's rights follow")
}

// identities are those of a sender's address at SES.
func identities(from string) []string {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil // Parse refuses it
	}
	return []string{a.Address, a.Address[strings.LastIndex(a.Address, "@")+1:]}
}
