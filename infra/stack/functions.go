package stack

import (
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/config"
	"tollgate/pkg/limits"
)

const (
	ingestFunction    = "ingest"
	consumerFunction  = "consumer"
	reconcileFunction = "reconcile"
)

// unreservedMapping is the mapping's concurrency if none is reserved: half of the ten that
// the smallest account has. Ingest keeps the other half.
const unreservedMapping = 5

// memoryMB is the memory of every function. Lambda assigns CPU by memory: at 128 MB a first
// TLS connection takes about 70 ms, at 256 MB half of it, for two cents more per million
// events. A batch of the largest bodies fits.
const memoryMB = 256

// function holds what differs between the functions.
type function struct {
	name, does string
	timeout    time.Duration
	reserved   int
	env        map[string]*string
	grants     []grant
	onTheWay   bool // of an event, which the option tracing follows
}

// set adds a variable unless it is empty.
func (f *function) set(name, value string) {
	if value != "" {
		f.env[name] = str(value)
	}
}

// grant allows actions on a resource.
type grant struct {
	on      *string   // ARN
	also    []*string // more of them
	actions []string
	keys    []string // if any, only for items whose keys are like one of these
}

// statement returns the grant as a policy has it. The keys of an index are not the table's: a
// query of an index and a scan cannot be limited so. Nor is a write of several items at once, as
// it is not documented which of their keys each action is checked with.
func (g grant) statement() object {
	s := object{"Effect": "Allow", "Action": g.actions, "Resource": g.on}
	if len(g.also) > 0 {
		s["Resource"] = append([]*string{g.on}, g.also...)
	}
	if len(g.keys) > 0 {
		s["Condition"] = object{"ForAllValues:StringLike": object{"dynamodb:LeadingKeys": g.keys}}
	}
	return s
}

func (p *parts) addIngest() {
	f := function{
		name: ingestFunction, does: "verifies a Stripe delivery, enqueues it and answers",
		timeout: p.Limits.IngestTimeout, reserved: p.Limits.ReservedIngest,
		env: map[string]*string{
			"TOLLGATE_QUEUE_URL":         p.queue.Ref(),
			"TOLLGATE_WEBHOOK_SECRET_ID": p.webhook.Ref(),
		},
		grants: []grant{
			{on: p.queue.AttrArn(), actions: []string{"sqs:SendMessage"}},
			{on: p.webhook.Ref(), actions: []string{"secretsmanager:GetSecretValue"}},
		},
	}
	f.set("TOLLGATE_ALLOW_IPS", p.allowIPs())
	f.set("TOLLGATE_ENDPOINT_NAMES", strings.Join(p.endpointNames(), ","))
	f.onTheWay = true
	p.ingest = p.addFunction("Ingest", f)
	p.ingestAlias = p.addAlias("Ingest", p.ingest)
}

func (p *parts) addConsumer() {
	f := function{
		name: consumerFunction, does: "dispatches each event and commits its handler's effects exactly once",
		timeout: p.Limits.ConsumerTimeout, reserved: p.Limits.ReservedConsumer,
		env: map[string]*string{
			"TOLLGATE_QUEUE_URL":         p.queue.Ref(),
			"TOLLGATE_DLQ_URL":           p.dead.Ref(),
			"TOLLGATE_HOLD_QUEUE_URL":    p.hold.Ref(),
			"TOLLGATE_TABLE":             p.tableName,
			"TOLLGATE_API_KEY_SECRET_ID": p.key.Ref(),
			"TOLLGATE_MAX_RECEIVES":      str(strconv.Itoa(p.Limits.MaxReceives)),
			"TOLLGATE_CONCURRENCY":       str(strconv.Itoa(p.consumers())),
			"TOLLGATE_STRIPE_RATE":       str(strconv.Itoa(p.StripeRate)),
		},
		grants: []grant{
			{on: p.queue.AttrArn(), actions: []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}},
			{on: p.dead.AttrArn(), also: []*string{p.hold.AttrArn()}, actions: []string{"sqs:SendMessage"}},
			{on: p.tableARN, actions: []string{"dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem"}},
			{on: p.key.Ref(), actions: []string{"secretsmanager:GetSecretValue"}},
		},
	}
	f.set("TOLLGATE_ENDPOINTS", p.endpoints())
	f.set("TOLLGATE_BEGIN", p.Begin)
	f.set("TOLLGATE_HOLD_AFTER", p.HoldAfter)
	if p.EventMetrics {
		f.set("TOLLGATE_EVENT_METRICS", "true")
	}
	f.set("TOLLGATE_HOLD_BEFORE", p.HoldBefore)
	p.keep(&f, true)
	p.handOver(&f)
	f.onTheWay = true
	p.consumer = p.addFunction("Consumer", f)
	p.consumerAlias = p.addAlias("Consumer", p.consumer)
	p.addMapping()
}

func (p *parts) addFunction(id string, f function) awslambda.CfnFunction {
	traced := p.Tracing && f.onTheWay
	if traced { // Lambda writes the segments; X-Ray knows no resources
		f.grants = append(f.grants, grant{on: str("*"), actions: []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}})
	}
	logs := p.addLogGroup(id+"Logs", limits.LogGroup(Name(p.Stage), f.name))
	f.env["TOLLGATE_STAGE"], f.env["TOLLGATE_VERSION"] = str(p.Stage), str(p.Version)
	f.set("TOLLGATE_LOG_LEVEL", p.LogLevel)
	code := awss3assets.NewAsset(p.stack, str(id+"Code"), &awss3assets.AssetProps{Path: str(filepath.Join(p.bundles, f.name))})
	props := &awslambda.CfnFunctionProps{
		FunctionName:  str(p.name(f.name)),
		Description:   str("Tollgate, stage " + p.Stage + ": " + f.does),
		Runtime:       str("provided.al2023"),
		Architectures: list("arm64"),
		Handler:       str("bootstrap"),
		Code:          &awslambda.CfnFunction_CodeProperty{S3Bucket: code.S3BucketName(), S3Key: code.S3ObjectKey()},
		Role:          p.addRole(id+"Role", f, logs).AttrArn(),
		MemorySize:    num(memoryMB),
		Timeout:       seconds(f.timeout),
		Environment:   &awslambda.CfnFunction_EnvironmentProperty{Variables: f.env},
		// Lambda drops what is below the application's level: also of a function that logs no
		// more than errors, lines with metrics have the level info.
		// Lambda logs only from WARN up: its START, END and REPORT lines would double the
		// log cost.
		LoggingConfig: &awslambda.CfnFunction_LoggingConfigProperty{
			LogGroup: logs.Ref(), LogFormat: str("JSON"), ApplicationLogLevel: str(p.applicationLevel()), SystemLogLevel: str("WARN"),
		},
	}
	if traced {
		props.TracingConfig = &awslambda.CfnFunction_TracingConfigProperty{Mode: str("Active")}
	}
	if p.Reserved {
		props.ReservedConcurrentExecutions = num(f.reserved)
	}
	return awslambda.NewCfnFunction(p.stack, str(id), props)
}

func (p *parts) applicationLevel() string {
	if level, _ := config.LogLevel(p.LogLevel); level == slog.LevelDebug {
		return "DEBUG"
	}
	return "INFO"
}

func (p *parts) addLogGroup(id, name string) awslogs.CfnLogGroup {
	g := awslogs.NewCfnLogGroup(p.stack, str(id), &awslogs.CfnLogGroupProps{LogGroupName: str(name), RetentionInDays: num(p.LogDays)})
	g.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	return g
}

// addRole puts the grants into the role itself, which CloudFormation creates before the
// function.
func (p *parts) addRole(id string, f function, logs awslogs.CfnLogGroup) awsiam.CfnRole {
	grants := append(f.grants, grant{on: logs.AttrArn(), actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}})
	grants = append(grants, p.decrypts("kms:Decrypt", "kms:GenerateDataKey")...)
	return awsiam.NewCfnRole(p.stack, str(id), &awsiam.CfnRoleProps{
		Description: str("Tollgate, stage " + p.Stage + ": the " + f.name + " function"),
		AssumeRolePolicyDocument: policy(object{
			"Effect": "Allow", "Principal": object{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
		}),
		Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: str(f.name), PolicyDocument: policy(statements(grants)...)}},
	})
}

// consumers is how many consumer processes run at once.
func (p *parts) consumers() int {
	if p.Reserved {
		return p.Limits.MaxConcurrency
	}
	return min(p.Limits.MaxConcurrency, unreservedMapping)
}

// addMapping limits the consumer by the mapping's concurrency: a throttled invocation would
// cost each of its messages a receive.
func (p *parts) addMapping() {
	p.mapping = awslambda.NewCfnEventSourceMapping(p.stack, str("ConsumerMapping"), &awslambda.CfnEventSourceMappingProps{
		EventSourceArn:                 p.queue.AttrArn(),
		FunctionName:                   p.consumerAlias.Ref(),
		Enabled:                        jsii.Bool(true),
		BatchSize:                      num(p.Limits.BatchSize),
		MaximumBatchingWindowInSeconds: seconds(p.Limits.BatchWindow),
		FunctionResponseTypes:          list("ReportBatchItemFailures"),
		ScalingConfig:                  &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: num(p.consumers())},
	})
}
