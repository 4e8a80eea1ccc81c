package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/doctor"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
)

// TestDoctorsCommandsRepair: on a stack that moto deployed and a hand changed, AWS's own command
// runs what doctor tells, as it is printed, and doctor finds the faults no more. The table comes
// from moto as a restored one comes from AWS: without expiry and recovery.
func TestDoctorsCommandsRepair(t *testing.T) {
	url := localtest.Moto(t)
	if _, err := exec.LookPath("aws"); err != nil {
		t.Fatal("TOLLGATE_ORACLES wants moto, and aws, which works on it, is not installed")
	}
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "infra", "testdata", "tollgate-test.json"))
	check(t, err)
	cfg := localtest.Config(url, awsclient.Options{Attempts: 1, Try: 2 * time.Minute})
	const older = "tollgate-test-Table-OLD"
	_, err = sdkdynamodb.NewFromConfig(cfg).CreateTable(t.Context(), dynamostore.TableSchema(older))
	check(t, err)
	spoil(t, cfg, localtest.Deploy(t, cfg, "tollgate-test", raw))
	setAWS(t, url)

	repaired := map[string]string{
		"table": "index list is missing", "table expiry": "do not expire", "table recovery": "cannot be restored", "queue": "max receives is 5", "dead-letter queue": "kept for 96h",
		"function ingest": "switched off", "trigger": "is disabled", "schedule": "is disabled",
	}
	if f := findingsByName(t, tollgate(t.Context(), nil, "doctor", "--json", "--stack", "tollgate-test").out)["table history"]; f.Status != doctor.Fail || !strings.Contains(f.Detail, older+" is older") {
		t.Errorf("a table that the stack made next to an older one: %+v", f)
	}
	_, err = sdkdynamodb.NewFromConfig(cfg).DeleteTable(t.Context(), &sdkdynamodb.DeleteTableInput{TableName: aws.String(older)})
	check(t, err)
	var ran []string
	for _, f := range lines[doctor.Finding](t, tollgate(t.Context(), nil, "doctor", "--json", "--stack", "tollgate-test").out) {
		says, ok := repaired[f.Name]
		if !ok {
			continue
		}
		if f.Status == doctor.OK || !strings.Contains(f.Detail, says) && f.Name != "queue" || !strings.HasPrefix(f.Fix, "aws ") {
			t.Errorf("%+v, want %q and a command", f, says)
			continue
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", f.Fix+" --endpoint-url "+url).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", f.Fix, err, out)
		}
		ran = append(ran, f.Name)
	}
	if len(slices.Compact(ran)) != len(repaired) {
		t.Errorf("ran the commands of %q", ran)
	}
	got := tollgate(t.Context(), nil, "doctor", "--json", "--stack", "tollgate-test")
	repaired["table history"] = ""
	for name := range repaired {
		if f := findingsByName(t, got.out)[name]; f.Status != doctor.OK {
			t.Errorf("still %+v", f)
		}
	}
}

// spoil changes what a hand can.
func spoil(t *testing.T, cfg aws.Config, outputs map[string]string) {
	t.Helper()
	queues, functions, rules := sdksqs.NewFromConfig(cfg), lambda.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg)
	set := func(queue, name, value string) {
		_, err := queues.SetQueueAttributes(t.Context(), &sdksqs.SetQueueAttributesInput{QueueUrl: aws.String(outputs[queue]), Attributes: map[string]string{name: value}})
		check(t, err)
	}
	arn, err := queues.GetQueueAttributes(t.Context(), &sdksqs.GetQueueAttributesInput{QueueUrl: aws.String(outputs[limits.OutputDLQURL]), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn}})
	check(t, err)
	set(limits.OutputQueueURL, "RedrivePolicy", `{"deadLetterTargetArn":"`+arn.Attributes["QueueArn"]+`","maxReceiveCount":5}`)
	set(limits.OutputQueueURL, "VisibilityTimeout", "30")
	set(limits.OutputDLQURL, "MessageRetentionPeriod", "345600")
	_, err = functions.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("tollgate-test-ingest"), ReservedConcurrentExecutions: aws.Int32(0)})
	check(t, err)
	is, err := functions.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("tollgate-test-reconcile")})
	check(t, err)
	names, err := rules.ListRuleNamesByTarget(t.Context(), &eventbridge.ListRuleNamesByTargetInput{TargetArn: is.FunctionArn})
	check(t, err)
	_, err = rules.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: &names.RuleNames[0]})
	check(t, err)
	_, err = sdkdynamodb.NewFromConfig(cfg).UpdateTable(t.Context(), &sdkdynamodb.UpdateTableInput{
		TableName:                   aws.String(outputs[limits.OutputTable]),
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String("list")}}},
	})
	check(t, err)
}
