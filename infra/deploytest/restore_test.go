package deploytest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/outbox"
)

// runbook returns the commands for DynamoDB in the runbook's section, each with its options.
func runbook(t *testing.T, variables map[string]string) (names []string, options []map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "\n### Restore to a moment\n")
	section, _, _ = strings.Cut(section, "\n### ")
	section = strings.ReplaceAll(section, "\\\n", " ")
	for name, value := range variables {
		section = strings.ReplaceAll(section, `"$`+name+`"`, value)
	}
	for _, command := range regexp.MustCompile(`(?m)^ +aws dynamodb (wait )?([a-z-]+) (.*)$`).FindAllStringSubmatch(section, -1) {
		given := map[string]string{}
		for _, option := range regexp.MustCompile(`--([a-z-]+)(?: +([^ -]\S*))?`).FindAllStringSubmatch(command[3], -1) {
			given[option[1]] = option[2]
		}
		names, options = append(names, command[2]), append(options, given)
	}
	return names, options
}

// do runs a command of the runbook as the AWS CLI does.
func do(ctx context.Context, c *dynamodb.Client, name string, o map[string]string) (err error) {
	table := aws.String(o["table-name"])
	switch name {
	case "restore-table-to-point-in-time":
		at, bad := time.Parse(time.RFC3339, o["restore-date-time"])
		if bad != nil {
			return bad
		}
		_, err = c.RestoreTableToPointInTime(ctx, &dynamodb.RestoreTableToPointInTimeInput{
			SourceTableName: aws.String(o["source-table-name"]), TargetTableName: aws.String(o["target-table-name"]), RestoreDateTime: &at,
		})
	case "table-exists":
		err = dynamodb.NewTableExistsWaiter(c).Wait(ctx, &dynamodb.DescribeTableInput{TableName: table}, patience)
	case "update-time-to-live":
		attribute, on := strings.CutPrefix(o["time-to-live-specification"], "Enabled=true,AttributeName=")
		_, err = c.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName: table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &on},
		})
	case "update-continuous-backups":
		on := o["point-in-time-recovery-specification"] == "PointInTimeRecoveryEnabled=true"
		_, err = c.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
			TableName: table, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: &on},
		})
	case "update-table":
		_, on := o["deletion-protection-enabled"]
		_, err = c.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: table, DeletionProtectionEnabled: &on})
	default:
		err = fmt.Errorf("the runbook has the command %s, which this test does not know", name)
	}
	return err
}

// TestRestored runs the runbook's commands on a table with an hour's events, and deploys a stage that
// adopts the result.
func TestRestored(t *testing.T) {
	cfg := localtest.Config(localtest.Moto(t), awsclient.Options{Attempts: 1, Try: patience})
	client := dynamodb.NewFromConfig(cfg)
	own := localtest.Deploy(t, cfg, "tollgate-test", golden(t, "test"))["TableName"]
	store, err := dynamostore.New(client, own, dynamostore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Minute)
	key := dispatch.MessageKey("FACT#test#-#in_1#paid", "receipt")
	effects := dispatch.Effects{
		dispatch.Insert("FACT#test#-#in_1#paid", nil),
		dispatch.Insert(key, dispatch.Fields{
			"name": "receipt", dispatch.ListName: dispatch.OutboxList(dispatch.OutboxShard(key)), dispatch.ListOrder: "2026-11-28T12:00:00Z", dispatch.MessageQueued: time.Now().UnixMilli(),
		}),
	}
	if _, err := store.Complete(t.Context(), claim(t, store, "evt_done"), idempotency.Applied, effects, time.Now()); err != nil {
		t.Fatal(err)
	}
	const adopted = "tollgate-restored" // as the golden stage names it
	names, options := runbook(t, map[string]string{"table": own, "new": adopted})
	for i, name := range names {
		if err := do(t.Context(), client, name, options[i]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if i == 1 && whole(t, client, adopted) != (protections{}) {
			t.Errorf("a restored table has %+v", whole(t, client, adopted))
		}
	}
	if got := whole(t, client, adopted); len(names) != 5 || got != (protections{"exp", true, true}) {
		t.Errorf("after %v the table has %+v", names, got)
	}
	before := tables(t, client)
	outputs := localtest.Deploy(t, cfg, "tollgate-full", golden(t, "full"))
	if after := tables(t, client); outputs[limits.OutputTable] != adopted || !slices.Equal(before, after) {
		t.Errorf("the stage uses %q; tables %v, then %v", outputs[limits.OutputTable], before, after)
	}
	if store, err = dynamostore.New(client, outputs[limits.OutputTable], dynamostore.Options{}); err != nil {
		t.Fatal(err)
	}
	again, err := store.Claim(t.Context(), request("evt_done"))
	if err != nil || again.Verdict != idempotency.Duplicate {
		t.Errorf("an event from before the restore: %v, %v", again.Verdict, err)
	}
	left, err := outbox.Drain(t.Context(), store, noSender{t}, outbox.Options{HoldBefore: end, Holder: store})
	if err != nil || left.Failed > 0 || left.Left == nil || left.Left.Held != 1 {
		t.Errorf("the message that waited: %+v, %v", left, err)
	}
	tableKeeps(t, client, map[string]string{"TableName": adopted}, "in_2")
}

// noSender fails the test for a message that is sent.
type noSender struct{ t *testing.T }

func (s noSender) Send(_ context.Context, m outbox.Message) error {
	s.t.Errorf("%s was sent", m.Key)
	return nil
}

// protections are what the stack's own table has, and a restored one lacks.
type protections struct {
	expires             string
	recovery, protected bool
}

func whole(t *testing.T, c *dynamodb.Client, table string) (p protections) {
	t.Helper()
	ttl, err := c.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	if ttl.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusDisabled {
		p.expires = aws.ToString(ttl.TimeToLiveDescription.AttributeName)
	}
	backups, err := c.DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	p.recovery = backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus == types.PointInTimeRecoveryStatusEnabled
	is, err := c.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	p.protected = aws.ToBool(is.Table.DeletionProtectionEnabled)
	return p
}

func tables(t *testing.T, c *dynamodb.Client) []string {
	t.Helper()
	out, err := c.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.TableNames
}
