package stack

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"tollgate/pkg/limits"
)

// addOperators adds what people attach to their roles: a policy for looking and one for changing.
// Erasing a customer has a role of its own, as no function and no operator changes a fact. Their
// names have the Region because IAM is global in an account.
func (p *parts) addOperators() {
	p.reader = p.addPolicy("Reader", "look at stage "+p.Stage, append(p.looks(), p.queueRights(false)...))
	p.operator = p.addPolicy("Operator", "look at stage "+p.Stage+", and change it",
		slices.Concat(p.looks(), p.queueRights(true), p.changes()))
	p.erase = awsiam.NewCfnRole(p.stack, str("EraseRole"), &awsiam.CfnRoleProps{
		RoleName:    p.regional("erase"),
		Description: str("Tollgate, stage " + p.Stage + ": tollgate ledger erase"),
		AssumeRolePolicyDocument: policy(object{
			"Effect": "Allow", "Principal": object{"AWS": p.principal("root")}, "Action": "sts:AssumeRole",
			"Condition": object{"ArnLike": object{"aws:PrincipalArn": p.people()}},
		}),
		Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: str("erase"), PolicyDocument: policy(statements(p.erases())...)}},
	}).AttrArn()
}

// regional returns the name of a resource that is global in an account.
func (p *parts) regional(of string) *string {
	return awscdk.Fn_Join(str("-"), &[]*string{str(Name(p.Stage)), p.stack.Region(), str(of)})
}

func (p *parts) addPolicy(id, does string, grants []grant) *string {
	return awsiam.NewCfnManagedPolicy(p.stack, str(id), &awsiam.CfnManagedPolicyProps{
		ManagedPolicyName: p.regional(strings.ToLower(id)),
		Description:       str("Tollgate: " + does),
		PolicyDocument:    policy(statements(grants)...),
	}).Ref()
}

func statements(grants []grant) (all []any) {
	for _, g := range grants {
		all = append(all, g.statement())
	}
	return all
}

// people are the principals that may send to the queues, besides the functions, and take the role
// that erases: those that the stage names and the account itself.
func (p *parts) people() []any {
	all := []any{p.principal("root")}
	if len(p.Operators) == 0 {
		return append(all, p.principal("role/aws-reserved/sso.amazonaws.com/*"), p.principal("user/*"))
	}
	for _, arn := range p.Operators {
		all = append(all, arn)
	}
	return all
}

// principal returns the ARN of a principal of the account, or a pattern of them.
func (p *parts) principal(name string) *string {
	return awscdk.Fn_Join(str(""), &[]*string{str("arn:"), p.stack.Partition(), str(":iam::"), p.stack.Account(), str(":" + name)})
}

// onlyFrom denies to send to a queue to all but these functions and people. A queue without it
// takes messages of every role of the account that may send to all queues, and an event in it
// counts as verified. SQS moves dead letters itself, and asks no policy for it. EventBridge is no
// role: only the stage's own rule may send, which only AWS can name as the source.
func (p *parts) onlyFrom(queue *string, from []string) []any {
	senders, others := p.people(), object{}
	var all []any
	for _, f := range from {
		if f != busRule {
			senders = append(senders, awscdk.Fn_GetAtt(str(f+"Role"), str("Arn")))
			continue
		}
		others["aws:SourceArn"] = p.busRuleARN()
		all = append(all, object{
			"Sid": "FromEventBridge", "Effect": "Allow", "Principal": object{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue,
			"Condition": object{"ArnEquals": object{"aws:SourceArn": p.busRuleARN()}},
		})
	}
	others["aws:PrincipalArn"] = senders
	return append(all, object{
		"Sid": "OnlySenders", "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue,
		"Condition": object{"ArnNotLike": others},
	})
}

// queueRights are the rights to look at queues, and to change what is in them. The list of queues is
// in a policy once, or it would be too long.
func (p *parts) queueRights(changes bool) []grant {
	dead := grant{on: p.dead.AttrArn(), also: []*string{p.hold.AttrArn()}, actions: []string{"sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}}
	if p.sendDead != nil {
		dead.also = append(dead.also, p.sendDead.AttrArn())
	}
	queues := grant{on: p.queue.AttrArn(), actions: []string{"sqs:GetQueueAttributes"}}
	if changes {
		dead.actions = append(dead.actions, "sqs:DeleteMessage")
		queues.actions = append(queues.actions, "sqs:SendMessage")
	}
	for _, q := range p.sendQueues {
		queues.also = append(queues.also, q.AttrArn())
	}
	return []grant{dead, queues}
}

// looks are the rights of the verbs that change nothing, and of the console's pages. To read dead
// letters or held events hides them for two minutes, under a lock in the table.
func (p *parts) looks() []grant {
	arn := func(service, resource, name string) *string {
		format := awscdk.ArnFormat_SLASH_RESOURCE_NAME
		if service == "lambda" || service == "logs" {
			format = awscdk.ArnFormat_COLON_RESOURCE_NAME
		}
		return p.stack.FormatArn(&awscdk.ArnComponents{Service: str(service), Resource: str(resource), ResourceName: str(name), ArnFormat: format})
	}
	all := []grant{
		{on: arn("cloudformation", "stack", Name(p.Stage)+"/*"), actions: []string{"cloudformation:DescribeStacks"}},
		{on: p.tableARN, actions: []string{"dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem", "dynamodb:Scan"}},
		{on: p.index("list"), also: []*string{p.index("open-upd")}, actions: []string{"dynamodb:Query"}},
		{on: p.tableARN, actions: []string{"dynamodb:PutItem", "dynamodb:UpdateItem"}, keys: []string{limits.KeyDLQLock, limits.KeyHoldLock}},
		// Each action is of one of these resources. CloudFormation may shorten the names of rules.
		{on: arn("lambda", "function", p.name("*")), also: []*string{
			arn("logs", "log-group", "/aws/lambda/"+p.name("*")), p.mappingARN(), arn("dynamodb", "table", p.name("*")), arn("events", "rule", "*"), p.alarmTopic,
		}, actions: []string{
			"dynamodb:DescribeTable", "events:DescribeRule", "events:ListTargetsByRule", "lambda:GetEventSourceMapping", "lambda:GetFunctionConcurrency",
			"lambda:GetFunctionConfiguration", "logs:FilterLogEvents", "sns:ListSubscriptionsByTopic",
		}},
		// These list, and know no resource of one stage.
		{on: str("*"), actions: []string{"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "dynamodb:ListTables", "events:ListRuleNamesByTarget", "lambda:GetAccountSettings", "lambda:ListEventSourceMappings"}},
	}
	return append(all, p.decrypts("kms:Decrypt")...)
}

// mappingARN is that of the event source mapping which pause --all disables.
func (p *parts) mappingARN() *string {
	return p.stack.FormatArn(&awscdk.ArnComponents{
		Service: str("lambda"), Resource: str("event-source-mapping"), ResourceName: p.mapping.Ref(), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
}

// changes are the rights of all other verbs but ledger erase. They write no fact.
func (p *parts) changes() []grant {
	all := []grant{
		{on: p.tableARN, actions: []string{"dynamodb:BatchGetItem"}},
		{on: p.tableARN, actions: []string{"dynamodb:PutItem"}, keys: []string{limits.KeyAudit + "*", limits.KeyCoverage + "*", limits.KeyDestination + "*", limits.KeyToken + "*", limits.KeyMessage + "TEST#*", limits.KeyPause, "ENT#*", "OBJ#*"}},
		{on: p.tableARN, actions: []string{"dynamodb:UpdateItem"}, keys: []string{limits.KeyAudit + "*", limits.KeyDelivery + "*", limits.KeyMessage + "*", limits.KeyPause, limits.KeyRecord + "*"}},
		{on: p.mappingARN(), actions: []string{"lambda:UpdateEventSourceMapping"}},
	}
	all = append(all, grant{on: p.webhook.Ref(), actions: []string{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"}},
		grant{on: p.key.Ref(), actions: []string{"secretsmanager:GetSecretValue"}})
	return append(all, p.decrypts("kms:GenerateDataKey")...)
}

// erases are the rights of ledger erase, which empties items of any key.
func (p *parts) erases() []grant {
	all := p.looks()[:1] // the stack's outputs
	all = append(all,
		grant{on: p.tableARN, actions: []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan", "dynamodb:UpdateItem"}},
		grant{on: p.index("list"), actions: []string{"dynamodb:Query"}})
	if p.sender != nil { // also of an alias, which is asked for first
		all = append(all, grant{on: p.stack.FormatArn(&awscdk.ArnComponents{
			Service: str("lambda"), Resource: str("function"), ResourceName: str(p.name(senderFunction) + "*"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		}), actions: []string{"lambda:GetFunctionConfiguration"}})
	}
	return append(all, p.decrypts("kms:Decrypt")...)
}

// maxOperators is what the trust of the role that erases has left of the 2,048 characters that AWS
// takes.
const maxOperators = 1400

// validateOperators: a pattern of IAM users, roles or roots. One that matches everything would
// let every role send.
func (o *Options) validateOperators(f *faults) {
	arn := regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(user|role)/[A-Za-z0-9+=,.@_/*?-]+)$`)
	for _, operator := range o.Operators {
		f.must(arn.MatchString(operator) && !regexp.MustCompile(`/[*?][^/]*$`).MatchString(operator), "operators", "%q", operator)
	}
	size := len(compact(o.Operators))
	f.must(size <= maxOperators, "operators", "%d bytes long, over %d", size, maxOperators)
}
