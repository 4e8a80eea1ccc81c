package doctor

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Alarm is one of CloudWatch's.
type Alarm struct {
	Name    string // without the stage's prefix: "page-ingest-errors"
	Section string // of infra/README.md that its description names, "" for none
	State   string // OK, ALARM or INSUFFICIENT_DATA
	Enabled bool   // its actions are enabled
	Actions []string
}

// Watch reads the alarms and who gets them.
type Watch interface {
	// Alarms returns those whose names start with a prefix, "tollgate-live-" for example.
	Alarms(ctx context.Context, prefix string) ([]Alarm, error)
	// Subscribers counts a topic's confirmed subscriptions, and those that wait for their confirmation.
	Subscribers(ctx context.Context, topic string) (confirmed, pending int, err error)
}

// CheckAlarms checks that none is in ALARM, that each has enabled actions, and that each
// topic of theirs has a confirmed subscription.
func CheckAlarms(w Watch, prefix string) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "alarms"}
		all, err := w.Alarms(ctx, prefix+"-")
		if err != nil {
			return append(unknown(f.name, err, "cloudwatch:DescribeAlarms"),
				unknown("alarm topic", err, "cloudwatch:DescribeAlarms and sns:ListSubscriptionsByTopic")...)
		}
		there := map[string]bool{}
		var topics []string
		for _, a := range all {
			name := strings.TrimPrefix(strings.TrimPrefix(a.Name, "page-"), "ticket-") // earlier releases named no severity
			there[name] = true
			for _, arn := range a.Actions {
				if strings.HasPrefix(arn, "arn:") && strings.Contains(arn, ":sns:") && !slices.Contains(topics, arn) {
					topics = append(topics, arn)
				}
			}
			switch {
			case a.State == "ALARM":
				f.fail("see infra/README.md#alarm-"+cmp.Or(a.Section, name), "%s is in ALARM", a.Name)
			case !a.Enabled:
				f.fail("aws cloudwatch enable-alarm-actions --alarm-names "+prefix+"-"+a.Name, "%s has its actions disabled: no operator gets it", a.Name)
			case len(a.Actions) == 0:
				f.fail(redeploy, "%s has no action: no operator gets it", a.Name)
			}
		}
		for _, name := range []string{"ingest-errors", "dead-letters"} { // every stack of ours has these
			if !there[name] {
				f.fail(redeploy, "there is no alarm %s", name)
			}
		}
		return append(f.or("%d, none in ALARM", len(all)), subscribed(ctx, w, topics)...)
	}
}

// subscribed checks that an operator gets the alarms. SNS takes a message to a topic without
// subscriptions, and drops it.
func subscribed(ctx context.Context, w Watch, topics []string) []Finding {
	f := findings{name: "alarm topic"}
	if len(topics) == 0 {
		return f.fail(`set "alarm-email" or "alarm-topic" in the stage's file, and make deploy`, "no alarm has a topic: no operator gets one")
	}
	sum := 0
	for _, topic := range topics {
		confirmed, pending, err := w.Subscribers(ctx, topic)
		subscribe := "aws sns subscribe --topic-arn " + topic + " --protocol email --notification-endpoint ADDRESS"
		switch {
		case err != nil:
			for _, u := range unknown(f.name, err, "sns:ListSubscriptionsByTopic") {
				f.add(u.Status, u.Fix, "%s: %s", topic, u.Detail)
			}
		case confirmed == 0 && pending > 0:
			f.fail("open the link of the mail that AWS sent; after three days it is invalid: "+subscribe, "%s has no confirmed subscription, and %d wait for theirs: no operator gets an alarm", topic, pending)
		case confirmed == 0:
			f.fail(subscribe+", and open the link of its mail", "%s has no subscription: no operator gets an alarm", topic)
		}
		sum += confirmed
	}
	return f.or("%d confirmed subscriptions", sum)
}
