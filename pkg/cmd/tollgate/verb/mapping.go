package verb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/doctor"
)

// Mappings are the event source mappings of the queue of events, by which the consumer gets them.
func (t Target) Mappings(ctx context.Context) (all []types.EventSourceMappingConfiguration, err error) {
	queue, err := sqs.NewFromConfig(t.AWS).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &t.QueueURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return nil, fmt.Errorf("find the queue's event source mapping: %w", err)
	}
	arn := queue.Attributes["QueueArn"]
	pages := lambda.NewListEventSourceMappingsPaginator(lambda.NewFromConfig(t.AWS), &lambda.ListEventSourceMappingsInput{EventSourceArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("find the queue's event source mapping: %w", err)
		}
		all = append(all, page.EventSourceMappings...)
	}
	return all, nil
}

const (
	mappingTimeout = 5 * time.Minute // AWS documents no bound: most take under a minute
	mappingEvery   = time.Second
)

// Consume enables or disables the mappings of the queue of events, and waits until they are. One
// that is just being changed is waited for first.
func (t Target) Consume(ctx context.Context, enabled bool) error {
	ctx, cancel := context.WithTimeout(ctx, mappingTimeout)
	defer cancel()
	want := "Disabled"
	if enabled {
		want = "Enabled"
	}
	client := lambda.NewFromConfig(t.AWS)
	for {
		all, err := t.Mappings(ctx)
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("no event source mapping leads from the queue to the consumer: %w", doctor.ErrMissing)
		}
		if err != nil {
			return err
		}
		left := 0
		for _, m := range all {
			state := aws.ToString(m.State)
			if state == want {
				continue
			}
			left++
			if state != "Enabled" && state != "Disabled" {
				continue
			}
			_, err := client.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: &enabled})
			if _, changing := errors.AsType[*types.ResourceInUseException](err); err != nil && !changing {
				return fmt.Errorf("switch event source mapping %s: %w", aws.ToString(m.UUID), err)
			}
		}
		if left == 0 {
			return nil
		}
		if !wait(ctx, mappingEvery/time.Duration(max(t.TimeScale, 1))) {
			return Hint(fmt.Errorf("the event source mapping is not %s yet: %w", want, ctx.Err()), "Lambda goes on with it: run it again")
		}
	}
}

// wait reports whether the context lasts so long.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
