package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// addOutputs names what stands in the account. The names are read by the tollgate
// command and by people's scripts: they stay.
func (p *parts) addOutputs() {
	url := awscdk.Fn_Join(str(""), &[]*string{p.api.AttrApiEndpoint(), str(webhookPath)})
	for _, o := range []struct {
		name, is string
		value    *string
	}{
		{"WebhookUrl", "where Stripe delivers for the endpoint default; another endpoint's name goes behind it", url},
		{"QueueUrl", "the queue of events", p.queue.Ref()},
		{"DlqUrl", "the dead-letter queue", p.dead.Ref()},
		{"TableName", "the table of records and effects", p.table.Ref()},
		{"WebhookSecretArn", "the secret with the signing secrets", p.webhook.Ref()},
		{"ApiKeySecretArn", "the secret with Stripe's API key", p.key.Ref()},
		{"ConsumerMappingId", "the mapping to disable when the consumer must stop", p.mapping.Ref()},
		{"AlarmTopicArn", "where every alarm goes", p.alarmTopic},
		{"Region", "where all this is", p.stack.Region()},
	} {
		awscdk.NewCfnOutput(p.stack, str(o.name), &awscdk.CfnOutputProps{Value: o.value, Description: str(o.is)})
	}
}
