package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/config"
	"tollgate/pkg/doctor"
	"tollgate/pkg/ingest"
)

// cloud reads from Lambda and CloudWatch.
type cloud struct {
	config   aws.Config
	queueURL string
}

// Function reads a function's configuration and its reserved concurrency.
func (c cloud) Function(ctx context.Context, name string) (doctor.Function, error) {
	client := lambda.NewFromConfig(c.config)
	is, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return doctor.Function{}, err
	}
	concurrency, err := client.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &name})
	if err != nil {
		return doctor.Function{}, err
	}
	f := doctor.Function{
		State: string(is.State), Update: string(is.LastUpdateStatus), Timeout: time.Duration(aws.ToInt32(is.Timeout)) * time.Second,
		Reserved: -1, Changed: aws.ToString(is.LastModified),
	}
	if n := concurrency.ReservedConcurrentExecutions; n != nil {
		f.Reserved = int(*n)
	}
	return f, nil
}

// Mappings reads what takes messages from the queue of events.
func (c cloud) Mappings(ctx context.Context) (all []doctor.Mapping, err error) {
	queue, err := sqs.NewFromConfig(c.config).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &c.queueURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return nil, err
	}
	arn := queue.Attributes["QueueArn"]
	pages := lambda.NewListEventSourceMappingsPaginator(lambda.NewFromConfig(c.config), &lambda.ListEventSourceMappingsInput{EventSourceArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range page.EventSourceMappings {
			mapping := doctor.Mapping{
				ID: aws.ToString(m.UUID), State: aws.ToString(m.State), Function: aws.ToString(m.FunctionArn), BatchSize: int(aws.ToInt32(m.BatchSize)),
				PartialBatches: slices.Contains(m.FunctionResponseTypes, types.FunctionResponseTypeReportBatchItemFailures),
			}
			if m.ScalingConfig != nil {
				mapping.MaxConcurrency = int(aws.ToInt32(m.ScalingConfig.MaximumConcurrency))
			}
			all = append(all, mapping)
		}
	}
	return all, nil
}

// alarms reads the metric alarms of a prefix.
func (c cloud) alarms(ctx context.Context, prefix string) (all []doctor.Alarm, err error) {
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(c.config), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.MetricAlarms {
			all = append(all, doctor.Alarm{
				Name: strings.TrimPrefix(aws.ToString(a.AlarmName), prefix), State: string(a.StateValue),
				Enabled: aws.ToBool(a.ActionsEnabled), Actions: len(a.AlarmActions),
			})
		}
	}
	return all, nil
}

// accountsOf reads the accounts and policies of the target's functions. Without configured
// accounts it is the key's own alone.
func accountsOf(ctx context.Context, t verb.Target) (a doctor.Accounts, err error) {
	if a.Consumer, err = t.Policies(ctx); err != nil {
		return a, err
	}
	listed, endpoints := t.Reconciled, t.Endpoints
	if !t.Local {
		variables, err := t.Variables(ctx, "reconcile")
		if err != nil {
			return a, err
		}
		listed, endpoints = variables["TOLLGATE_RECONCILE"], variables["TOLLGATE_ENDPOINTS"]
	}
	if a.Reconcile, err = config.ParseEndpoints(endpoints); err == nil {
		a.Reconciled, err = config.ParseAccounts(listed)
	}
	if err != nil {
		return a, fmt.Errorf("%w: of reconcile: %w", doctor.ErrConfiguration, err)
	}
	if a.Reconciled == nil {
		a.Reconciled = map[string]string{"": ingest.DefaultEndpoint}
	}
	return a, nil
}
