// Package check tests the invariants of a synthesized template: relations between its
// resources, and between them and the code's limits. Every synth runs it. What a template
// contains in detail is in the golden templates, infra/testdata.
//
//	err = check.Run(raw, limits.AWS())
package check

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/pkg/limits"
)

// Resources that the invariants name.
const (
	ingest, consumer, reconcile = "Ingest", "Consumer", "Reconcile"
	queue, dlq, table           = "Queue", "DeadLetterQueue", "Table"
	mapping                     = "ConsumerMapping"
)

const (
	typeFunction   = "AWS::Lambda::Function"
	typePermission = "AWS::Lambda::Permission"
	typeRole       = "AWS::IAM::Role"
	typeRule       = "AWS::Events::Rule"
	typeRoute      = "AWS::ApiGatewayV2::Route"
	typeAlarm      = "AWS::CloudWatch::Alarm"
)

// checker collects violations.
type checker struct {
	template
	limits limits.Limits
	errs   []error
}

// Run reports every violation in a template, each with the name of its resource.
func Run(raw []byte, l limits.Limits) error {
	t, err := parse(raw)
	if err != nil {
		return err
	}
	c := &checker{template: t, limits: l}
	for _, check := range []func(){
		c.numbers, c.concurrency, c.queues, c.batches, c.data, c.environment,
		c.roles, c.grants, c.access, c.invokers, c.schedule, c.alarms, c.outputs,
	} {
		check()
	}
	return errors.Join(c.errs...)
}

func (c *checker) must(ok bool, resource, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%s: %s", resource, fmt.Sprintf(format, args...)))
	}
}

// numbers: the template agrees with package limits.
func (c *checker) numbers() {
	l := c.limits
	for _, n := range []struct {
		resource, path string
		want           float64
	}{
		{ingest, "Timeout", l.IngestTimeout.Seconds()},
		{consumer, "Timeout", l.ConsumerTimeout.Seconds()},
		{reconcile, "Timeout", l.Reconcile.Timeout.Seconds()},
		{queue, "VisibilityTimeout", l.Visibility.Seconds()},
		{dlq, "VisibilityTimeout", l.Visibility.Seconds()},
		{queue, "MessageRetentionPeriod", l.SourceRetention.Seconds()},
		{dlq, "MessageRetentionPeriod", l.DLQRetention.Seconds()},
		{queue, "MaximumMessageSize", limits.MaxQueueRequest},
		{dlq, "MaximumMessageSize", limits.MaxQueueRequest},
		{queue, "RedrivePolicy.maxReceiveCount", float64(l.MaxReceives)},
		{mapping, "BatchSize", float64(l.BatchSize)},
		{mapping, "MaximumBatchingWindowInSeconds", l.BatchWindow.Seconds()},
		{"ApiStage", "DefaultRouteSettings.ThrottlingRateLimit", float64(10 * l.ReservedIngest)},
		{"ApiStage", "DefaultRouteSettings.ThrottlingBurstLimit", float64(10 * l.ReservedIngest)},
	} {
		got := c.number(n.resource, n.path)
		c.must(got == n.want, n.resource, "%s is %v, the code's is %v", n.path, got, n.want)
	}
	receives := c.text(consumer, "Environment.Variables.TOLLGATE_MAX_RECEIVES")
	c.must(receives == strconv.Itoa(l.MaxReceives), consumer, "TOLLGATE_MAX_RECEIVES is %s, the code's is %d", receives, l.MaxReceives)
}

// concurrency: all functions have it reserved, in the code's numbers, or none has. The
// mapping stays under the consumer's: throttles would cost messages their receives.
func (c *checker) concurrency() {
	const path = "ReservedConcurrentExecutions"
	most := 5.0 // half of what the smallest account has
	reserved := c.at(consumer, path) != nil
	for name, want := range map[string]int{ingest: c.limits.ReservedIngest, consumer: c.limits.ReservedConsumer, reconcile: c.limits.Reconcile.Reserved} {
		got := c.number(name, path)
		c.must(!reserved && got == -1 || got == float64(want), name, "%s is %v, the code's is %d", path, got, want)
	}
	if reserved {
		most = min(c.number(consumer, path), float64(c.limits.MaxConcurrency))
	}
	got := c.number(mapping, "ScalingConfig.MaximumConcurrency")
	c.must(got >= 2 && got <= most && (!reserved || got == float64(c.limits.MaxConcurrency)), mapping, "MaximumConcurrency %v is not 2 to %v and the code's %d", got, most, c.limits.MaxConcurrency)
}

// queues: visibility outlasts a batch with its retries, and dead letters outlive the
// queue's messages, as SQS counts both retentions from the first enqueue.
func (c *checker) queues() {
	least := 6*c.seconds(consumer, "Timeout") + c.seconds(mapping, "MaximumBatchingWindowInSeconds")
	got := c.seconds(queue, "VisibilityTimeout")
	c.must(got >= least, queue, "visibility timeout %v is under 6 × the consumer's timeout + the batch window, %v", got, least)
	source, dead := c.seconds(queue, "MessageRetentionPeriod"), c.seconds(dlq, "MessageRetentionPeriod")
	c.must(source > 0 && dead > source, dlq, "keeps messages for %v, %s for %v", dead, queue, source)

	to := c.text(queue, "RedrivePolicy.deadLetterTargetArn")
	c.must(to == dlq+".Arn", queue, "dead-letters to %q", to)
	c.must(c.at(dlq, "RedrivePolicy") == nil, dlq, "has a redrive policy of its own")
	from := texts(c.at(dlq, "RedriveAllowPolicy.sourceQueueArns"))
	c.must(c.text(dlq, "RedriveAllowPolicy.redrivePermission") == "byQueue" && len(from) == 1 && strings.Contains(from[0], ":"+c.text(queue, "QueueName")+`"`), dlq,
		"accepts dead letters of %v", from)
}

// batches: a failed event returns to the queue alone, and no message is filtered out,
// which would delete it.
func (c *checker) batches() {
	c.must(c.text(mapping, "FunctionResponseTypes") == `["ReportBatchItemFailures"]`, mapping, "does not report failures by item")
	c.must(c.at(mapping, "FilterCriteria") == nil, mapping, "filters messages")
	c.must(c.at(mapping, "Enabled") == true, mapping, "is not enabled")
	from, to := c.text(mapping, "EventSourceArn"), c.text(mapping, "FunctionName")
	c.must(from == queue+".Arn" && to == consumer, mapping, "goes from %s to %s", from, to)
}

// data: the table and the secrets survive the stack, and secrets have no value in it.
func (c *checker) data() {
	for name, r := range c.Resources {
		isSecret := r.Type == "AWS::SecretsManager::Secret"
		if isSecret || r.Type == "AWS::DynamoDB::Table" {
			c.must(r.DeletionPolicy == "Retain" && r.UpdateReplacePolicy == "Retain", name, "is deleted with the stack (%q, %q)", r.DeletionPolicy, r.UpdateReplacePolicy)
		}
		c.must(!isSecret || c.at(name, "SecretString") == nil && c.at(name, "GenerateSecretString") == nil, name, "has a value in the template, which a deploy would restore")
		c.must(r.Type != "AWS::DynamoDB::GlobalTable", name, "is global: two Regions could apply one event")
	}
	c.must(c.at(table, "DeletionProtectionEnabled") == true, table, "has no deletion protection")
	c.must(c.at(table, "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled") == true, table, "has no point-in-time recovery")
	c.must(c.text(table, "TimeToLiveSpecification.AttributeName") == "exp" && c.at(table, "TimeToLiveSpecification.Enabled") == true, table, "does not expire items by exp")
}

// environment: no secret is readable in it, all functions have one stage, and reconcile has
// the consumer's policies, or it would requeue what the consumer excludes.
func (c *checker) environment() {
	for _, name := range c.names(typeFunction) {
		variables, _ := c.at(name, "Environment.Variables").(map[string]any)
		for variable, value := range variables {
			c.must(!regexp.MustCompile(`whsec_|sk_|rk_`).MatchString(short(value)), name, "%s holds a secret", variable)
		}
	}
	for _, variable := range []string{"TOLLGATE_ENDPOINTS", "TOLLGATE_BEGIN", "TOLLGATE_STAGE"} {
		path := "Environment.Variables." + variable
		got, want := c.text(reconcile, path), c.text(consumer, path)
		c.must(got == want, reconcile, "%s is %s, the consumer's is %s", variable, got, want)
	}
	c.must(c.stage() != "" && c.stage() == c.text(ingest, "Environment.Variables.TOLLGATE_STAGE"), ingest, "its stage is not the consumer's")
}

func (c *checker) stage() string { return c.text(consumer, "Environment.Variables.TOLLGATE_STAGE") }

// roles: each function has its own, and nothing grants from outside of them.
func (c *checker) roles() {
	users := map[string][]string{}
	for _, name := range c.names(typeFunction) {
		role := strings.TrimSuffix(c.text(name, "Role"), ".Arn")
		users[role] = append(users[role], name)
	}
	for name, r := range c.Resources {
		c.must(!strings.HasPrefix(r.Type, "AWS::IAM::") || r.Type == typeRole, name, "%s grants outside of the functions' roles", r.Type)
	}
	for _, role := range c.names(typeRole) {
		c.must(len(users[role]) == 1, role, "is the role of the functions %v, not of one", users[role])
		c.must(c.at(role, "ManagedPolicyArns") == nil, role, "has a managed policy")
	}
}

// grants: a role names each action and resource, deletes no item (without its record an
// event would be applied again), and reaches what its function's environment names.
func (c *checker) grants() {
	for _, function := range c.names(typeFunction) {
		role := strings.TrimSuffix(c.text(function, "Role"), ".Arn")
		granted := map[string]bool{}
		for _, p := range items(c.at(role, "Policies")) {
			for _, s := range items(at(p, "PolicyDocument.Statement")) {
				if at(s, "Effect") == "Deny" {
					continue
				}
				c.must(at(s, "NotAction") == nil && at(s, "NotResource") == nil, role, "grants all but some")
				for _, action := range texts(at(s, "Action")) {
					c.must(!strings.ContainsAny(action, "*?"), role, "grants the actions %s", action)
					c.must(!regexp.MustCompile(`(?i)^dynamodb:(.*delete|batchwrite)`).MatchString(action), role, "can delete items: %s", action)
				}
				for _, on := range texts(at(s, "Resource")) {
					c.must(!strings.ContainsAny(on, "*?"), role, "grants the resources %s", on)
					if on != function+"Logs.Arn" {
						granted[c.root(on)] = true
					}
				}
			}
		}
		named := map[string]bool{}
		variables, _ := c.at(function, "Environment.Variables").(map[string]any)
		for _, value := range variables {
			if ref := short(value); c.Resources[ref].Type != "" {
				named[ref] = true
			}
		}
		c.must(fmt.Sprint(granted) == fmt.Sprint(named), role, "grants access to %v; the environment of %s names %v", granted, function, named)
	}
}

// root is the resource that an ARN is of: Queue of Queue.Arn, Table of its index's ARN.
func (c *checker) root(arn string) string {
	if joined := regexp.MustCompile(`\["(\w+)","Arn"\]`).FindStringSubmatch(arn); joined != nil {
		return joined[1]
	}
	return strings.TrimSuffix(arn, ".Arn")
}

// access: no resource policy allows anything; a role trusts only Lambda.
func (c *checker) access() {
	for name, r := range c.Resources {
		for _, document := range []string{"PolicyDocument", "ResourcePolicy", "ResourcePolicyDocument", "AssumeRolePolicyDocument"} {
			for _, s := range items(at(r.Properties, document+".Statement")) {
				trust := r.Type == typeRole && short(at(s, "Principal")) == `{"Service":"lambda.amazonaws.com"}`
				c.must(at(s, "Effect") == "Deny" || trust, name, "lets %s in", short(at(s, "Principal")))
			}
		}
	}
}

// invokers: each route of this API may invoke ingest, each rule of this stack reconcile,
// and nothing else any function.
func (c *checker) invokers() {
	allowed := map[string]bool{} // rules and the paths of routes
	for _, name := range c.names(typePermission) {
		from, function := c.text(name, "SourceArn"), c.text(name, "FunctionName")
		rule := strings.TrimSuffix(from, ".Arn")
		_, path, isAPI := strings.Cut(from, `,{"Ref":"Api"},"/*/*`)
		path = strings.TrimSuffix(path, `"]]}`)
		switch c.text(name, "Principal") {
		case "events.amazonaws.com":
			c.must(c.Resources[rule].Type == typeRule && function == reconcile+".Arn", name, "lets %q invoke %s", from, function)
		case "apigateway.amazonaws.com":
			c.must(isAPI && strings.HasPrefix(path, limits.WebhookPath) && function == ingest+".Arn", name, "lets %q invoke %s", from, function)
		default:
			c.must(false, name, "lets %s invoke %s", c.text(name, "Principal"), function)
		}
		c.must(c.text(name, "Action") == "lambda:InvokeFunction", name, "allows %s", c.text(name, "Action"))
		allowed[rule], allowed[path] = true, true
	}
	for _, name := range c.names(typeRoute) {
		_, path, _ := strings.Cut(c.text(name, "RouteKey"), " ")
		c.must(allowed[path], name, "may not invoke ingest: API Gateway would answer 500")
	}
	for _, name := range c.names(typeRule) {
		c.must(allowed[name], name, "may not invoke its target")
	}
}

// schedule: every rule is on and invokes reconcile alone. Lambda repeats no failed pass,
// and keeps a task while a long pass runs.
func (c *checker) schedule() {
	for _, name := range c.names(typeRule) {
		targets := items(c.at(name, "Targets"))
		c.must(c.text(name, "State") == "ENABLED" && len(targets) == 1 && short(at(targets[0], "Arn")) == reconcile+".Arn", name, "does not invoke reconcile alone")
	}
	const invoke = "ReconcileInvoke"
	c.must(c.number(invoke, "MaximumRetryAttempts") == 0, invoke, "repeats a failed pass before its next turn")
	c.must(c.number(invoke, "MaximumEventAgeInSeconds") > c.limits.Reconcile.Timeout.Seconds(), invoke, "drops a task that waits for a long pass to end")
}

// outputs: the command finds the stack by them.
func (c *checker) outputs() {
	for name, want := range map[string]string{
		limits.OutputQueueURL: queue, limits.OutputDLQURL: dlq, limits.OutputTable: table,
		limits.OutputWebhookSecret: "WebhookSecret", limits.OutputAPIKeySecret: "ApiKeySecret",
		limits.OutputWebhookURL: `{"Fn::Join":["",[{"Fn::GetAtt":["Api","ApiEndpoint"]},"` + limits.WebhookPath + `"]]}`,
	} {
		got := short(c.Outputs[name].Value)
		c.must(got == want, name, "output is %s, want %s", got, want)
	}
}

// Section is where infra/README.md tells what to do about an alarm; its name follows.
const Section = "infra/README.md#alarm-"

// alarms: each one pages, and watches a metric that something in this template counts. A
// metric of any other name is silent and no error.
func (c *checker) alarms() {
	topic := short(c.Outputs["AlarmTopicArn"].Value)
	for _, name := range c.names(typeAlarm) {
		_, alarm, _ := strings.Cut(c.text(name, "AlarmName"), c.stage()+"-")
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			c.must(topic != "" && slices.Equal(texts(c.at(name, actions)), []string{topic}), name, "%s are %s, not the alarm topic", actions, c.text(name, actions))
		}
		c.must(c.at(name, "ActionsEnabled") == true, name, "has its actions off")
		c.must(strings.HasSuffix(c.text(name, "AlarmDescription"), " "+Section+alarm), name, "its description does not end with %s%s", Section, alarm)
		missing, compares := c.text(name, "TreatMissingData"), c.text(name, "ComparisonOperator")
		c.must(missing == "breaching" || missing == "notBreaching" && compares == "GreaterThanOrEqualToThreshold", name, "compares by %q with missing data %q", compares, missing)
		periods, breaching := c.number(name, "EvaluationPeriods"), c.number(name, "DatapointsToAlarm")
		c.must(breaching >= 1 && breaching <= periods, name, "pages for %v of %v periods", breaching, periods)
		c.must(compares != "LessThanThreshold" || breaching == periods, name, "pages before all its periods are silent")
		c.must(c.number(name, "Threshold") > 0, name, "has the threshold %v", c.at(name, "Threshold"))
		c.metrics(name, periods)
	}
	const expire = "AlarmDeadLettersExpire"
	left := (c.limits.DLQRetention - c.limits.SourceRetention).Seconds() - c.number(expire, "Threshold")
	c.must(left >= 86400, expire, "leaves %v s before SQS drops a dead letter", left)
}

// metrics: an alarm compares one value, of all its metrics, over periods that CloudWatch
// evaluates: a day at most, and a week if a period is an hour or more.
func (c *checker) metrics(name string, evaluated float64) {
	queries := items(c.at(name, "Metrics"))
	returned, periods, expression := 0, map[float64]bool{}, ""
	for _, query := range queries {
		if at(query, "ReturnData") == true {
			returned++
			expression = short(at(query, "Expression"))
		}
	}
	for _, query := range queries {
		period, isMetric := at(query, "MetricStat.Period").(float64)
		if !isMetric {
			continue
		}
		periods[period] = true
		id := regexp.MustCompile(`\b` + regexp.QuoteMeta(short(at(query, "Id"))) + `\b`)
		c.must(len(queries) == 1 || id.MatchString(expression) || strings.Contains(expression, "METRICS()"), name, "does not use the metric %s", short(at(query, "Id")))
		most := 86400.0
		if period >= 3600 {
			most *= 7
		}
		c.must(period >= 60 && int(period)%60 == 0 && period*evaluated <= most, name, "evaluates %v periods of %v s, CloudWatch does not", evaluated, period)
		c.counted(name, at(query, "MetricStat.Metric"))
	}
	c.must(returned == 1 && len(periods) == 1, name, "compares %d values over %d lengths of periods", returned, len(periods))
}

// counted: an AWS metric is of a resource here, one of ours is of this stage.
func (c *checker) counted(name string, metric any) {
	namespace, found := short(at(metric, "Namespace")), 0
	for _, d := range items(at(metric, "Dimensions")) {
		dimension, value := short(at(d, "Name")), short(at(d, "Value"))
		owner := func(kind string) bool {
			return slices.ContainsFunc(c.names(kind), func(n string) bool { return c.text(n, dimension) == value })
		}
		if dimension == "FunctionName" && owner(typeFunction) || dimension == "QueueName" && owner("AWS::SQS::Queue") ||
			dimension == "ApiId" && value == "Api" || dimension == limits.DimensionStage && value == c.stage() {
			found++
		}
	}
	c.must(found == 1 && (namespace == limits.MetricNamespace || strings.HasPrefix(namespace, "AWS/")), name,
		"watches %s %s of %s", namespace, short(at(metric, "MetricName")), short(at(metric, "Dimensions")))
}
