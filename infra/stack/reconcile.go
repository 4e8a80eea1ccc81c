package stack

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"tollgate/pkg/limits"
)

// schedule is one rule: a task of the reconcile function and when it runs, in UTC.
type schedule struct{ name, task, expression, does string }

// schedules give every pass 15 minutes of its own, longer than a pass may last: two passes
// at once would send some events twice. At night the long passes replace two frequent ones.
// The outbox and the comparison run in parallel with a pass.
func (p *parts) schedules() []schedule {
	l := p.Limits.Reconcile
	const frequent = "compares the last hours with Stripe's list"
	return []schedule{
		{"quarter", "quarter", fmt.Sprintf("cron(0/%d 0-1,4-23 * * ? *)", l.Frequent.Every/time.Minute), frequent},
		{"quarterAtNight", "quarter", "cron(0,30,45 2-3 * * ? *)", frequent + ", between the long passes"},
		{"nightly", "nightly", "cron(15 2 * * ? *)", "compares the last days with Stripe's list"},
		{"weekly", "weekly", "cron(15 3 ? * SUN *)", "re-enqueues unfinished events of the last weeks"},
		{"outbox", "outbox", rate(l.OutboxEvery), "sends the outbox"},
		{"verify", "verify", rate(l.Verify.Every), "compares the kept rows with Stripe, in parts"},
	}
}

func rate(d time.Duration) string {
	minutes := int(d / time.Minute)
	if minutes == 1 {
		return "rate(1 minute)"
	}
	return fmt.Sprintf("rate(%d minutes)", minutes)
}

func (p *parts) addReconcile() {
	l := p.Limits.Reconcile
	f := function{
		name: reconcileFunction, does: "enqueues events that Stripe lists and the table lacks, sends the outbox, and compares rows with Stripe",
		timeout: l.Timeout, reserved: l.Reserved,
		env: map[string]*string{
			"TOLLGATE_QUEUE_URL":         p.queue.Ref(),
			"TOLLGATE_TABLE":             p.tableName,
			"TOLLGATE_API_KEY_SECRET_ID": p.key.Ref(),
			"TOLLGATE_STRIPE_RATE":       str(strconv.Itoa(p.StripeRate)),
		},
		grants: []grant{
			{on: p.queue.AttrArn(), actions: []string{"sqs:SendMessage", "sqs:GetQueueAttributes"}},
			{on: p.tableARN, actions: []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Scan"}},
			{on: p.tableARN, actions: []string{"dynamodb:PutItem"}, keys: []string{limits.KeyBegin + "*", limits.KeyCoverage + "*", limits.KeyPosition}},
			{on: p.tableARN, actions: []string{"dynamodb:UpdateItem"}, keys: []string{limits.KeyMessage + "*"}},
			{on: p.index("list"), actions: []string{"dynamodb:Query"}},
			{on: p.index("open-upd"), actions: []string{"dynamodb:Query"}},
			{on: p.key.Ref(), actions: []string{"secretsmanager:GetSecretValue"}},
		},
	}
	f.set("TOLLGATE_RECONCILE", p.accounts())
	f.set("TOLLGATE_ENDPOINTS", p.endpoints())
	f.set("TOLLGATE_BEGIN", p.Begin)
	f.set("TOLLGATE_HOLD_BEFORE", p.HoldBefore)
	if p.receivers.HasHistory() {
		f.grants = append(f.grants, grant{on: p.tableARN, actions: []string{"dynamodb:PutItem"}, keys: []string{limits.KeyDelivery + "*"}})
	}
	p.keep(&f, false)
	p.handOver(&f)
	p.reconcile = p.addFunction("Reconcile", f)
	// The schedule retries a failed pass. A task waits for a free process, at most for the
	// longest pass and the time to its next turn.
	awslambda.NewCfnEventInvokeConfig(p.stack, str("ReconcileInvoke"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName: p.reconcile.Ref(), Qualifier: str("$LATEST"),
		MaximumRetryAttempts: num(0), MaximumEventAgeInSeconds: seconds(4 * l.Timeout),
	})
	for _, s := range p.schedules() {
		p.addSchedule(s)
	}
}

func (p *parts) addSchedule(s schedule) {
	id := "Schedule" + strings.ToUpper(s.name[:1]) + s.name[1:]
	rule := awsevents.NewCfnRule(p.stack, str(id), &awsevents.CfnRuleProps{
		Description:        str("Tollgate, stage " + p.Stage + ": " + s.does),
		ScheduleExpression: str(s.expression),
		State:              str("ENABLED"),
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id: str(s.task), Arn: p.reconcile.AttrArn(), Input: str(fmt.Sprintf(`{"task":%q}`, s.task)),
		}},
	})
	p.rules[s.name] = rule
	awslambda.NewCfnPermission(p.stack, str(id+"Permission"), &awslambda.CfnPermissionProps{
		Action:       str("lambda:InvokeFunction"),
		FunctionName: p.reconcile.AttrArn(),
		Principal:    str("events.amazonaws.com"),
		SourceArn:    rule.AttrArn(),
	})
}
