package check_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/infra/check"
	"tollgate/pkg/limits"
)

func golden(t *testing.T, stage string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "tollgate-"+stage+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestGoldenHolds(t *testing.T) {
	for _, stage := range []string{"test", "live"} {
		template, err := check.Parse(golden(t, stage))
		if err != nil {
			t.Fatal(err)
		}
		if err := check.Run(template, limits.AWS()); err != nil {
			t.Errorf("%s:\n%v", stage, err)
		}
	}
}

// broken is a template as JSON that a mutation changes.
type broken map[string]any

func (b broken) properties(resource string) map[string]any {
	return b.resource(resource)["Properties"].(map[string]any)
}

func (b broken) resource(name string) map[string]any {
	return b["Resources"].(map[string]any)[name].(map[string]any)
}

// in returns the object at a path of members and of indexes in lists.
func in(v any, path ...any) map[string]any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = v.(map[string]any)[step]
		case int:
			v = v.([]any)[step]
		}
	}
	return v.(map[string]any)
}

// statement returns one statement of a role.
func (b broken) statement(role string, n int) map[string]any {
	return in(b.properties(role), "Policies", 0, "PolicyDocument", "Statement", n)
}

func (b broken) add(name, kind string, properties map[string]any) {
	b["Resources"].(map[string]any)[name] = map[string]any{"Type": kind, "Properties": properties}
}

// mutation breaks one thing, which this check must say of this resource.
type mutation struct {
	name     string
	check    string
	resource string
	change   func(broken)
}

// mutations are the ways in which a template loses events, lets others in or sleeps.
func mutations() []mutation {
	set := func(resource, member string, value any) func(broken) {
		return func(b broken) { b.properties(resource)[member] = value }
	}
	unset := func(resource string, members ...string) func(broken) {
		return func(b broken) {
			for _, m := range members {
				delete(b.properties(resource), m)
			}
		}
	}
	remove := func(resource string) func(broken) {
		return func(b broken) { delete(b["Resources"].(map[string]any), resource) }
	}
	action := func(role string, n int, actions ...any) func(broken) {
		return func(b broken) { b.statement(role, n)["Action"] = actions }
	}
	public := map[string]any{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
	const grants, named = "grants are the known ones", "actions are named"
	const watch, page = "alarms watch what is here", "alarms can page"
	return []mutation{
		{"no partial batches", "a batch fails in part", "ConsumerMapping", unset("ConsumerMapping", "FunctionResponseTypes")},
		{"a filter on the mapping", "a batch fails in part", "ConsumerMapping", set("ConsumerMapping", "FilterCriteria", map[string]any{"Filters": []any{}})},
		{"a mapping that is off", "a batch fails in part", "ConsumerMapping", set("ConsumerMapping", "Enabled", false)},
		{"a mapping of dead letters", "a batch fails in part", "ConsumerMapping", set("ConsumerMapping", "EventSourceArn", map[string]any{"Fn::GetAtt": []any{"DeadLetterQueue", "Arn"}})},
		{"the mapping above what is reserved", "the mapping stays under what is reserved", "ConsumerMapping", func(b broken) {
			in(b.properties("ConsumerMapping"), "ScalingConfig")["MaximumConcurrency"] = 51
		}},
		{"a mapping without bound", "the mapping stays under what is reserved", "ConsumerMapping", unset("ConsumerMapping", "ScalingConfig")},
		{"nothing reserved and the mapping as before", "the mapping stays under what is reserved", "ConsumerMapping", func(b broken) {
			unset("Ingest", "ReservedConcurrentExecutions")(b)
			unset("Consumer", "ReservedConcurrentExecutions")(b)
		}},

		{"visibility under six timeouts", "visibility outlasts retries", "Queue", set("Queue", "VisibilityTimeout", 179)},
		{"a longer consumer alone", "visibility outlasts retries", "Queue", set("Consumer", "Timeout", 31)},
		{"no visibility", "visibility outlasts retries", "Queue", unset("Queue", "VisibilityTimeout")},
		{"equal retentions", "dead letters outlive the queue's messages", "DeadLetterQueue", set("DeadLetterQueue", "MessageRetentionPeriod", 345600)},
		{"no retentions", "dead letters outlive the queue's messages", "DeadLetterQueue", func(b broken) {
			unset("Queue", "MessageRetentionPeriod")(b)
			unset("DeadLetterQueue", "MessageRetentionPeriod")(b)
		}},
		{"no dead letters", "dead letters go one way", "Queue", unset("Queue", "RedrivePolicy")},
		{"dead letters of anybody", "dead letters go one way", "DeadLetterQueue", unset("DeadLetterQueue", "RedriveAllowPolicy")},
		{"dead letters of another name", "dead letters go one way", "DeadLetterQueue", set("Queue", "QueueName", "tollgate-test-event")},
		{"no encryption", "queues are sealed", "Queue", set("Queue", "SqsManagedSseEnabled", false)},
		{"no TLS policy", "queues are sealed", "Queue", remove("QueuePolicy")},
		{"a TLS policy of another queue", "queues are sealed", "DeadLetterQueue", func(b broken) {
			b.properties("DeadLetterQueuePolicy")["Queues"] = []any{map[string]any{"Ref": "Queue"}}
		}},
		{"a TLS policy that allows", "queues are sealed", "Queue", func(b broken) {
			in(b.properties("QueuePolicy"), "PolicyDocument", "Statement", 0)["Effect"] = "Allow"
		}},

		{"a public queue", "nobody else may", "QueuePolicy", func(b broken) {
			in(b.properties("QueuePolicy"), "PolicyDocument")["Statement"] = []any{public}
		}},
		{"another account's queue", "nobody else may", "QueuePolicy", func(b broken) {
			in(b.properties("QueuePolicy"), "PolicyDocument", "Statement", 0)["Principal"] = map[string]any{"AWS": "123456789012"}
			in(b.properties("QueuePolicy"), "PolicyDocument", "Statement", 0)["Effect"] = "Allow"
		}},
		{"a public topic", "nobody else may", "TopicPolicy", func(b broken) {
			b.add("TopicPolicy", "AWS::SNS::TopicPolicy", map[string]any{"PolicyDocument": map[string]any{"Statement": []any{public}}})
		}},
		{"a role for everybody", "nobody else may", "IngestRole", func(b broken) {
			in(b.properties("IngestRole"), "AssumeRolePolicyDocument", "Statement", 0)["Principal"] = "*"
		}},
		{"a function for any API", "nobody else may", "DefaultRoutePermission", unset("DefaultRoutePermission", "SourceArn")},
		{"a function for everybody", "nobody else may", "EndpointRoutePermission", set("EndpointRoutePermission", "Principal", "*")},

		{"a wildcard action", named, "ConsumerRole", action("ConsumerRole", 0, "sqs:*")},
		{"half a wildcard", named, "ConsumerRole", action("ConsumerRole", 2, "dynamodb:Get*")},
		{"a wildcard resource", named, "IngestRole", func(b broken) { b.statement("IngestRole", 0)["Resource"] = "*" }},
		{"DeleteItem", "nobody deletes items", "ConsumerRole", action("ConsumerRole", 2, "dynamodb:PutItem", "dynamodb:DeleteItem")},
		{"every item action", "nobody deletes items", "ConsumerRole", action("ConsumerRole", 2, "dynamodb:*")},
		{"ingest reads the other secret", grants, "IngestRole", func(b broken) {
			b.statement("IngestRole", 1)["Resource"] = map[string]any{"Ref": "ApiKeySecret"}
		}},
		{"ingest receives", grants, "IngestRole", action("IngestRole", 0, "sqs:SendMessage", "sqs:ReceiveMessage")},
		{"the consumer cannot put dead letters", grants, "ConsumerRole", func(b broken) { b.statement("ConsumerRole", 1)["Effect"] = "Deny" }},
		{"everything but", grants, "ConsumerRole", func(b broken) {
			s := b.statement("ConsumerRole", 0)
			delete(s, "Action")
			s["NotAction"] = "iam:*"
		}},
		{"a managed policy", grants, "IngestRole", set("IngestRole", "ManagedPolicyArns", []any{"arn:aws:iam::aws:policy/AdministratorAccess"})},
		{"a policy beside the roles", grants, "Extra", func(b broken) { b.add("Extra", "AWS::IAM::Policy", map[string]any{}) }},
		{"a role beside the functions", grants, "Extra", func(b broken) { b.add("Extra", "AWS::IAM::Role", map[string]any{}) }},
		{"one role for both", "functions run what make build makes", "Ingest", func(b broken) {
			b.properties("Ingest")["Role"] = b.properties("Consumer")["Role"]
		}},

		{"no deletion protection", "the table keeps", "Table", set("Table", "DeletionProtectionEnabled", false)},
		{"no recovery", "the table keeps", "Table", unset("Table", "PointInTimeRecoverySpecification")},
		{"no expiry", "the table keeps", "Table", unset("Table", "TimeToLiveSpecification")},
		{"expiry by another attribute", "the table keeps", "Table", func(b broken) {
			in(b.properties("Table"), "TimeToLiveSpecification")["AttributeName"] = "ttl"
		}},
		{"a table that goes with the stack", "the table keeps", "Table", func(b broken) { b.resource("Table")["DeletionPolicy"] = "Delete" }},
		{"a table that is replaced", "the table keeps", "Table", func(b broken) { delete(b.resource("Table"), "UpdateReplacePolicy") }},
		{"a global table", "the table keeps", "Table", func(b broken) { b.resource("Table")["Type"] = "AWS::DynamoDB::GlobalTable" }},
		{"a secret in the template", "secrets are empty and kept", "WebhookSecret", set("WebhookSecret", "SecretString", "{}")},
		{"a secret that goes with the stack", "secrets are empty and kept", "ApiKeySecret", func(b broken) { delete(b.resource("ApiKeySecret"), "DeletionPolicy") }},
		{"a secret in the environment", "functions have their environment", "Ingest", func(b broken) {
			in(b.properties("Ingest"), "Environment", "Variables")["TOLLGATE_WEBHOOK_SECRET_ID"] = "whsec_1"
		}},
		{"no table in the environment", "functions have their environment", "Consumer", func(b broken) {
			delete(in(b.properties("Consumer"), "Environment", "Variables"), "TOLLGATE_TABLE")
		}},
		{"the queues swapped in the environment", "functions have their environment", "Consumer", func(b broken) {
			in(b.properties("Consumer"), "Environment", "Variables")["TOLLGATE_DLQ_URL"] = map[string]any{"Ref": "Queue"}
		}},

		{"a log for ever", "logs end", "ConsumerLogs", unset("ConsumerLogs", "RetentionInDays")},
		{"logs outside of the stack", "logs end", "Ingest", unset("Ingest", "LoggingConfig")},
		{"every line of the platform", "logs end", "Consumer", func(b broken) {
			in(b.properties("Consumer"), "LoggingConfig")["SystemLogLevel"] = "INFO"
		}},
		{"x86", "functions run what make build makes", "Ingest", unset("Ingest", "Architectures")},
		{"another runtime", "functions run what make build makes", "Consumer", set("Consumer", "Runtime", "nodejs22.x")},

		{"a pass never asked for", "the schedule runs reconcile", "Reconcile", remove("ScheduleWeekly")},
		{"a schedule that is off", "the schedule runs reconcile", "ScheduleQuarter", set("ScheduleQuarter", "State", "DISABLED")},
		{"a schedule of nothing", "the schedule runs reconcile", "ScheduleOutbox", unset("ScheduleOutbox", "Targets")},
		{"a schedule of the consumer", "the schedule runs reconcile", "ScheduleNightly", func(b broken) {
			in(b.properties("ScheduleNightly"), "Targets", 0)["Arn"] = map[string]any{"Fn::GetAtt": []any{"Consumer", "Arn"}}
		}},
		{"a task that nobody knows", "the schedule runs reconcile", "ScheduleNightly", func(b broken) {
			in(b.properties("ScheduleNightly"), "Targets", 0)["Input"] = `{"task":"daily"}`
		}},
		{"another rhythm", "the schedule runs reconcile", "ScheduleQuarter", set("ScheduleQuarter", "ScheduleExpression", "rate(3 hours)")},
		{"a schedule that may not invoke", "the schedule runs reconcile", "ScheduleQuarter", remove("ScheduleQuarterPermission")},
		{"passes repeated by Lambda", "the schedule runs reconcile", "ReconcileInvoke", set("ReconcileInvoke", "MaximumRetryAttempts", 2)},
		{"tasks dropped while a pass runs", "the schedule runs reconcile", "ReconcileInvoke", set("ReconcileInvoke", "MaximumEventAgeInSeconds", 60)},
		{"repetitions without bound", "the schedule runs reconcile", "Reconcile", remove("ReconcileInvoke")},
		{"any rule may reconcile", "nobody else may", "ScheduleWeeklyPermission", unset("ScheduleWeeklyPermission", "SourceArn")},
		{"the schedule may call ingest", "nobody else may", "ScheduleWeeklyPermission", func(b broken) {
			b.properties("ScheduleWeeklyPermission")["FunctionName"] = map[string]any{"Fn::GetAtt": []any{"Ingest", "Arn"}}
		}},
		{"reconcile receives", grants, "ReconcileRole", action("ReconcileRole", 0, "sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")},
		{"reconcile reads every index", grants, "ReconcileRole", func(b broken) {
			b.statement("ReconcileRole", 2)["Resource"] = map[string]any{"Fn::Join": []any{"", []any{map[string]any{"Fn::GetAtt": []any{"Table", "Arn"}}, "/index/open-upd"}}}
		}},
		{"another policy for reconcile", "reconcile and the consumer have one policy", "Reconcile", func(b broken) {
			in(b.properties("Reconcile"), "Environment", "Variables")["TOLLGATE_ENDPOINTS"] = "{}"
		}},
		{"no policy for reconcile", "reconcile and the consumer have one policy", "Reconcile", func(b broken) {
			delete(in(b.properties("Reconcile"), "Environment", "Variables"), "TOLLGATE_ENDPOINTS")
		}},
		{"reconcile without a key", "functions have their environment", "Reconcile", func(b broken) {
			delete(in(b.properties("Reconcile"), "Environment", "Variables"), "TOLLGATE_API_KEY_SECRET_ID")
		}},
		{"reconcile alone unreserved", "numbers are the code's", "Reconcile", unset("Reconcile", "ReservedConcurrentExecutions")},
		{"no pass is no page", page, "AlarmReconcileIncomplete", set("AlarmReconcileIncomplete", "TreatMissingData", "notBreaching")},
		{"a silent outbox is no page", page, "AlarmOutboxLate", set("AlarmOutboxLate", "TreatMissingData", "notBreaching")},
		{"one process for passes and outbox", "numbers are the code's", "Reconcile", set("Reconcile", "ReservedConcurrentExecutions", 1)},
		{"no pass beside the long ones", "the schedule runs reconcile", "Reconcile", remove("ScheduleQuarterAtNight")},
		{"a page after one pass that was put off", page, "AlarmReconcileIncomplete", set("AlarmReconcileIncomplete", "DatapointsToAlarm", 1)},

		{"a route for all methods", "the API lets two routes in", "Api", set("DefaultRoute", "RouteKey", "ANY /webhooks/stripe")},
		{"a third route", "the API lets two routes in", "Api", func(b broken) {
			b.add("Third", "AWS::ApiGatewayV2::Route", map[string]any{"RouteKey": "$default"})
		}},
		{"payload 1.0", "the API lets two routes in", "ApiIntegration", set("ApiIntegration", "PayloadFormatVersion", "1.0")},
		{"a route to nowhere", "the API lets two routes in", "DefaultRoute", unset("DefaultRoute", "Target")},
		{"a route that may not invoke", "the API lets two routes in", "EndpointRoute", func(b broken) {
			b.properties("EndpointRoutePermission")["SourceArn"] = b.properties("DefaultRoutePermission")["SourceArn"]
		}},
		{"a stage that nobody deploys", "the API lets two routes in", "ApiStage", set("ApiStage", "AutoDeploy", false)},
		{"a stage of another API", "the API lets two routes in", "ApiStage", set("ApiStage", "ApiId", "a1b2c3")},
		{"a stage without throttle", "the API lets two routes in", "ApiStage", unset("ApiStage", "DefaultRouteSettings")},
		{"a log with a header", "the access log has nothing of the sender's", "ApiStage", func(b broken) {
			in(b.properties("ApiStage"), "AccessLogSettings")["Format"] = `{"agent":"$context.identity.userAgent"}`
		}},
		{"no access log", "the access log has nothing of the sender's", "ApiStage", unset("ApiStage", "AccessLogSettings")},

		{"an alarm without action", "alarms act", "AlarmDeadLetters", unset("AlarmDeadLetters", "AlarmActions")},
		{"an alarm that is off", "alarms act", "AlarmIngestErrors", set("AlarmIngestErrors", "ActionsEnabled", false)},
		{"an alarm elsewhere", "alarms act", "AlarmQueueAge", set("AlarmQueueAge", "AlarmActions", []any{"arn:aws:sns:us-east-1:123456789012:other"})},
		{"an alarm without runbook", "alarms act", "AlarmSuperseded", set("AlarmSuperseded", "AlarmDescription", "Something is odd.")},
		{"missing data means nothing", "alarms act", "AlarmApiErrors", unset("AlarmApiErrors", "TreatMissingData")},
		{"an alarm less", "alarms are all there", "consumer-failures", remove("AlarmConsumerFailures")},
		{"an alarm that never pages", "alarms are all there", "AlarmInFlight", set("AlarmInFlight", "DatapointsToAlarm", 4)},
		{"an alarm on a metric of nobody", "metrics are counted", "AlarmSuperseded", func(b broken) {
			in(b.properties("AlarmSuperseded"), "Metrics", 0, "MetricStat", "Metric")["MetricName"] = "Overtaken"
		}},
		{"an alarm on every stage", "metrics are counted", "AlarmSuperseded", func(b broken) {
			delete(in(b.properties("AlarmSuperseded"), "Metrics", 0, "MetricStat", "Metric"), "Dimensions")
		}},

		{"an alarm on another stage", watch, "AlarmSilence", func(b broken) {
			in(b.properties("AlarmSilence"), "Metrics", 0, "MetricStat", "Metric", "Dimensions", 0)["Value"] = "test"
		}},
		{"an alarm on the other function", watch, "consumer-errors", func(b broken) {
			in(b.properties("AlarmConsumerErrors"), "Metrics", 0, "MetricStat", "Metric", "Dimensions", 0)["Value"] = "tollgate-live-ingest"
		}},
		{"an alarm on every rejection", watch, "AlarmSecretMismatch", func(b broken) {
			m := in(b.properties("AlarmSecretMismatch"), "Metrics", 0, "MetricStat", "Metric")
			m["Dimensions"] = m["Dimensions"].([]any)[:1]
		}},
		{"an average", watch, "AlarmIngestSlow", func(b broken) {
			in(b.properties("AlarmIngestSlow"), "Metrics", 0, "MetricStat")["Stat"] = "Average"
		}},
		{"a function renamed beside its alarm", watch, "AlarmIngestErrors", set("Ingest", "FunctionName", "tollgate-ingest")},
		{"an alarm that pages when all is well", page, "AlarmQueueAge", set("AlarmQueueAge", "ComparisonOperator", "LessThanThreshold")},
		{"silence that is no data", page, "AlarmSilence", set("AlarmSilence", "TreatMissingData", "notBreaching")},
		{"silence after an hour", page, "AlarmSilence", set("AlarmSilence", "DatapointsToAlarm", 1)},
		{"silence for eight days", page, "AlarmSilence", func(b broken) {
			set("AlarmSilence", "EvaluationPeriods", 192)(b)
			set("AlarmSilence", "DatapointsToAlarm", 192)(b)
		}},
		{"no threshold", page, "AlarmDeadLetters", set("AlarmDeadLetters", "Threshold", 0)},
		{"an alarm that never ends", page, "AlarmDeadLetters", unset("AlarmDeadLetters", "OKActions")},
		{"a metric beside the expression", page, "AlarmConsumerFailures", func(b broken) {
			in(b.properties("AlarmConsumerFailures"), "Metrics", 3)["Expression"] = "failed"
		}},
		{"two values to compare", page, "AlarmSecretMismatch", func(b broken) {
			in(b.properties("AlarmSecretMismatch"), "Metrics", 0)["ReturnData"] = true
		}},
		{"two periods", page, "AlarmSecretMismatch", func(b broken) {
			in(b.properties("AlarmSecretMismatch"), "Metrics", 1, "MetricStat")["Period"] = 60
		}},
		{"dead letters that are lost before they page", page, "AlarmDeadLettersExpire", set("AlarmDeadLettersExpire", "Threshold", 11*86400)},

		{"an output renamed", "outputs have their names", "DlqUrl", func(b broken) {
			outputs := b["Outputs"].(map[string]any)
			outputs["DeadUrl"] = outputs["DlqUrl"]
			delete(outputs, "DlqUrl")
		}},
		{"the outputs swapped", "outputs have their names", "QueueUrl", func(b broken) {
			in(b["Outputs"], "QueueUrl")["Value"] = map[string]any{"Ref": "DeadLetterQueue"}
		}},
		{"no tags", "resources are tagged", "Table", unset("Table", "Tags")},
	}
}

func TestMutations(t *testing.T) {
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			b := broken{}
			if err := json.Unmarshal(golden(t, "live"), &b); err != nil {
				t.Fatal(err)
			}
			m.change(b)
			found := b.find(t, m.check)
			for _, violation := range found {
				if strings.HasPrefix(violation, m.resource+": ") {
					return
				}
			}
			t.Errorf("%q says nothing of %s: %q", m.check, m.resource, found)
		})
	}
}

// TestEveryNumber changes each number that the code depends on by one.
func TestEveryNumber(t *testing.T) {
	for _, n := range []struct {
		resource string
		path     []any
		member   string
	}{
		{"Ingest", nil, "Timeout"}, {"Consumer", nil, "Timeout"}, {"Reconcile", nil, "Timeout"},
		{"Ingest", nil, "ReservedConcurrentExecutions"}, {"Consumer", nil, "ReservedConcurrentExecutions"}, {"Reconcile", nil, "ReservedConcurrentExecutions"},
		{"Queue", nil, "VisibilityTimeout"}, {"DeadLetterQueue", nil, "VisibilityTimeout"},
		{"Queue", nil, "MessageRetentionPeriod"}, {"DeadLetterQueue", nil, "MessageRetentionPeriod"},
		{"Queue", nil, "MaximumMessageSize"}, {"DeadLetterQueue", nil, "MaximumMessageSize"},
		{"Queue", []any{"RedrivePolicy"}, "maxReceiveCount"},
		{"ConsumerMapping", nil, "BatchSize"}, {"ConsumerMapping", nil, "MaximumBatchingWindowInSeconds"},
		{"ConsumerMapping", []any{"ScalingConfig"}, "MaximumConcurrency"},
	} {
		for _, by := range []float64{-1, 1} {
			t.Run(fmt.Sprint(n.resource, " ", n.member, " ", by), func(t *testing.T) {
				b := broken{}
				if err := json.Unmarshal(golden(t, "test"), &b); err != nil {
					t.Fatal(err)
				}
				object := in(b.properties(n.resource), n.path...)
				object[n.member] = object[n.member].(float64) + by
				found := b.find(t, "numbers are the code's")
				if len(found) != 1 || !strings.HasPrefix(found[0], n.resource+": ") {
					t.Errorf("found %q, want one of %s", found, n.resource)
				}
			})
		}
	}
}

// find runs one check, and sees that Run reports what it finds.
func (b broken) find(t *testing.T, name string) []string {
	t.Helper()
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	template, err := check.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range check.All() {
		if c.Name == name {
			found := c.Find(template, limits.AWS())
			if err := check.Run(template, limits.AWS()); len(found) > 0 && (err == nil || !strings.Contains(err.Error(), name+": "+found[0])) {
				t.Errorf("Run reports %v, not %q", err, found[0])
			}
			return found
		}
	}
	t.Fatalf("no check is called %q", name)
	return nil
}

// TestEveryCheckFails sees that no check is without a mutation that it alone must find.
func TestEveryCheckFails(t *testing.T) {
	seen := map[string]bool{"numbers are the code's": true} // TestEveryNumber
	for _, m := range mutations() {
		seen[m.check] = true
	}
	for _, c := range check.All() {
		if !seen[c.Name] {
			t.Errorf("nothing breaks %q", c.Name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "null", "[]", `{"Resources":{}}`, `{"Resources":[]}`} {
		if _, err := check.Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "read template: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRunbook sees that each alarm has its section in the README's runbook.
func TestRunbook(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, runbook, found := strings.Cut(string(raw), "\n## Runbook\n")
	if !found {
		t.Fatal("the README has no runbook")
	}
	runbook, _, _ = strings.Cut(runbook, "\n## ")
	for _, name := range check.Alarms() {
		if !strings.Contains(runbook, "\n#### "+name+"\n") {
			t.Errorf("the runbook has no section %s", name)
		}
	}
}
