package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"

	"tollgate/pkg/limits"
)

// addOutputs names what the stack created. The tollgate command and people's scripts read
// these names: do not change them.
func (p *parts) addOutputs() {
	url := awscdk.Fn_Join(str(""), &[]*string{p.api.AttrApiEndpoint(), str(limits.WebhookPath)})
	for _, o := range []struct {
		name, is string
		value    *string
	}{
		{limits.OutputWebhookURL, "webhook URL of the endpoint default; append / and a name for another endpoint", url},
		{limits.OutputQueueURL, "queue of events", p.queue.Ref()},
		{limits.OutputDLQURL, "dead-letter queue", p.dead.Ref()},
		{limits.OutputTable, "table of records and effects", p.table.Ref()},
		{limits.OutputWebhookSecret, "secret with the signing secrets", p.webhook.Ref()},
		{limits.OutputAPIKeySecret, "secret with the Stripe API key", p.key.Ref()},
		{"ConsumerMappingId", "event source mapping: disable it to stop the consumer", p.mapping.Ref()},
		{"AlarmTopicArn", "topic of every alarm", p.alarmTopic},
		{"Region", "Region of the stack", p.stack.Region()},
	} {
		awscdk.NewCfnOutput(p.stack, str(o.name), &awscdk.CfnOutputProps{Value: o.value, Description: str(o.is)})
	}
}
