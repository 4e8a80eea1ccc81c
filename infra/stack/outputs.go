package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"

	"tollgate/pkg/limits"
)

// addOutputs names what the stack created. The tollgate command and people's scripts read
// these names: do not change them.
func (p *parts) addOutputs() {
	url := awscdk.Fn_Join(str(""), &[]*string{p.api.AttrApiEndpoint(), str(limits.WebhookPath)})
	if p.domain != nil {
		url = str("https://" + p.Domain.Name + limits.WebhookPath)
	}
	type output struct {
		name, is string
		value    *string
	}
	all := []output{
		{limits.OutputWebhookURL, "webhook URL of the endpoint default; append / and a name for another endpoint", url},
		{limits.OutputQueueURL, "queue of events", p.queue.Ref()},
		{limits.OutputDLQURL, "dead-letter queue", p.dead.Ref()},
		{limits.OutputHoldURL, "queue that holds the events of paused types", p.hold.Ref()},
		{limits.OutputTable, "table of records and effects", p.tableName},
		{limits.OutputWebhookSecret, "secret with the signing secrets", p.webhook.Ref()},
		{limits.OutputAPIKeySecret, "secret with the Stripe API key", p.key.Ref()},
		{limits.OutputMapping, "event source mapping, which tollgate pause --all disables", p.mapping.Ref()},
		{"AlarmTopicArn", "topic of every alarm", p.alarmTopic},
		{limits.OutputVersion, "release", str(p.Version)},
		{"ReaderPolicyArn", "policy for people who look", p.reader},
		{"OperatorPolicyArn", "policy for people who look and change", p.operator},
		{"EraseRoleArn", "role that tollgate ledger erase runs under", p.erase},
		{"Region", "Region of the stack", p.stack.Region()},
	}
	if p.sendDead != nil {
		all = append(all, output{limits.OutputSendDLQURL, "dead-letter queue of deliveries", p.sendDead.Ref()})
	}
	if p.domain != nil {
		all = append(all, output{"DomainTarget", "name that the domain's DNS record points to", p.domain.AttrRegionalDomainName()})
	}
	for _, o := range all {
		awscdk.NewCfnOutput(p.stack, str(o.name), &awscdk.CfnOutputProps{Value: o.value, Description: str(o.is)})
	}
}
