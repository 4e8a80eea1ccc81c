package stack

import (
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
)

// busRule is the rule among a queue's senders.
const busRule = "EventBridge"

// fromBus is the rule as a queue's sender, if the stage has one.
func (p *parts) fromBus() []string {
	if p.EventBridge == "" {
		return nil
	}
	return []string{busRule}
}

// busRuleARN is known before the rule is made: the queues' policies name it.
func (p *parts) busRuleARN() *string {
	return p.stack.FormatArn(&awscdk.ArnComponents{Service: str("events"), Resource: str("rule"), ResourceName: str(p.EventBridge + "/" + p.name("eventbridge"))})
}

// addEventBridge puts the events of Stripe's partner event bus into the queue. What the queue refuses
// for a day goes to the dead-letter queue, from where it is redriven as any event.
func (p *parts) addEventBridge() {
	if p.EventBridge == "" {
		return
	}
	awsevents.NewCfnRule(p.stack, str(busRule), &awsevents.CfnRuleProps{
		Name: str(p.name("eventbridge")), EventBusName: str(p.EventBridge), State: str("ENABLED"),
		Description:  str("Tollgate, stage " + p.Stage + ": puts Stripe's events into the queue"),
		EventPattern: object{"source": []string{p.EventBridge}},
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id: str("queue"), Arn: p.queue.AttrArn(), DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: p.dead.AttrArn()},
		}},
	})
}

func partnerBus() *regexp.Regexp {
	return regexp.MustCompile(`^aws\.partner/stripe\.com/[A-Za-z0-9_-]{1,100}$`)
}
