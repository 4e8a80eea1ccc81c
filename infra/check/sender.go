package check

import (
	"net/mail"
	"path"
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
)

// Resources of a template with destinations. A group's queue and mapping have these prefixes.
const (
	sender, sendDLQ           = "Sender", "SendDeadLetterQueue"
	sendQueue, senderMappings = "SendQueue", "SenderMapping"
	sendVariable              = variable + "SEND_DLQ_URL"
)

func (c *checker) sendQueues() []string {
	return slices.DeleteFunc(c.names(typeQueue), func(name string) bool { return !strings.HasPrefix(name, sendQueue) })
}

// sends: with destinations, the functions that hand over name the ones that the sender sends to,
// and each group's queue is read by the sender alone, in batches that wait for nothing.
func (c *checker) sends() {
	there := c.Resources[sender].Type != ""
	for _, v := range []string{"DESTINATIONS", "SEND_DLQ_URL"} {
		for _, function := range []string{consumer, reconcile} {
			c.must(c.text(function, variable+v) == c.text(sender, variable+v), function, "%s differs from the sender's", v)
		}
	}
	for _, function := range []string{consumer, reconcile} {
		for _, s := range c.statements(c.role(function)) {
			c.must(!strings.HasPrefix(short(at(s, "Resource")), sendQueue) || short(at(s, "Action")) == `["sqs:SendMessage"]`, c.role(function), "may do more with jobs than enqueue them: %s", short(s))
		}
	}
	c.must(there || len(c.sendQueues()) == 0, sender, "is missing: nothing reads %v", c.sendQueues())
	if !there {
		return
	}
	all, err := destination.Parse(c.text(sender, variable+"DESTINATIONS"), destination.Deployed)
	c.must(err == nil && len(all) > 0, sender, "its destinations are not valid: %v", err)
	c.must(c.text(sender, sendVariable) == sendDLQ, sender, "its dead-letter queue is %q", c.text(sender, sendVariable))
	names := map[string]string{}
	for group, d := range all.Groups() {
		names["tollgate-"+c.stage()+"-send-"+group] = group
		c.sendGroup(group, d)
	}
	for _, name := range c.sendQueues() {
		c.must(names[c.text(name, "QueueName")] != "", name, "%q is no group's queue: nothing fills it", c.text(name, "QueueName"))
	}
	c.sendValues()
	c.reaches(all)
}

// sendGroup: a group has its queue, and a mapping of its concurrency.
func (c *checker) sendGroup(group string, d destination.Destination) {
	id := strings.ReplaceAll(group, "-", "X")
	queue, mapping := sendQueue+id, senderMappings+id
	processes, batch := c.limits.Sender.Mapping(d.Concurrency)
	if c.at(sender, "ReservedConcurrentExecutions") == nil {
		processes, batch = c.limits.Sender.Mapping(1)
	}
	for path, want := range map[string]any{
		"EventSourceArn": queue + ".Arn", "FunctionName": sender, "FunctionResponseTypes": `["ReportBatchItemFailures"]`, "FilterCriteria": nil,
		"BatchSize": batch, "ScalingConfig.MaximumConcurrency": processes, "MaximumBatchingWindowInSeconds": nil,
	} {
		got := c.text(mapping, path)
		c.must(got == short(want), mapping, "%s is %q, not %q", path, got, short(want))
	}
	c.must(c.text(queue, "QueueName") == "tollgate-"+c.stage()+"-send-"+group, queue, "is called %q, where the functions do not find it", c.text(queue, "QueueName"))
}

// sendValues: the queues outlast an attempt, a destination's failures, and their dead letters them;
// and no batch is throttled.
func (c *checker) sendValues() {
	q, s := c.limits.SendQueue(), c.limits.Sender
	reserved := 0.0
	for _, name := range c.names("AWS::Lambda::EventSourceMapping") {
		if strings.HasPrefix(name, senderMappings) {
			reserved += c.number(name, "ScalingConfig.MaximumConcurrency")
		}
	}
	const path = "ReservedConcurrentExecutions"
	got := c.at(sender, path)
	c.must(got == nil && c.at(consumer, path) == nil || got == reserved, sender, "%s is %v, its mappings have %v", path, got, reserved)
	c.must(c.number(sender, "Timeout") == s.Timeout.Seconds(), sender, "Timeout is %v", c.at(sender, "Timeout"))
	for _, name := range append(c.sendQueues(), sendDLQ) {
		visibility, kept := c.number(name, "VisibilityTimeout"), q.Retention
		c.must(visibility == q.Visibility.Seconds() && visibility >= 6*c.number(sender, "Timeout"), name, "visibility timeout %v is not 6 × the sender's timeout", visibility)
		c.must(c.number(name, "MaximumMessageSize") == limits.MaxQueueRequest, name, "MaximumMessageSize is %v", c.at(name, "MaximumMessageSize"))
		if name == sendDLQ {
			kept = q.DLQRetention
			c.must(c.at(name, "RedrivePolicy") == nil, name, "has dead letters of its own")
		} else {
			c.must(c.text(name, "RedrivePolicy.deadLetterTargetArn") == sendDLQ+".Arn" && c.number(name, "RedrivePolicy.maxReceiveCount") == float64(q.MaxReceives), name,
				"its redrive policy is %s", c.text(name, "RedrivePolicy"))
		}
		c.must(c.number(name, "MessageRetentionPeriod") == kept.Seconds(), name, "keeps messages for %v s, not %v", c.at(name, "MessageRetentionPeriod"), kept)
	}
	const expire, day = "AlarmDeliveriesDeadExpire", 24 * 60 * 60
	c.must(c.number(expire, "Threshold") <= (q.DLQRetention-q.Retention).Seconds()-day, expire, "leaves under a day before SQS deletes a dead delivery")
}

// reaches: of what is not in the stack, the sender's role has what its destinations name, each
// by one action.
func (c *checker) reaches(all destination.Set) {
	want := map[string]bool{}
	for _, d := range all {
		for _, r := range needs(d) {
			want[r] = false
		}
	}
	role := c.role(sender)
	for _, g := range c.outside(role) {
		needed := false
		for r := range want {
			if grants(g, r) {
				needed, want[r] = true, true
			}
		}
		c.must(needed, role, "grants %s, which no destination needs", g)
	}
	for r, granted := range want {
		c.must(granted, role, "does not grant %s", r)
	}
}

// needs are the action and the end of the resource that a destination needs.
func needs(d destination.Destination) []string {
	switch d.Type {
	case destination.HTTP:
		return []string{"secretsmanager:GetSecretValue " + d.Secret}
	case destination.SQS:
		account, name := path.Split(d.Queue)
		return []string{"sqs:SendMessage " + path.Base(account) + ":" + name}
	case destination.EventBridge:
		return []string{"events:PutEvents " + d.Bus}
	case destination.SNS:
		return []string{"sns:Publish " + d.Topic}
	}
	a, err := mail.ParseAddress(d.From)
	if err != nil {
		return nil
	}
	_, domain, _ := strings.Cut(a.Address, "@")
	return []string{"ses:SendEmail identity/" + a.Address, "ses:SendEmail identity/" + domain}
}

// grants reports whether a grant is of an action on a resource with this end.
func grants(grant, need string) bool {
	action, resource, _ := strings.Cut(grant, " ")
	wanted, end, _ := strings.Cut(need, " ")
	resource = strings.TrimSuffix(strings.TrimRight(resource, `"]}`), unknownSuffix)
	before, found := strings.CutSuffix(resource, end)
	return action == wanted && found && (before == "" || strings.HasSuffix(before, ":"))
}

// unknownSuffix stands for the characters that Secrets Manager appends to a secret's name.
const unknownSuffix = "-??????"

// outside are the grants of a role on what is not a resource of the template: action and resource.
func (c *checker) outside(role string) (all []string) {
	own := regexp.MustCompile(`\["\w+","Arn"\]`)
	for _, s := range c.statements(role) {
		for _, on := range texts(at(s, "Resource")) {
			if c.Resources[strings.TrimSuffix(on, ".Arn")].Type != "" || own.MatchString(on) || on == c.text(queue, "KmsMasterKeyId") || c.ofTable(on) {
				continue
			}
			for _, action := range texts(at(s, "Action")) {
				all = append(all, action+" "+on)
			}
		}
	}
	return all
}

// statements are those of a role's policies.
func (c *checker) statements(role string) (all []any) {
	for _, p := range items(c.at(role, "Policies")) {
		all = append(all, items(at(p, "PolicyDocument.Statement"))...)
	}
	return all
}
