package check_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
		if err := check.Run(golden(t, stage), limits.AWS()); err != nil {
			t.Errorf("%s:\n%v", stage, err)
		}
	}
}

type object = map[string]any

func ref(name string) object { return object{"Ref": name} }

func arn(name string) object { return object{"Fn::GetAtt": []any{name, "Arn"}} }

// mutation sets one value of the template, or deletes it for nil. The path starts with the
// resource; after ! is a member of the resource itself.
type mutation struct {
	path  string
	value any
	want  string // the violation's resource, if it is another one
}

// mutations break each invariant.
func mutations() []mutation {
	const (
		statement    = ".Policies.0.PolicyDocument.Statement."
		everyone     = "*"
		otherTopic   = "arn:aws:sns:us-east-1:123456789012:other"
		queueMetrics = "AlarmQueueAge.Metrics.0.MetricStat."
	)
	public := object{"PolicyDocument": object{"Statement": []any{object{"Effect": "Allow", "Principal": everyone}}}}
	return []mutation{
		{"Consumer.Environment.Variables.TOLLGATE_MAX_RECEIVES", "3", ""},
		{"Ingest.ReservedConcurrentExecutions", nil, ""},
		{"Reconcile.ReservedConcurrentExecutions", nil, ""},
		{"Consumer.ReservedConcurrentExecutions", nil, "ConsumerMapping"},
		{"ConsumerMapping.ScalingConfig.MaximumConcurrency", 51, ""},
		{"ConsumerMapping.ScalingConfig", nil, ""},

		{"Queue.VisibilityTimeout", 179, ""},
		{"Queue.VisibilityTimeout", nil, ""},
		{"Consumer.Timeout", 31, "Queue"},
		{"DeadLetterQueue.MessageRetentionPeriod", 345600, ""},
		{"Queue.RedrivePolicy", nil, ""},
		{"DeadLetterQueue.RedrivePolicy", object{}, ""},
		{"DeadLetterQueue.RedriveAllowPolicy", nil, ""},
		{"Queue.QueueName", "tollgate-live-event", "DeadLetterQueue"},
		{"ConsumerMapping.FunctionResponseTypes", nil, ""},
		{"ConsumerMapping.FilterCriteria", object{}, ""},
		{"ConsumerMapping.Enabled", false, ""},
		{"ConsumerMapping.EventSourceArn", arn("DeadLetterQueue"), ""},

		{"Table!DeletionPolicy", "Delete", ""},
		{"Table!UpdateReplacePolicy", nil, ""},
		{"Table!Type", "AWS::DynamoDB::GlobalTable", ""},
		{"Table.DeletionProtectionEnabled", false, ""},
		{"Table.PointInTimeRecoverySpecification", nil, ""},
		{"Table.TimeToLiveSpecification.AttributeName", "ttl", ""},
		{"ApiKeySecret!DeletionPolicy", nil, ""},
		{"WebhookSecret.SecretString", "{}", ""},
		{"Ingest.Environment.Variables.TOLLGATE_WEBHOOK_SECRET_ID", "whsec_1", ""},
		{"Reconcile.Environment.Variables.TOLLGATE_ENDPOINTS", "{}", ""},
		{"Reconcile.Environment.Variables.TOLLGATE_ENDPOINTS", nil, ""},
		{"Ingest.Environment.Variables.TOLLGATE_STAGE", "test", ""},

		{"Ingest.Role", arn("ConsumerRole"), "ConsumerRole"},
		{"IngestRole.ManagedPolicyArns", []any{"arn:aws:iam::aws:policy/AdministratorAccess"}, ""},
		{"Extra!Type", "AWS::IAM::Policy", ""},
		{"Extra!Type", "AWS::IAM::Role", ""},
		{"ConsumerRole" + statement + "0.Action", "sqs:*", ""},
		{"ConsumerRole" + statement + "2.Action.0", "dynamodb:Get*", ""},
		{"ConsumerRole" + statement + "2.Action.0", "dynamodb:DeleteItem", ""},
		{"ConsumerRole" + statement + "2.Action.0", "dynamodb:PartiQLDelete", ""},
		{"ReconcileRole" + statement + "1.Action.0", "dynamodb:BatchWriteItem", ""},
		{"ConsumerRole" + statement + "0.NotAction", "iam:*", ""},
		{"ConsumerRole" + statement + "1.Effect", "Deny", ""},
		{"IngestRole" + statement + "0.Resource", everyone, ""},
		{"IngestRole" + statement + "1.Resource", ref("ApiKeySecret"), ""},
		{"Consumer.Environment.Variables.TOLLGATE_TABLE", nil, "ConsumerRole"},

		{"QueuePolicy.PolicyDocument.Statement.0.Effect", "Allow", ""},
		{"TopicPolicy!Properties", public, ""},
		{"IngestRole.AssumeRolePolicyDocument.Statement.0.Principal", everyone, ""},
		{"DefaultRoutePermission.SourceArn", nil, ""},
		{"DefaultRoutePermission", nil, "DefaultRoute"},
		{"EndpointRoutePermission.Principal", everyone, ""},
		{"ScheduleWeeklyPermission.SourceArn", nil, ""},
		{"ScheduleWeeklyPermission.FunctionName", arn("Ingest"), ""},
		{"ScheduleWeeklyPermission.Action", "lambda:*", ""},
		{"ScheduleWeeklyPermission", nil, "ScheduleWeekly"},
		{"ScheduleWeekly.State", "DISABLED", ""},
		{"ScheduleOutbox.Targets", nil, ""},
		{"ScheduleNightly.Targets.0.Arn", arn("Consumer"), ""},
		{"ReconcileInvoke.MaximumRetryAttempts", 2, ""},
		{"ReconcileInvoke.MaximumEventAgeInSeconds", 60, ""},
		{"ReconcileInvoke", nil, ""},

		{"AlarmDeadLetters.AlarmActions", nil, ""},
		{"AlarmDeadLetters.OKActions", nil, ""},
		{"AlarmQueueAge.AlarmActions", []any{otherTopic}, ""},
		{"AlarmIngestErrors.ActionsEnabled", false, ""},
		{"AlarmSuperseded.AlarmDescription", "Attempts are superseded.", ""},
		{"AlarmApiErrors.TreatMissingData", nil, ""},
		{"AlarmReconcileIncomplete.TreatMissingData", "notBreaching", ""},
		{"AlarmSilence.TreatMissingData", "notBreaching", ""},
		{"AlarmQueueAge.ComparisonOperator", "LessThanThreshold", ""},
		{"AlarmInFlight.DatapointsToAlarm", 4, ""},
		{"AlarmReconcileIncomplete.DatapointsToAlarm", 1, ""},
		{"AlarmDeadLetters.Threshold", 0, ""},
		{"AlarmDeadLettersExpire.Threshold", 11 * 86400, ""},
		{queueMetrics + "Period", 90, ""},
		{queueMetrics + "Period", 172800, ""},
		{queueMetrics + "Metric.Namespace", "Queues", ""},
		{queueMetrics + "Metric.Dimensions", nil, ""},
		{queueMetrics + "Metric.Dimensions.0.Value", "tollgate-live-event", ""},
		{"AlarmSilence.Metrics.0.MetricStat.Metric.Dimensions.0.Value", "test", ""},
		{"Ingest.FunctionName", "tollgate-ingest", "AlarmIngestErrors"},
		{"AlarmConsumerFailures.Metrics.3.Expression", "failed", ""},
		{"AlarmSecretMismatch.Metrics.0.ReturnData", true, ""},
		{"AlarmSecretMismatch.Metrics.1.MetricStat.Period", 60, ""},
	}
}

// TestMutations breaks the golden template in one place at a time.
func TestMutations(t *testing.T) {
	all := mutations()
	for _, n := range []string{
		"Ingest.Timeout", "Consumer.Timeout", "Reconcile.Timeout", "Queue.VisibilityTimeout", "DeadLetterQueue.VisibilityTimeout",
		"Ingest.ReservedConcurrentExecutions", "Consumer.ReservedConcurrentExecutions", "Reconcile.ReservedConcurrentExecutions",
		"Queue.MessageRetentionPeriod", "DeadLetterQueue.MessageRetentionPeriod", "Queue.MaximumMessageSize", "DeadLetterQueue.MaximumMessageSize",
		"Queue.RedrivePolicy.maxReceiveCount", "ConsumerMapping.BatchSize", "ConsumerMapping.MaximumBatchingWindowInSeconds",
		"ConsumerMapping.ScalingConfig.MaximumConcurrency", "ApiStage.DefaultRouteSettings.ThrottlingRateLimit", "ApiStage.DefaultRouteSettings.ThrottlingBurstLimit",
	} {
		all = append(all, mutation{n, -1.0, ""}, mutation{n, +1.0, ""})
	}
	raw := golden(t, "live")
	for _, m := range all {
		t.Run(fmt.Sprint(m.path, " ", m.value), func(t *testing.T) {
			var template object
			if err := json.Unmarshal(raw, &template); err != nil {
				t.Fatal(err)
			}
			resource := m.apply(template)
			broken, err := json.Marshal(template)
			if err != nil {
				t.Fatal(err)
			}
			if m.want != "" {
				resource = m.want
			}
			err = check.Run(broken, limits.AWS())
			if err == nil || !strings.Contains("\n"+err.Error(), "\n"+resource+": ") {
				t.Errorf("%v, want a violation of %s", err, resource)
			}
		})
	}
}

// apply makes the change and returns the resource; a float64 is added to the number there.
func (m mutation) apply(template object) (resource string) {
	resources := template["Resources"].(object)
	steps := strings.Split(strings.Replace(m.path, "!", ".!", 1), ".")
	resource = steps[0]
	if resources[resource] == nil {
		resources[resource] = object{"Type": "", "Properties": object{}}
	}
	if len(steps) > 1 && strings.HasPrefix(steps[1], "!") {
		steps[1] = steps[1][1:]
	} else if len(steps) > 1 {
		steps = slices.Insert(steps, 1, "Properties")
	}
	var in any = resources
	for _, step := range steps[:len(steps)-1] {
		if list, ok := in.([]any); ok {
			n, _ := strconv.Atoi(step)
			in = list[n]
			continue
		}
		in = in.(object)[step]
	}
	last := steps[len(steps)-1]
	switch in := in.(type) {
	case []any:
		n, _ := strconv.Atoi(last)
		in[n] = m.value
	case object:
		by, isNumber := m.value.(float64)
		switch {
		case isNumber:
			in[last] = in[last].(float64) + by
		case m.value == nil:
			delete(in, last)
		default:
			in[last] = m.value
		}
	}
	return resource
}

// TestOutputs renames each output that the command reads.
func TestOutputs(t *testing.T) {
	for _, output := range []string{"QueueUrl", "DlqUrl", "TableName", "WebhookUrl", "WebhookSecretArn", "ApiKeySecretArn"} {
		broken := strings.Replace(string(golden(t, "live")), `"`+output+`": {`, `"Other": {`, 1)
		if err := check.Run([]byte(broken), limits.AWS()); err == nil || !strings.Contains(err.Error(), output+": output is ") {
			t.Errorf("%s: %v", output, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "null", "[]", `{"Resources":{}}`, `{"Resources":[]}`} {
		if err := check.Run([]byte(text), limits.AWS()); err == nil || !strings.HasPrefix(err.Error(), "read template: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRunbook: infra/README.md has a section for every alarm, and for no other.
func TestRunbook(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ Alarm: (\S+)$`).FindAllStringSubmatch(string(raw), -1) {
		sections[heading[1]] = true
	}
	alarms := map[string]bool{}
	for _, part := range strings.Split(string(golden(t, "live")), check.Section)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		alarms[name] = true
	}
	if !maps.Equal(sections, alarms) {
		t.Errorf("sections %v, alarms %v", slices.Sorted(maps.Keys(sections)), slices.Sorted(maps.Keys(alarms)))
	}
}
