package stack

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"

	"tollgate/pkg/limits"
)

// addQueues gives the queues of events fixed names: two refer to each other, and a name known
// beforehand breaks the cycle. The third holds the events of paused types.
func (p *parts) addQueues() {
	l, name := p.Limits, p.name("events")
	arn := p.stack.FormatArn(&awscdk.ArnComponents{Service: str("sqs"), Resource: str(name)})
	p.dead = p.addQueue("DeadLetterQueue", append(p.fromBus(), "Consumer"), l.Visibility, &awssqs.CfnQueueProps{
		QueueName:              str(p.name("dead")),
		MessageRetentionPeriod: seconds(l.DLQRetention),
		RedriveAllowPolicy:     object{"redrivePermission": "byQueue", "sourceQueueArns": []any{arn}},
	})
	p.queue = p.addQueue("Queue", append(p.fromBus(), "Ingest", "Reconcile"), l.Visibility, &awssqs.CfnQueueProps{
		QueueName:              str(name),
		MessageRetentionPeriod: seconds(l.SourceRetention),
		RedrivePolicy:          object{"deadLetterTargetArn": p.dead.AttrArn(), "maxReceiveCount": l.MaxReceives},
	})
	p.hold = p.addQueue("HoldQueue", []string{"Consumer"}, l.Visibility, &awssqs.CfnQueueProps{
		QueueName:              str(p.name("hold")),
		MessageRetentionPeriod: seconds(l.HoldRetention),
	})
}

// addQueue adds a queue that these functions send to.
func (p *parts) addQueue(id string, from []string, visibility time.Duration, props *awssqs.CfnQueueProps) awssqs.CfnQueue {
	props.VisibilityTimeout = seconds(visibility)
	props.MaximumMessageSize = num(limits.MaxQueueRequest)
	p.encrypt(props)
	queue := awssqs.NewCfnQueue(p.stack, str(id), props)
	queue.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	awssqs.NewCfnQueuePolicy(p.stack, str(id+"Policy"), &awssqs.CfnQueuePolicyProps{
		Queues: &[]*string{queue.Ref()},
		PolicyDocument: policy(append([]any{object{
			"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": queue.AttrArn(),
			"Condition": object{"Bool": object{"aws:SecureTransport": "false"}},
		}}, p.onlyFrom(queue.AttrArn(), from)...)...),
	})
	return queue
}

// policy returns a policy document of these statements.
func policy(statements ...any) object {
	return object{"Version": "2012-10-17", "Statement": statements}
}
