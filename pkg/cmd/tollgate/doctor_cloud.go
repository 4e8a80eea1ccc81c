package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/doctor"
)

// cloud asks Lambda and CloudWatch.
type cloud struct {
	config   aws.Config
	queueURL string
}

func (c cloud) get(ctx context.Context, path string, into any) error {
	raw, err := awsCall(ctx, c.config, "lambda", http.MethodGet, path, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.New("the answer is not the JSON of Lambda")
	}
	return nil
}

// Function reads a function's configuration and its reserved concurrency.
func (c cloud) Function(ctx context.Context, name string) (doctor.Function, error) {
	var is struct {
		State, LastUpdateStatus, LastModified string
		Timeout                               int
	}
	if err := c.get(ctx, "/2015-03-31/functions/"+url.PathEscape(name)+"/configuration", &is); err != nil {
		return doctor.Function{}, err
	}
	var reserved struct{ ReservedConcurrentExecutions *int }
	if err := c.get(ctx, "/2019-09-30/functions/"+url.PathEscape(name)+"/concurrency", &reserved); err != nil {
		return doctor.Function{}, err
	}
	f := doctor.Function{
		State: is.State, Update: is.LastUpdateStatus, Timeout: time.Duration(is.Timeout) * time.Second, Reserved: -1, Changed: is.LastModified,
	}
	if reserved.ReservedConcurrentExecutions != nil {
		f.Reserved = *reserved.ReservedConcurrentExecutions
	}
	return f, nil
}

// Mappings reads who takes messages from the queue of events.
func (c cloud) Mappings(ctx context.Context) (all []doctor.Mapping, err error) {
	out, err := sqs.NewFromConfig(c.config).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &c.queueURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return nil, err
	}
	query := url.Values{"EventSourceArn": {out.Attributes["QueueArn"]}}
	for {
		var page struct {
			NextMarker          string
			EventSourceMappings []struct {
				UUID, State, FunctionArn string
				FunctionResponseTypes    []string
				BatchSize                int
				ScalingConfig            struct{ MaximumConcurrency int }
			}
		}
		if err := c.get(ctx, "/2015-03-31/event-source-mappings/?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, m := range page.EventSourceMappings {
			all = append(all, doctor.Mapping{
				ID: m.UUID, State: m.State, Function: m.FunctionArn, BatchSize: m.BatchSize, MaxConcurrency: m.ScalingConfig.MaximumConcurrency,
				PartialBatches: strings.Contains(strings.Join(m.FunctionResponseTypes, " "), "ReportBatchItemFailures"),
			})
		}
		if page.NextMarker == "" || query.Get("Marker") == page.NextMarker {
			return all, nil
		}
		query.Set("Marker", page.NextMarker)
	}
}

// alarmPage is what DescribeAlarms answers, as far as it is read here.
type alarmPage struct {
	Alarms []struct {
		Name    string   `xml:"AlarmName"`
		State   string   `xml:"StateValue"`
		Enabled bool     `xml:"ActionsEnabled"`
		Actions []string `xml:"AlarmActions>member"`
	} `xml:"DescribeAlarmsResult>MetricAlarms>member"`
	Next string `xml:"DescribeAlarmsResult>NextToken"`
}

// Alarms reads the metric alarms of a prefix.
func (c cloud) Alarms(ctx context.Context, prefix string) (all []doctor.Alarm, err error) {
	form := url.Values{"Action": {"DescribeAlarms"}, "Version": {"2010-08-01"}, "AlarmNamePrefix": {prefix}, "MaxRecords": {"100"}}
	for {
		var page alarmPage
		if err := awsQuery(ctx, c.config, "monitoring", form, &page); err != nil {
			return nil, err
		}
		for _, a := range page.Alarms {
			all = append(all, doctor.Alarm{
				Name: strings.TrimPrefix(a.Name, prefix), State: a.State, Enabled: a.Enabled, Actions: len(a.Actions),
			})
		}
		if page.Next == "" || form.Get("NextToken") == page.Next {
			return all, nil
		}
		form.Set("NextToken", page.Next)
	}
}
