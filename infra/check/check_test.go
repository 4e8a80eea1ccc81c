package check

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
	"time"

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
	for _, stage := range []string{"test", "live", "send", "full"} {
		if err := Run(golden(t, stage), limits.AWS()); err != nil {
			t.Errorf("%s:\n%v", stage, err)
		}
	}
}

// mutations break each invariant. A line has a resource and its changes: a path in Properties,
// or after "!" in the resource itself; the value there, as JSON or as a sum such as "+1"; and
// the resource of the violation if it is another one.
const mutations = `
	Ingest: Timeout +1; ReservedConcurrentExecutions null; ReservedConcurrentExecutions -1
	Ingest: Environment.Variables.TOLLGATE_WEBHOOK_SECRET_ID "whsec_1"; Environment.Variables.TOLLGATE_STAGE "test"; Environment.Variables.TOLLGATE_VERSION null
	Ingest: Role {"Fn::GetAtt":["ConsumerRole","Arn"]} ConsumerRole; FunctionName "tollgate-ingest" AlarmIngestErrors
	Consumer: Timeout +1; Environment.Variables.TOLLGATE_MAX_RECEIVES "3"; ReservedConcurrentExecutions +1
	Consumer: ReservedConcurrentExecutions -1 ConsumerMapping; ReservedConcurrentExecutions null ConsumerMapping
	Ingest: Environment.Variables.TOLLGATE_ENDPOINT_NAMES "connect" AlarmSecretMismatchdefault; Environment.Variables.TOLLGATE_ENDPOINT_NAMES null AlarmSecretMismatchdefault
	Consumer: Timeout +1 Queue; Environment.Variables.TOLLGATE_TABLE null ConsumerRole
	Reconcile: Timeout +1; ReservedConcurrentExecutions null; ReservedConcurrentExecutions +1
	Reconcile: Environment.Variables.TOLLGATE_ENDPOINTS "{}"; Environment.Variables.TOLLGATE_ENDPOINTS null
	Reconcile: Environment.Variables.TOLLGATE_STRIPE_RATE "50"; Environment.Variables.TOLLGATE_VERSION "v1"
	Consumer: Environment.Variables.TOLLGATE_CONCURRENCY "5"; Environment.Variables.TOLLGATE_VERSION "v1"
	Reconcile: Environment.Variables.TOLLGATE_BEGIN "2026-11-21T12:00:00Z"
	Queue: VisibilityTimeout +1; MessageRetentionPeriod +1; MaximumMessageSize -1; RedrivePolicy.maxReceiveCount +1
	Queue: VisibilityTimeout null; RedrivePolicy null
	DeadLetterQueue: VisibilityTimeout +1; MessageRetentionPeriod -1; MaximumMessageSize -1; MessageRetentionPeriod 345600
	HoldQueue: VisibilityTimeout +1; MessageRetentionPeriod -1; MaximumMessageSize -1; RedrivePolicy {}; KmsMasterKeyId "alias/aws/sqs"; ! null
	HoldQueuePolicy: ! null; PolicyDocument.Statement.1.Condition.ArnNotLike.aws:PrincipalArn.3 {"Fn::GetAtt":["ReconcileRole","Arn"]}
	Consumer: Environment.Variables.TOLLGATE_HOLD_QUEUE_URL null; Environment.Variables.TOLLGATE_HOLD_QUEUE_URL {"Ref":"DeadLetterQueue"}
	ConsumerRole: Policies.0.PolicyDocument.Statement.1.Resource {"Fn::GetAtt":["DeadLetterQueue","Arn"]}
	AlarmHoldExpires: Threshold 864001; Metrics.0.MetricStat.Metric.Dimensions.0.Value "tollgate-live-held"
	ConsumerMapping: BatchSize -1; MaximumBatchingWindowInSeconds +1; ScalingConfig.MaximumConcurrency +1
	ConsumerMapping: ScalingConfig.MaximumConcurrency -1; ScalingConfig null
	ConsumerMapping: EventSourceArn {"Fn::GetAtt":["DeadLetterQueue","Arn"]}; FunctionResponseTypes null; FilterCriteria {}
	ApiStage: DefaultRouteSettings.ThrottlingRateLimit +1; DefaultRouteSettings.ThrottlingBurstLimit +1
	ApiStage: AccessLogSettings.Format "{}"; AccessLogSettings.DestinationArn {"Fn::GetAtt":["IngestLogs","Arn"]} ThrottledFilter
	ThrottledFilter: LogGroupName {"Ref":"IngestLogs"}; FilterPattern "429"; ! null
	ThrottledFilter: MetricTransformations.0.MetricName "Throttled"; MetricTransformations.0.Dimensions null
	AlarmDeadLettersExpire: Threshold 950400
	Table: !DeletionPolicy "Delete"; !UpdateReplacePolicy null; !Type "AWS::DynamoDB::GlobalTable"
	Table: DeletionProtectionEnabled false; PointInTimeRecoverySpecification null
	Table: TimeToLiveSpecification.AttributeName "ttl"; ! null
	Other: ! {"Type":"AWS::DynamoDB::Table","DeletionPolicy":"Retain","UpdateReplacePolicy":"Retain"} Table
	Reconcile: Environment.Variables.TOLLGATE_TABLE "tollgate-other"
	ApiKeySecret: !DeletionPolicy null
	WebhookSecret: SecretString "{}"
	IngestRole: ManagedPolicyArns ["arn:aws:iam::aws:policy/AdministratorAccess"]
	IngestRole: Policies.0.PolicyDocument.Statement.0.Resource "*"
	IngestRole: Policies.0.PolicyDocument.Statement.1.Resource {"Ref":"ApiKeySecret"}
	IngestRole: AssumeRolePolicyDocument.Statement.0.Principal "*"
	Extra: ! {"Type":"AWS::IAM::Policy"}; ! {"Type":"AWS::IAM::Role"}
	ConsumerRole: Policies.0.PolicyDocument.Statement.0.Action "sqs:*"
	ConsumerRole: Policies.0.PolicyDocument.Statement.2.Action.0 "dynamodb:Get*"
	ConsumerRole: Policies.0.PolicyDocument.Statement.2.Action.0 "dynamodb:DeleteItem"
	ConsumerRole: Policies.0.PolicyDocument.Statement.2.Action.0 "dynamodb:PartiQLDelete"
	ConsumerRole: Policies.0.PolicyDocument.Statement.0.NotAction "iam:*"
	ReconcileRole: Policies.0.PolicyDocument.Statement.1.Action.0 "dynamodb:BatchWriteItem"
	ReconcileRole: Policies.0.PolicyDocument.Statement.1.Action.0 "dynamodb:PutItem"
	ReconcileRole: Policies.0.PolicyDocument.Statement.2.Condition null
	ReconcileRole: Policies.0.PolicyDocument.Statement.3.Condition {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["EVT#*"]}}
	ReconcileRole: Policies.0.PolicyDocument.Statement.3.Condition {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["OUT#*","*"]}}
	QueuePolicy: PolicyDocument.Statement.0.Effect "Allow"
	QueuePolicy: PolicyDocument.Statement.1.Condition null; PolicyDocument.Statement.1.Principal "other"; PolicyDocument.Statement.1.Resource "*"
	QueuePolicy: PolicyDocument.Statement.1.Condition.ArnNotLike.aws:PrincipalArn.3 {"Fn::GetAtt":["ConsumerRole","Arn"]}
	QueuePolicy: PolicyDocument.Statement.1.Condition.ArnNotLike.aws:PrincipalArn.2 "arn:aws:iam::123456789012:role/*"
	QueuePolicy: PolicyDocument.Statement.1.Condition.ArnNotLike.aws:PrincipalArn.2 "*"
	DeadLetterQueuePolicy: ! null; PolicyDocument.Statement.1.Action "sqs:*"
	IngestRole: Policies.0.PolicyDocument.Statement.0.Action.0 "sqs:GetQueueUrl" QueuePolicy
	Reader: ! null; PolicyDocument.Statement.1.Action.0 "dynamodb:DeleteItem"; PolicyDocument.Statement.1.Action.0 "dynamodb:PutItem"
	Reader: PolicyDocument.Statement.3.Condition null; PolicyDocument.Statement.1.Action.0 "dynamodb:*"
	Reader: PolicyDocument.Statement.3.Condition {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["AUDIT#*"]}}
	Reader: PolicyDocument.Statement.6.Action.0 "sqs:DeleteMessage"; PolicyDocument.Statement.4.Resource "*"
	Reader: PolicyDocument.Statement.4.Action.3 "lambda:UpdateEventSourceMapping"; PolicyDocument.Statement.4.Resource.1 "*"
	Reader: PolicyDocument.Statement.4.Resource null; PolicyDocument.Statement.0.Action.0 "secretsmanager:GetSecretValue"
	Operator: PolicyDocument.Statement.9.Condition {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["FACT#*"]}}
	Operator: PolicyDocument.Statement.9.Condition {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["*"]}}; PolicyDocument.Statement.9.NotResource "x"
	Operator: PolicyDocument.Statement.9.Action.0 "dynamodb:BatchWriteItem"
	EraseRole: ! null; AssumeRolePolicyDocument.Statement.0.Condition null
	EraseRole: AssumeRolePolicyDocument.Statement.0.Condition.ArnLike.aws:PrincipalArn ["*","*"]
	EraseRole: Policies.0.PolicyDocument.Statement.1.Action.0 "dynamodb:DeleteItem"
	Queue: SqsManagedSseEnabled false; KmsMasterKeyId "alias/aws/sqs"
	ApiKeySecret: KmsKeyId "alias/x"
	Table: SSESpecification {"KMSMasterKeyId":"alias/x"}
	TopicPolicy: ! {"Properties":{"PolicyDocument":{"Statement":[{"Effect":"Allow","Principal":"*"}]}}}
	DefaultRoutePermission: SourceArn null; ! null DefaultRoute
	EndpointRoutePermission: Principal "*"
	ScheduleWeeklyPermission: SourceArn null; FunctionName {"Fn::GetAtt":["Ingest","Arn"]}; Action "lambda:*"
	ScheduleWeeklyPermission: ! null ScheduleWeekly
	ScheduleWeekly: State "DISABLED"
	ScheduleOutbox: Targets null
	ScheduleNightly: Targets.0.Arn {"Fn::GetAtt":["Consumer","Arn"]}
	IngestAlias: FunctionVersion "$LATEST"; FunctionName {"Ref":"Consumer"}; Name "prod"; RoutingConfig {}; ! null
	ConsumerAlias: FunctionVersion {"Fn::GetAtt":["IngestVersion","Version"]}
	IngestVersion: !DeletionPolicy "Delete"; !DeletionPolicy "Retain"; !UpdateReplacePolicy "Delete"; FunctionName {"Ref":"Consumer"} Ingest; ! null Ingest
	ConsumerVersion2: ! {"Type":"AWS::Lambda::Version","Properties":{"FunctionName":{"Ref":"Consumer"}}} Consumer
	ConsumerMapping: FunctionName {"Ref":"Consumer"}
	ApiIntegration: IntegrationUri {"Fn::GetAtt":["Ingest","Arn"]}; !DependsOn null
	DefaultRoutePermission: FunctionName {"Fn::GetAtt":["Ingest","Arn"]}
	Ingest: LoggingConfig.ApplicationLogLevel "WARN"; Environment.Variables.TOLLGATE_LOG_LEVEL "debug"
	IngestRole: PermissionsBoundary "arn:aws:iam::123456789012:policy/b" ConsumerRole
	RolloutGroup: ! {"Type":"AWS::CodeDeploy::DeploymentGroup"}
	ReconcileInvoke: MaximumRetryAttempts 2; MaximumEventAgeInSeconds 60
	AlarmDeadLetters: AlarmActions null; OKActions null; Threshold 0
	AlarmQueueAge: AlarmActions ["arn:aws:sns:us-east-1:123456789012:other"]; ComparisonOperator "LessThanThreshold"
	AlarmQueueAge: Metrics.0.MetricStat.Metric.Namespace "Queues"; Metrics.0.MetricStat.Metric.Dimensions null
	AlarmQueueAge: Metrics.0.MetricStat.Metric.Dimensions.0.Value "tollgate-live-event"
	AlarmIngestErrors: ActionsEnabled false; Metrics.2.Expression "SEARCH('{Tollgate}')"
	AlarmScheduleMissed: Metrics.0.MetricStat.Metric.Dimensions.0.Value {"Ref":"Queue"}
	AlarmNothingArrives: AlarmActions null; AlarmName "tollgate-live-nothing-arrives"; AlarmRule "TRUE"
	AlarmApiErrors: TreatMissingData null; AlarmName "tollgate-live-api-errors"; AlarmName "page-api-errors"
	AlarmReconcileIncomplete: TreatMissingData "notBreaching"; DatapointsToAlarm 1
	AlarmSilence: TreatMissingData "notBreaching"; Metrics.0.MetricStat.Metric.Dimensions.0.Value "test"`

// sendMutations break the invariants of a stage with destinations.
const sendMutations = `
	Sender: Timeout +1; ReservedConcurrentExecutions +1; ReservedConcurrentExecutions null
	Sender: Environment.Variables.TOLLGATE_DESTINATIONS "{}"; Environment.Variables.TOLLGATE_SEND_DLQ_URL {"Ref":"SendQueuebus"}
	Sender: Environment.Variables.TOLLGATE_API_KEY_SECRET_ID null SenderRole
	Sender: ! null
	Consumer: Environment.Variables.TOLLGATE_DESTINATIONS null; Environment.Variables.TOLLGATE_SEND_DLQ_URL null
	Reconcile: Environment.Variables.TOLLGATE_DESTINATIONS "{}"
	SendQueuecrmXeu: QueueName "tollgate-send-crm"; VisibilityTimeout -1; MessageRetentionPeriod -1; MaximumMessageSize -1
	SendQueuecrmXeu: RedrivePolicy.maxReceiveCount -1; RedrivePolicy null; ! null
	SendQueueextra: ! {"Type":"AWS::SQS::Queue","Properties":{"QueueName":"tollgate-send-send-extra"}}
	SendDeadLetterQueue: MessageRetentionPeriod -1; VisibilityTimeout +1; RedrivePolicy {}
	SenderMappingjobs: BatchSize +1; ScalingConfig.MaximumConcurrency +1; FunctionResponseTypes null; FilterCriteria {}
	SenderMappingjobs: EventSourceArn {"Fn::GetAtt":["SendQueuebus","Arn"]}; FunctionName {"Ref":"Consumer"}; MaximumBatchingWindowInSeconds 1
	SenderMappingjobs: ! null
	AlarmDeliveriesDeadExpire: Threshold 345600
	ConsumerRole: Policies.0.PolicyDocument.Statement.4.Action ["sqs:SendMessage","sqs:ReceiveMessage"]
	ConsumerRole: Policies.0.PolicyDocument.Statement.4.Resource "arn:aws:sns:eu-central-1:123456789012:news"
	SenderRole: Policies.0.PolicyDocument.Statement.0.Resource "arn:aws:sqs:eu-central-1:123456789012:other"
	SenderRole: Policies.0.PolicyDocument.Statement.3.Condition null
	SenderRole: Policies.0.PolicyDocument.Statement.10.Action ["events:PutEvents","events:PutRule"]
	History: Environment.Variables.TOLLGATE_TABLE {"Ref":"Queue"}; Environment.Variables.TOLLGATE_DESTINATIONS "{}"; ! null
	ApiStage: RouteSettings null RetryRoute; RouteSettings null HistoryRoute
	HistoryRoutePermission: FunctionName {"Fn::GetAtt":["Consumer","Arn"]}
	SenderRole: Policies.0.PolicyDocument.Statement.10.Resource "arn:aws:events:eu-central-1:123456789012:event-bus/other"
	SenderRole: Policies.0.PolicyDocument.Statement.11.Resource.Fn::Join.1.5 ":secret:*"`

// tableMutations break the invariants of a stage with an existing table.
const tableMutations = `
	Table: ! {"Type":"AWS::DynamoDB::Table","DeletionPolicy":"Retain","UpdateReplacePolicy":"Retain"} Consumer
	Table: ! {"Type":"AWS::DynamoDB::GlobalTable"} Consumer
	Consumer: Environment.Variables.TOLLGATE_TABLE "tollgate-other" Reconcile; Environment.Variables.TOLLGATE_TABLE "tollgate-other" TableName
	Consumer: Environment.Variables.TOLLGATE_TABLE "tollgate-other" ConsumerRole; Environment.Variables.TOLLGATE_TABLE null Table
	Reconcile: Environment.Variables.TOLLGATE_TABLE "tollgate-other"; Environment.Variables.TOLLGATE_TABLE null
	Sender: Environment.Variables.TOLLGATE_TABLE "tollgate-other"
	BackupRole: ManagedPolicyArns ["arn:aws:iam::aws:policy/AdministratorAccess"]; ManagedPolicyArns null; Policies []; ! null
	BackupRole: AssumeRolePolicyDocument.Statement.0.Principal "*"; !Type "AWS::IAM::Policy"
	BackupVault: !DeletionPolicy "Delete"; !UpdateReplacePolicy null; ! null
	BackupSelection: BackupSelection.Resources ["*"]; BackupSelection.Resources.0.Fn::Join.1.5 ":table/tollgate-other"; BackupSelection.Conditions {}
	BackupSelection: BackupSelection.IamRoleArn {"Fn::GetAtt":["ConsumerRole","Arn"]}; BackupPlanId "other"; ! null
	BackupPlan: BackupPlan.BackupPlanRule []; BackupPlan.BackupPlanRule.0.TargetBackupVault "other"; BackupPlan.BackupPlanRule.0.ScheduleExpression null
	Reconcile: Environment.Variables.TOLLGATE_HOLD_BEFORE null; Environment.Variables.TOLLGATE_HOLD_BEFORE "2026-11-21T12:00:00Z"
	Consumer: Environment.Variables.TOLLGATE_HOLD_BEFORE null Reconcile; Environment.Variables.TOLLGATE_KEEP_SENT "365" Reconcile
	Reconcile: Environment.Variables.TOLLGATE_KEEP_SENT null
	ConsumerRole: Policies.0.PolicyDocument.Statement.2.Resource.Fn::Join.1.5 ":table/tollgate-other"
	ConsumerRole: Policies.0.PolicyDocument.Statement.2.Resource.Fn::Join.1.5 ":table/tollgate-restored*"
	ConsumerRole: Policies.0.PolicyDocument.Statement.2.Resource {"Ref":"Queue"}
	ReconcileRole: Policies.0.PolicyDocument.Statement.4.Resource.Fn::Join.1.5 ":table/tollgate-other/index/list"
	SenderRole: Policies.0.PolicyDocument.Statement.1.Resource.Fn::Join.1.5 ":table/tollgate-other"`

// fullMutations break the invariants of options that few stages have.
const fullMutations = `
	IngestAlias: !UpdatePolicy null RolloutGroup
	RolloutGroup: DeploymentConfigName "CodeDeployDefault.LambdaAllAtOnce"; AutoRollbackConfiguration null; AutoRollbackConfiguration.Enabled false; AlarmConfiguration.Enabled false
	RolloutGroup: AlarmConfiguration.Alarms [{"Name":"tollgate-live-ingest-errors"}]; ServiceRoleArn "arn:aws:iam::123456789012:role/admin"; ! null IngestAlias
	RolloutRole: Policies.0.PolicyDocument.Statement.0.Resource.1 {"Fn::GetAtt":["Consumer","Arn"]}
	RolloutRole: Policies.0.PolicyDocument.Statement.0.Resource "*"; Policies.0.PolicyDocument.Statement.1.Action "lambda:UpdateAlias"
	RolloutRole: Policies.0.PolicyDocument.Statement.0.Action "lambda:UpdateFunctionCode"; PermissionsBoundary null
	RolloutRole: AssumeRolePolicyDocument.Statement.0.Principal {"Service":"lambda.amazonaws.com"}
	Queue: KmsMasterKeyId null DeadLetterQueue
	EventBridge: EventBusName "aws.partner/example.com/ed_1"; EventPattern.source ["aws.partner/stripe.com/ed_other"]; EventPattern {"detail-type":["invoice.paid"]}
	EventBridge: Targets.0.Arn {"Fn::GetAtt":["DeadLetterQueue","Arn"]}; Targets.0.DeadLetterConfig null; Targets.0.InputPath "$.detail"; State "DISABLED"
	EventBridge: Name "another" QueuePolicy; ! null QueuePolicy
	QueuePolicy: PolicyDocument.Statement.1.Principal.Service "sns.amazonaws.com"; PolicyDocument.Statement.1.Condition null; PolicyDocument.Statement.1.Action "sqs:*"
	HoldQueuePolicy: PolicyDocument.Statement.0.Effect "Allow"
	WebhookSecret: KmsKeyId null
	SendDeadLetterQueue: KmsMasterKeyId null; SqsManagedSseEnabled true
	Reader: PolicyDocument.Statement.6.Action ["kms:DescribeKey"]
	EraseRole: Policies.0.PolicyDocument.Statement.4.Action ["kms:DescribeKey"]
	IngestRole: Policies.0.PolicyDocument.Statement.4.Action ["kms:Decrypt"]; Policies.0.PolicyDocument.Statement.4.Action ["kms:*"]
	Domain: DomainName "other.example.com" WebhookUrl; DomainNameConfigurations.0.SecurityPolicy "TLS_1_0"
	Domain: DomainNameConfigurations.0.EndpointType "EDGE"
	DomainMapping: ApiMappingKey "v1"; ApiId "a1b2c3d4e5"; Stage "dev"; ! null Domain
	DomainRecord: Name "other.example.com"; AliasTarget.DNSName {"Fn::GetAtt":["Api","ApiEndpoint"]}
	Api: DisableExecuteApiEndpoint true
	Ingest: TracingConfig null; TracingConfig.Mode "PassThrough"
	Consumer: TracingConfig null
	Sender: TracingConfig {"Mode":"Active"}
	IngestRole: Policies.0.PolicyDocument.Statement.2.Action ["xray:PutTraceSegments"] Ingest; Policies.0.PolicyDocument.Statement.2.Resource {"Ref":"Queue"} Ingest
	IngestRole: Policies.0.PolicyDocument.Statement.2.Action ["sqs:SendMessage","xray:PutTelemetryRecords","xray:PutTraceSegments"]`

// TestMutations breaks the golden templates in one place at a time.
func TestMutations(t *testing.T) {
	for stage, mutations := range map[string]string{"live": mutations + "\n\tReader: PolicyDocument.Id \"" + strings.Repeat("x", maxPolicy) + `"`, "send": sendMutations, "full": fullMutations + tableMutations} {
		t.Run(stage, func(t *testing.T) { breaks(t, golden(t, stage), mutations) })
	}
}

func breaks(t *testing.T, raw []byte, mutations string) {
	var resource string
	for _, mutation := range regexp.MustCompile("[;\n]").Split(strings.TrimSpace(mutations), -1) {
		if name, rest, isNext := strings.Cut(mutation, ": "); isNext {
			resource, mutation = strings.TrimSpace(name), rest
		}
		row := append(strings.Fields(mutation), resource)
		path := []string{resource}
		if in, own := strings.CutPrefix(row[0], "!"); !own {
			path = append(append(path, "Properties"), strings.Split(in, ".")...)
		} else if in != "" {
			path = append(path, in)
		}
		var template struct{ Resources, Outputs any }
		if err := json.Unmarshal(raw, &template); err != nil {
			t.Fatal(err)
		}
		path[0] = named(template.Resources.(map[string]any), resource)
		template.Resources = edited(t, template.Resources, path, row[1])
		broken, err := json.Marshal(template)
		if err != nil {
			t.Fatal(err)
		}
		if err = Run(broken, limits.AWS()); err == nil || !regexp.MustCompile(`(?m)^`+row[2]+`([0-9a-f]{10})?: `).MatchString(err.Error()) {
			t.Errorf("%s: %s: %v, want a violation of %s", resource, mutation, err, row[2])
		}
	}
}

// named returns the resource with a name, or whose name ends with a hash of its content after it.
func named(all map[string]any, resource string) string {
	for name := range all {
		if rest, is := strings.CutPrefix(name, resource); is && len(rest) == 10 && strings.HasSuffix(resource, "Version") {
			return name
		}
	}
	return resource
}

// edited returns v with the change at a path.
func edited(t *testing.T, v any, path []string, change string) any {
	if len(path) > 0 {
		switch in := v.(type) {
		case []any:
			i, _ := strconv.Atoi(path[0])
			in[i] = edited(t, in[i], path[1:], change)
		case map[string]any:
			in[path[0]] = edited(t, in[path[0]], path[1:], change)
		default:
			t.Fatalf("nothing is at %v", path)
		}
		return v
	}
	var to any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(change, "+")), &to); err != nil {
		t.Fatalf("%s: %v", change, err)
	}
	if strings.ContainsAny(change[:1], "+-") {
		return v.(float64) + to.(float64)
	}
	return to
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "null", "[]", `{"Resources":{}}`, `{"Resources":[]}`} {
		if err := Run([]byte(text), limits.AWS()); err == nil || !strings.HasPrefix(err.Error(), "read template: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRunbook: infra/README.md has a section for every alarm, and for no other. Each alarm's
// description ends with its section, whose name its own begins with.
func TestRunbook(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections, alarms := map[string]bool{}, map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ Alarm: (\S+)$`).FindAllStringSubmatch(string(raw), -1) {
		sections[heading[1]] = true
	}
	for _, stage := range []string{"live", "send", "full"} {
		template, err := parse(golden(t, stage))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(template.names(typeAlarm), template.names(typeComposite)) {
			_, alarm, _ := strings.Cut(strings.TrimPrefix(template.text(name, "AlarmName"), "tollgate-"+stage+"-"), "-") // behind the severity
			text := template.text(name, "AlarmDescription")
			_, section, _ := strings.Cut(text, " "+Section)
			alarms[section] = true
			if !strings.HasPrefix(alarm, section) { // several alarms may share one
				t.Errorf("%s: %s", alarm, text)
			}
		}
	}
	if !maps.Equal(sections, alarms) {
		t.Errorf("sections %v, alarms %v", slices.Sorted(maps.Keys(sections)), slices.Sorted(maps.Keys(alarms)))
	}
}

const week = 7 * 24 * 60 // minutes, from Sunday on

// matches reads "*", "0/15", "1", "0,30" and "0-1,4-23".
func matches(field string, v int) bool {
	return slices.ContainsFunc(strings.Split(field, ","), func(part string) bool {
		var from, to, step int
		if n, _ := fmt.Sscanf(part, "%d/%d", &from, &step); n == 2 {
			return v >= from && (v-from)%step == 0
		}
		if n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n == 2 {
			return v >= from && v <= to
		}
		return part == "*" || part == strconv.Itoa(v)
	})
}

// TestPassesKeepApart: only the schedule keeps passes from running at once.
func TestPassesKeepApart(t *testing.T) {
	l := limits.AWS().Reconcile
	live, err := parse(golden(t, "live"))
	if err != nil {
		t.Fatal(err)
	}
	var passes, frequent []int // minutes of two weeks, for the gap over the week's end
	for m := range 2 * week {
		for _, name := range live.names(typeRule) {
			task := at(items(live.at(name, "Targets"))[0], "Id")
			cron := strings.Fields(strings.Trim(live.text(name, "ScheduleExpression"), "cron()"))
			sunday := m%week < 24*60
			if task == "outbox" || !matches(cron[0], m%60) || !matches(cron[1], m/60%24) || cron[4] == "SUN" && !sunday {
				continue
			}
			if passes = append(passes, m); task == "quarter" {
				frequent = append(frequent, m)
			}
		}
	}
	apart := func(name string, starts []int, least time.Duration, count int) {
		for i, m := range starts[1:] {
			if gap := time.Duration(m-starts[i]) * time.Minute; gap < least || gap > 2*l.Frequent.Every {
				t.Errorf("%s: minute %d of the week is %v after the one before, want %v to %v", name, m%week, gap, least, 2*l.Frequent.Every)
			}
		}
		if len(starts) != 2*count {
			t.Errorf("%d %s a week, want %d", len(starts)/2, name, count)
		}
	}
	apart("passes", passes, max(l.StopAfter, l.Timeout), week/15-6)
	apart("frequent passes", frequent, l.Frequent.Every, week/15-14)
}
