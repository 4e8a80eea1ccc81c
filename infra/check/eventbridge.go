package check

import (
	"slices"
	"strings"
)

// busRule is the rule on Stripe's partner event bus.
const busRule = "EventBridge"

// bus: no service sends to a queue, except the rule on Stripe's bus to the queue of events and its
// dead-letter queue, the events unchanged. What is in these queues counts as verified.
func (c *checker) bus() {
	arn := "no rule"
	if name := c.text(busRule, "EventBusName"); name != "" {
		arn = ":rule/" + name + "/" + c.text(busRule, "Name")
		targets := items(c.at(busRule, "Targets"))
		c.must(strings.HasPrefix(name, "aws.partner/stripe.com/") && slices.Equal(texts(c.at(busRule, "EventPattern.source")), []string{name}), busRule, "takes events of others than Stripe")
		c.must(len(targets) == 1 && short(at(targets[0], "Arn")) == queue+".Arn" && c.text(busRule, "State") == "ENABLED", busRule, "does not put its events into %s", queue)
		for _, t := range targets {
			c.must(short(at(t, "DeadLetterConfig.Arn")) == dlq+".Arn", busRule, "loses what %s refuses", queue)
			c.must(at(t, "Input") == nil && at(t, "InputPath") == nil && at(t, "InputTransformer") == nil, busRule, "changes its events")
		}
	}
	for _, q := range c.names(typeQueue) {
		allowed, excepted := 0, 0
		for _, s := range items(c.at(q+"Policy", "PolicyDocument.Statement")) {
			if source := at(s, "Condition.ArnNotLike.aws:SourceArn"); source != nil {
				excepted++
				c.must(strings.Contains(short(source), arn+`"`), q+"Policy", "excepts another rule")
			}
			if short(at(s, "Effect")) == "Allow" {
				allowed++
				c.must(short(at(s, "Principal.Service")) == "events.amazonaws.com" && short(at(s, "Action")) == "sqs:SendMessage" &&
					strings.Contains(short(at(s, "Condition.ArnEquals.aws:SourceArn")), arn+`"`), q+"Policy", "allows another than the rule")
			}
		}
		want := 0
		if arn != "no rule" && (q == queue || q == dlq) {
			want = 1
		}
		c.must(allowed == want && excepted == want, q+"Policy", "lets the rule send %d times, and excepts it %d times, want %d", allowed, excepted, want)
	}
}
