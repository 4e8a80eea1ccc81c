// Package check tests the invariants of a synthesized template: relations between its
// resources, and between them and the code's limits. Every synth runs it. What a template
// contains in detail is in the golden templates, infra/testdata.
//
//	err = check.Run(raw, limits.AWS())
package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// Resources that the invariants name.
const (
	ingest, consumer, reconcile = "Ingest", "Consumer", "Reconcile"
	queue, dlq, hold, table     = "Queue", "DeadLetterQueue", "HoldQueue", "Table"
	mapping, invoke             = "ConsumerMapping", "ReconcileInvoke"
)

const (
	typeFunction = "AWS::Lambda::Function"
	typeRule     = "AWS::Events::Rule"
	typeQueue    = "AWS::SQS::Queue"
)

// variable is the path of a function's variables.
const variable = "Environment.Variables.TOLLGATE_"

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
	for _, check := range []func(){c.values, c.concurrency, c.queues, c.sends, c.resources, c.tables, c.backups, c.grants, c.tracing, c.invokers, c.domain, c.throttle, c.alarms, c.releases, c.rollout, c.levels, c.boundaries, c.people, c.senders, c.bus, c.histories, c.key} {
		check()
	}
	return errors.Join(c.errs...)
}

func (c *checker) must(ok bool, resource, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%s: %s", resource, fmt.Sprintf(format, args...)))
	}
}

// values: a property has the value of package limits or of another property, or one without
// which events are lost.
func (c *checker) values() {
	l := c.limits
	for _, v := range []struct {
		resource, path string
		want           any
	}{
		{ingest, "Timeout", l.IngestTimeout.Seconds()},
		{consumer, "Timeout", l.ConsumerTimeout.Seconds()},
		{reconcile, "Timeout", l.Reconcile.Timeout.Seconds()},
		{queue, "VisibilityTimeout", l.Visibility.Seconds()},
		{dlq, "VisibilityTimeout", l.Visibility.Seconds()},
		{queue, "MessageRetentionPeriod", l.SourceRetention.Seconds()},
		{dlq, "MessageRetentionPeriod", l.DLQRetention.Seconds()},
		{hold, "VisibilityTimeout", l.Visibility.Seconds()},
		{hold, "MessageRetentionPeriod", l.HoldRetention.Seconds()},
		{hold, "MaximumMessageSize", limits.MaxQueueRequest},
		{hold, "RedrivePolicy", nil}, // each look at it is a receive
		{consumer, variable + "HOLD_QUEUE_URL", hold},
		{queue, "MaximumMessageSize", limits.MaxQueueRequest},
		{dlq, "MaximumMessageSize", limits.MaxQueueRequest},
		{queue, "RedrivePolicy.maxReceiveCount", l.MaxReceives},
		{consumer, variable + "MAX_RECEIVES", fmt.Sprint(l.MaxReceives)},
		{mapping, "BatchSize", l.BatchSize},
		{mapping, "MaximumBatchingWindowInSeconds", l.BatchWindow.Seconds()},
		{"ApiStage", "DefaultRouteSettings.ThrottlingRateLimit", 10 * l.ReservedIngest},
		{"ApiStage", "DefaultRouteSettings.ThrottlingBurstLimit", 10 * l.ReservedIngest},

		{queue, "RedrivePolicy.deadLetterTargetArn", dlq + ".Arn"},
		{mapping, "EventSourceArn", queue + ".Arn"},
		{mapping, "FunctionResponseTypes", `["ReportBatchItemFailures"]`}, // or one failure repeats its whole batch
		{mapping, "FilterCriteria", nil},                                  // SQS deletes what it excludes
		{invoke, "MaximumRetryAttempts", 0},                               // the schedule retries

		// Reconcile would requeue what only the consumer excludes.
		{reconcile, variable + "ENDPOINTS", c.at(consumer, variable+"ENDPOINTS")},
		{reconcile, variable + "BEGIN", c.at(consumer, variable+"BEGIN")},
		// Both send messages and mark them as sent.
		{reconcile, variable + "KEEP_SENT", c.at(consumer, variable+"KEEP_SENT")},
		{reconcile, variable + "HOLD_BEFORE", c.at(consumer, variable+"HOLD_BEFORE")},
		// Both keep to one rate, which the consumers divide.
		{reconcile, variable + "STRIPE_RATE", c.at(consumer, variable+"STRIPE_RATE")},
		{consumer, variable + "CONCURRENCY", c.at(mapping, "ScalingConfig.MaximumConcurrency")},
		{reconcile, variable + "STAGE", c.stage()},
		{ingest, variable + "STAGE", c.stage()},
		{ingest, variable + "VERSION", c.version()},
		{consumer, variable + "VERSION", c.version()},
		{reconcile, variable + "VERSION", c.version()},
	} {
		got, want := c.text(v.resource, v.path), short(v.want)
		c.must(got == want, v.resource, "%s is %q, not %q", v.path, got, want)
	}
}

func (c *checker) stage() string { return c.text(consumer, variable+"STAGE") }

func (c *checker) version() any { return c.Outputs[limits.OutputVersion].Value }

// concurrency: all functions have it reserved, in the code's numbers, or none has. The
// mapping stays under the consumer's: throttles would cost messages their receives.
func (c *checker) concurrency() {
	const path = "ReservedConcurrentExecutions"
	least, most := 2.0, 5.0 // half of what the smallest account has
	if c.at(consumer, path) != nil {
		least, most = float64(c.limits.MaxConcurrency), c.number(consumer, path)
	}
	for name, want := range map[string]int{ingest: c.limits.ReservedIngest, consumer: c.limits.ReservedConsumer, reconcile: c.limits.Reconcile.Reserved} {
		got := c.number(name, path)
		c.must(got == float64(want) || got == -1 && c.at(consumer, path) == nil, name, "%s is %v, not %d", path, got, want)
	}
	got := c.number(mapping, "ScalingConfig.MaximumConcurrency")
	c.must(got >= least && got <= min(most, float64(c.limits.MaxConcurrency)), mapping, "MaximumConcurrency %v is not %v to %v", got, least, most)
}

// queues: visibility outlasts a batch with its retries. Dead letters outlive the queue's
// messages, as SQS counts both retentions from the first enqueue, and the alarm leaves time
// to act.
func (c *checker) queues() {
	least := 6*c.number(consumer, "Timeout") + c.number(mapping, "MaximumBatchingWindowInSeconds")
	got := c.number(queue, "VisibilityTimeout")
	c.must(got >= least, queue, "visibility timeout %v is under 6 × the consumer's timeout + the batch window, %v", got, least)
	const expire, day = "AlarmDeadLettersExpire", 24 * 60 * 60
	left := c.number(dlq, "MessageRetentionPeriod") - c.number(queue, "MessageRetentionPeriod")
	c.must(left > 0, dlq, "keeps messages no longer than %s", queue)
	c.must(left-c.number(expire, "Threshold") >= day, expire, "leaves under a day before SQS deletes a dead letter")
	const holds = "AlarmHoldExpires"
	left = c.number(hold, "MessageRetentionPeriod") - c.number(holds, "Threshold")
	c.must(left >= 4*day, holds, "leaves under four days before SQS deletes a held event")
	c.must(c.number(invoke, "MaximumEventAgeInSeconds") > c.limits.Reconcile.Timeout.Seconds(), invoke, "drops a task that waits for a long pass to end")
}

// resources: the table and the secrets survive the stack, and secrets have no value in it.
// Each function has its own role, which trusts only Lambda, and nothing else grants anything.
func (c *checker) resources() {
	users := map[string]int{}
	for _, name := range c.names(typeFunction) {
		users[c.role(name)]++
	}
	for name, r := range c.Resources {
		isSecret, isRole := r.Type == "AWS::SecretsManager::Secret", r.Type == "AWS::IAM::Role"
		if isSecret || r.Type == "AWS::DynamoDB::Table" {
			c.must(r.DeletionPolicy == "Retain" && r.UpdateReplacePolicy == "Retain", name, "is deleted with the stack (%q, %q)", r.DeletionPolicy, r.UpdateReplacePolicy)
		}
		c.must(!isSecret || c.at(name, "SecretString") == nil && c.at(name, "GenerateSecretString") == nil, name, "has a value in the template, which a deploy would restore")
		c.must(r.Type != "AWS::DynamoDB::GlobalTable", name, "is global: two Regions could apply one event")
		if name == backupRole {
			continue // see backups
		}
		if c.Resources[strings.TrimSuffix(name, "Policy")].Type == typeQueue && r.Type == "AWS::SQS::QueuePolicy" {
			continue // see bus
		}
		c.must(!strings.HasPrefix(r.Type, "AWS::IAM::") || isRole && (users[name] == 1 || name == rolloutRole) || ofPeople(name, r.Type), name, "%s is not the role of one function", r.Type)
		c.must(c.at(name, "ManagedPolicyArns") == nil, name, "has a managed policy")
		for _, document := range []string{"PolicyDocument", "ResourcePolicy", "ResourcePolicyDocument", "AssumeRolePolicyDocument"} {
			for _, s := range items(at(r.Properties, document+".Statement")) {
				if ofPeople(name, r.Type) {
					continue
				}
				service := "lambda"
				if name == rolloutRole {
					service = "codedeploy"
				}
				trust := isRole && short(at(s, "Principal")) == `{"Service":"`+service+`.amazonaws.com"}`
				c.must(at(s, "Effect") == "Deny" || trust, name, "lets %s in", short(at(s, "Principal")))
			}
		}
	}
}

func (c *checker) role(function string) string {
	return strings.TrimSuffix(c.text(function, "Role"), ".Arn")
}

// grants: a role names each action and resource, deletes no item (without its record an
// event would be applied again), and reaches what its function's environment names.
func (c *checker) grants() {
	deletes := regexp.MustCompile(`(?i)^dynamodb:(.*delete|batchwrite)`)
	arn := regexp.MustCompile(`\["(\w+)","Arn"\]`)
	secret := regexp.MustCompile(`\b(whsec|sk|rk)_`)
	for _, function := range c.names(typeFunction) {
		role, granted, named := c.role(function), map[string]bool{}, map[string]bool{}
		for _, s := range c.statements(role) {
			if traces(s) {
				continue
			}
			c.must(at(s, "NotAction") == nil && at(s, "NotResource") == nil, role, "grants all but some")
			c.keys(function, s)
			for _, action := range texts(at(s, "Action")) {
				c.must(!strings.ContainsAny(action, "*?") && !deletes.MatchString(action), role, "grants %s", action)
			}
			for _, on := range texts(at(s, "Resource")) {
				c.must(!strings.ContainsAny(strings.Replace(on, unknownSuffix+`"]`, "", 1), "*?"), role, "grants access to %s", on)
				if joined := arn.FindStringSubmatch(on); joined != nil { // the table of an index
					on = joined[1]
				}
				if c.ofTable(on) {
					on = c.table()
				}
				if on = strings.TrimSuffix(on, ".Arn"); c.Resources[on].Type != "" || on == c.table() || function != sender {
					granted[on] = true // reaches checks the others
				}
			}
		}
		delete(granted, function+"Logs")
		delete(granted, c.text(queue, "KmsMasterKeyId"))
		variables, _ := c.at(function, "Environment.Variables").(map[string]any)
		for name, value := range variables {
			if ref := short(value); c.Resources[ref].Type != "" || name == tableVariable {
				named[ref] = true
			}
			c.must(!secret.MatchString(short(value)), function, "%s holds a secret", name)
		}
		if named[sendDLQ] { // stands for the groups' queues too; only the sender sends to it
			named[sendDLQ] = function == sender
			for _, queue := range c.sendQueues() {
				named[queue] = function != historyAnswers || c.hasHistory(queue)
			}
		}
		maps.DeleteFunc(named, func(_ string, is bool) bool { return !is })
		c.must(fmt.Sprint(granted) == fmt.Sprint(named), role, "grants access to %v; the environment of %s names %v", granted, function, named)
	}
}

// keys: reconcile and the sender write no record of an event and no fact.
func (c *checker) keys(function string, statement any) {
	actions := texts(at(statement, "Action"))
	writes := slices.Contains(actions, "dynamodb:PutItem") || slices.Contains(actions, "dynamodb:UpdateItem")
	if !writes || function != reconcile && function != sender {
		return
	}
	conditions, _ := at(statement, "Condition").(map[string]any)
	limited, _ := conditions["ForAllValues:StringLike"].(map[string]any)
	keys := texts(limited["dynamodb:LeadingKeys"])
	c.must(len(keys) > 0, c.role(function), "may write every item")
	for _, key := range keys {
		own := strings.IndexByte(key, '#') > 0 && !strings.HasPrefix(key, limits.KeyRecord) && strings.IndexByte(key, '*') != 0
		c.must(own, c.role(function), "may write the items %s", key)
	}
}

// invokers: a route of this API may invoke the alias of ingest, that of receivers history; a schedule
// of this stack may invoke reconcile, its only target. Nothing else invokes a function.
func (c *checker) invokers() {
	want := map[string]string{} // what a permission has
	for _, name := range c.names("AWS::ApiGatewayV2::Route") {
		_, path, _ := strings.Cut(c.text(name, "RouteKey"), " ")
		function := ingest + "Alias"
		if strings.HasPrefix(path, "/deliveries") {
			function = historyAnswers + ".Arn"
		}
		want["lambda:InvokeFunction "+function+` apigateway.amazonaws.com ,{"Ref":"Api"},"/*/*`+path+`"]]}`] = name
	}
	for _, name := range c.names(typeRule) {
		if name == busRule {
			continue // see bus
		}
		targets := items(c.at(name, "Targets"))
		c.must(c.text(name, "State") == "ENABLED" && len(targets) == 1 && short(at(targets[0], "Arn")) == reconcile+".Arn", name, "does not invoke reconcile alone")
		want["lambda:InvokeFunction "+reconcile+".Arn events.amazonaws.com "+name+".Arn"] = name
	}
	for _, name := range c.names("AWS::Lambda::Permission") {
		source := c.text(name, "SourceArn")
		if at := strings.Index(source, `,{"Ref":"Api"}`); at >= 0 {
			source = source[at:]
		}
		got := strings.Join([]string{c.text(name, "Action"), c.text(name, "FunctionName"), c.text(name, "Principal"), source}, " ")
		c.must(want[got] != "", name, "allows %s", got)
		delete(want, got)
	}
	for _, name := range want {
		c.must(false, name, "may not invoke its function")
	}
}

// template is the part of a CloudFormation template that the invariants check.
type template struct {
	Resources map[string]struct {
		Type                string
		Properties          map[string]any
		DeletionPolicy      string
		UpdateReplacePolicy string
		UpdatePolicy        map[string]any
		DependsOn           []string
	}
	Outputs map[string]struct{ Value any }
}

func parse(raw []byte) (t template, err error) {
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, fmt.Errorf("read template: %w", err)
	}
	if len(t.Resources) == 0 {
		return t, errors.New("read template: it has no resources")
	}
	return t, nil
}

// names returns the resources of a type, sorted.
func (t template) names(kind string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.Resources)), func(name string) bool { return t.Resources[name].Type != kind })
}

// at returns the property at a path such as "LoggingConfig.LogGroup", nil if there is none.
func (t template) at(resource, path string) any { return at(t.Resources[resource].Properties, path) }

func at(v any, path string) any {
	for member := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[member]
	}
	return v
}

func (t template) text(resource, path string) string { return short(t.at(resource, path)) }

// number returns a numeric property, -1 if it is not a number.
func (t template) number(resource, path string) float64 {
	if n, ok := t.at(resource, path).(float64); ok {
		return n
	}
	return -1
}

// items returns a list; a single value is a list of one, as in policies.
func items(v any) []any {
	if list, ok := v.([]any); ok || v == nil {
		return list
	}
	return []any{v}
}

func texts(v any) (out []string) {
	for _, item := range items(v) {
		out = append(out, short(item))
	}
	return out
}

// short formats a value: a reference as Queue.Arn or Table, a string unchanged, nil as ""
// and anything else as JSON.
func short(v any) string {
	m, _ := v.(map[string]any)
	if get, ok := m["Fn::GetAtt"].([]any); ok {
		return strings.Join(texts(get), ".")
	}
	if m["Ref"] != nil {
		return short(m["Ref"])
	}
	if s, ok := v.(string); ok || v == nil {
		return s
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}
