package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/doctor"
	"tollgate/pkg/limits"
)

// cloud reads what only a deployed system has.
type cloud struct{ verb.Target }

func (c cloud) Function(ctx context.Context, name string) (doctor.Function, error) {
	is, err := c.Configuration(ctx, strings.TrimPrefix(name, c.Prefix()+"-"))
	if err != nil {
		return doctor.Function{}, err
	}
	concurrency, err := lambda.NewFromConfig(c.AWS).GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &name})
	if err != nil {
		return doctor.Function{}, err
	}
	f := doctor.Function{
		Name: name, State: string(is.State), Update: string(is.LastUpdateStatus), Timeout: time.Duration(aws.ToInt32(is.Timeout)) * time.Second,
		Reserved: -1, Changed: aws.ToString(is.LastModified), Released: strings.HasSuffix(aws.ToString(is.FunctionArn), ":"+limits.Alias),
	}
	if is.Environment != nil {
		f.Version = is.Environment.Variables["TOLLGATE_VERSION"]
	}
	if n := concurrency.ReservedConcurrentExecutions; n != nil {
		f.Reserved = int(*n)
	}
	return f, nil
}

func (c cloud) Account(ctx context.Context) (a doctor.Account, err error) {
	got, err := lambda.NewFromConfig(c.AWS).GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil {
		return a, err
	}
	if got.AccountLimit == nil || got.AccountLimit.UnreservedConcurrentExecutions == nil {
		return a, errEmpty
	}
	return doctor.Account{Limit: int(got.AccountLimit.ConcurrentExecutions), Unreserved: int(*got.AccountLimit.UnreservedConcurrentExecutions)}, nil
}

func (c cloud) Mappings(ctx context.Context) (all []doctor.Mapping, err error) {
	mappings, err := c.Target.Mappings(ctx)
	for _, m := range mappings {
		mapping := doctor.Mapping{
			ID: aws.ToString(m.UUID), State: aws.ToString(m.State), Function: aws.ToString(m.FunctionArn), BatchSize: int(aws.ToInt32(m.BatchSize)),
			PartialBatches: slices.Contains(m.FunctionResponseTypes, lambdatypes.FunctionResponseTypeReportBatchItemFailures),
		}
		if m.ScalingConfig != nil {
			mapping.MaxConcurrency = int(aws.ToInt32(m.ScalingConfig.MaximumConcurrency))
		}
		all = append(all, mapping)
	}
	return all, err
}

func (c cloud) Alarms(ctx context.Context, prefix string) (all []doctor.Alarm, err error) {
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(c.AWS), &cloudwatch.DescribeAlarmsInput{
		AlarmNamePrefix: &prefix, AlarmTypes: []cloudwatchtypes.AlarmType{cloudwatchtypes.AlarmTypeMetricAlarm, cloudwatchtypes.AlarmTypeCompositeAlarm},
	})
	add := func(name, description *string, state cloudwatchtypes.StateValue, enabled *bool, actions []string) {
		_, section, _ := strings.Cut(aws.ToString(description), "infra/README.md#alarm-")
		all = append(all, doctor.Alarm{
			Name: strings.TrimPrefix(aws.ToString(name), prefix), Section: section, State: string(state), Enabled: aws.ToBool(enabled), Actions: actions,
		})
	}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.MetricAlarms {
			add(a.AlarmName, a.AlarmDescription, a.StateValue, a.ActionsEnabled, a.AlarmActions)
		}
		for _, a := range page.CompositeAlarms {
			add(a.AlarmName, a.AlarmDescription, a.StateValue, a.ActionsEnabled, a.AlarmActions)
		}
	}
	return all, nil
}

func (c cloud) Subscribers(ctx context.Context, topic string) (confirmed, pending int, err error) {
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(c.AWS), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if _, absent := errors.AsType[*snstypes.NotFoundException](err); absent {
			return 0, 0, fmt.Errorf("%w: %w", doctor.ErrMissing, err)
		}
		if err != nil {
			return 0, 0, err
		}
		for _, s := range page.Subscriptions {
			switch arn := aws.ToString(s.SubscriptionArn); {
			case strings.HasPrefix(arn, "arn:"):
				confirmed++
			case arn == "PendingConfirmation":
				pending++
			}
		}
	}
	return confirmed, pending, nil
}

// maxTables bounds the tables of a stage that are looked at.
const maxTables = 20

// tables returns the table if the stack made it, nil if people named it, and the stage's others.
func (c cloud) tables(ctx context.Context) (used *doctor.NamedTable, others []doctor.NamedTable, err error) {
	made := regexp.MustCompile("^" + regexp.QuoteMeta(c.Prefix()) + "-Table-[A-Z0-9]+$") // CloudFormation's names
	if !made.MatchString(c.Table) {
		return nil, nil, nil
	}
	client := dynamodb.NewFromConfig(c.AWS)
	pages := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range page.TableNames {
			rest, ofStage := strings.CutPrefix(name, c.Prefix()+"-")
			_, _, ofLonger := strings.Cut(rest, "-Table-") // of stage test-eu, next to test
			if !ofStage || ofLonger || len(others) >= maxTables && name != c.Table {
				continue
			}
			is, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
			if err != nil {
				return nil, nil, err
			}
			if is.Table == nil {
				return nil, nil, errEmpty
			}
			t := doctor.NamedTable{Name: name, Created: aws.ToTime(is.Table.CreationDateTime)}
			if others = append(others, t); name == c.Table {
				used = &t
			}
		}
	}
	if used == nil {
		return nil, nil, errors.New("the list of tables lacks it")
	}
	return used, others, nil
}

// rules are those that start reconcile.
func (c cloud) rules(ctx context.Context) (all []doctor.Rule, err error) {
	is, err := c.Configuration(ctx, "reconcile")
	if err != nil {
		return nil, err
	}
	client := eventbridge.NewFromConfig(c.AWS)
	request := &eventbridge.ListRuleNamesByTargetInput{TargetArn: is.FunctionArn}
	for {
		page, err := client.ListRuleNamesByTarget(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, name := range page.RuleNames {
			rule, err := ruleOf(ctx, client, name, aws.ToString(is.FunctionArn))
			if err != nil {
				return nil, err
			}
			all = append(all, rule)
		}
		if request.NextToken = page.NextToken; request.NextToken == nil {
			return all, nil
		}
	}
}

func ruleOf(ctx context.Context, client *eventbridge.Client, name, function string) (r doctor.Rule, err error) {
	is, err := client.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name})
	if err != nil {
		return r, err
	}
	targets, err := client.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &name}) // a rule has five at most
	if err != nil {
		return r, err
	}
	r = doctor.Rule{Name: name, Enabled: is.State == eventbridgetypes.RuleStateEnabled}
	for _, t := range targets.Targets {
		var input struct {
			Task string `json:"task"`
		}
		if aws.ToString(t.Arn) == function && json.Unmarshal([]byte(aws.ToString(t.Input)), &input) == nil {
			r.Tasks = append(r.Tasks, input.Task)
		}
	}
	return r, nil
}
