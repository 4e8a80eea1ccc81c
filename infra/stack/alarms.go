package stack

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"tollgate/infra/check"
)

// alarm pages when its value reaches the threshold in enough of its periods.
type alarm struct {
	name       string // within the stage, and of its section in infra/README.md
	of         string // the endpoint that it watches, "" for the stage
	problem    string
	metrics    []metric
	expression string // over the metrics' ids; "" for a single metric
	threshold  float64
	period     time.Duration
	breaching  int // of periods; default 1 of 1
	periods    int
	heartbeat  bool // pages below the threshold, and on missing data
	silent     bool // pages on missing data too
	ticket     bool // can wait for a working day; the others page
}

// addTopic creates the stack's own topic unless an existing one is configured.
func (p *parts) addTopic() {
	if p.AlarmTopic != "" {
		p.alarmTopic = str(p.AlarmTopic)
		return
	}
	topic := awssns.NewCfnTopic(p.stack, str("AlarmTopic"), &awssns.CfnTopicProps{DisplayName: str("Tollgate " + p.Stage)})
	p.alarmTopic = topic.Ref()
	if p.AlarmEmail != "" {
		awssns.NewCfnSubscription(p.stack, str("AlarmEmail"), &awssns.CfnSubscriptionProps{
			TopicArn: topic.Ref(), Protocol: str("email"), Endpoint: str(p.AlarmEmail),
			FilterPolicyScope: str("MessageBody"), FilterPolicy: newsOnly(),
		})
	}
}

// newsOnly lets alarms and recoveries through, but not that a new alarm is OK: a first deploy would
// send one mail for each alarm.
func newsOnly() object {
	return object{"$or": []object{{"NewStateValue": []string{"ALARM"}}, {"OldStateValue": []string{"ALARM"}}}}
}

func (p *parts) addAlarms() {
	all := slices.Concat(p.ingestAlarms(), p.queueAlarms(), p.consumerAlarms(), p.reconcileAlarms(), p.objectives())
	for _, endpoint := range p.endpointNames() {
		all = append(all, p.signatures(endpoint))
	}
	if len(p.receivers) > 0 {
		all = append(all, p.senderAlarms()...)
	}
	if p.history != nil {
		all = append(all, p.historyAlarm())
	}
	if p.SilenceHours > 0 {
		all = append(all, p.silence())
	}
	made := map[string]awscloudwatch.CfnAlarm{}
	for _, a := range all {
		made[a.name] = p.addAlarm(a)
	}
	if p.SilenceHours > 0 {
		p.addNothingArrives(made["silence"], made["events-missed"])
	}
}

// title is the alarm's name within the stage.
func (a alarm) title() string {
	if a.of == "" {
		return check.Severity(a.ticket) + a.name
	}
	return check.Severity(a.ticket) + a.name + "-" + a.of
}

// section is shared by the alarms on one fault.
func (a alarm) section() string {
	return strings.TrimSuffix(strings.TrimSuffix(a.name, "-stay"), "-long")
}

func (p *parts) addAlarm(a alarm) awscloudwatch.CfnAlarm {
	period := int(a.period / time.Second)
	var queries []any
	for _, m := range a.metrics {
		queries = append(queries, m.query(period, a.expression == ""))
	}
	if strings.HasPrefix(a.expression, "IF(") {
		// Where nothing is counted CloudWatch would go back to older values, and page again.
		a.expression = "FILL(" + a.expression + ", 0)"
	}
	if a.expression != "" {
		queries = append(queries, &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
			Id: str("value"), Expression: str(a.expression), Label: str(a.name), ReturnData: true,
		})
	}
	comparison, missing := "GreaterThanOrEqualToThreshold", "notBreaching"
	if a.heartbeat {
		comparison = "LessThanThreshold"
	}
	if a.heartbeat || a.silent {
		missing = "breaching"
	}
	made := awscloudwatch.NewCfnAlarm(p.stack, str(groupID(alarmID(a.name), a.of)), &awscloudwatch.CfnAlarmProps{
		AlarmName:          str(p.name(a.title())),
		AlarmDescription:   str(a.problem + " What to do: " + check.Section + a.section()),
		ActionsEnabled:     jsii.Bool(true),
		AlarmActions:       &[]any{p.alarmTopic},
		OkActions:          &[]any{p.alarmTopic},
		Metrics:            queries,
		ComparisonOperator: str(comparison),
		Threshold:          jsii.Number(a.threshold),
		EvaluationPeriods:  num(max(a.periods, 1)),
		DatapointsToAlarm:  num(max(a.breaching, 1)),
		TreatMissingData:   str(missing),
	})
	p.alarmResources = append(p.alarmResources, made.AttrArn())
	return made
}

// addNothingArrives pages where two tickets agree: nothing is accepted, and there was something to
// accept.
func (p *parts) addNothingArrives(silence, missed awscloudwatch.CfnAlarm) {
	const name = "nothing-arrives"
	rule := awscdk.Fn_Join(str(""), &[]*string{str(`ALARM("`), silence.Ref(), str(`") AND ALARM("`), missed.Ref(), str(`")`)})
	made := awscloudwatch.NewCfnCompositeAlarm(p.stack, str(alarmID(name)), &awscloudwatch.CfnCompositeAlarmProps{
		AlarmName:        str(p.name(check.Severity(false) + name)),
		AlarmDescription: str("Stripe has events, and none of them is delivered. What to do: " + check.Section + name),
		ActionsEnabled:   jsii.Bool(true),
		AlarmActions:     &[]any{p.alarmTopic},
		OkActions:        &[]any{p.alarmTopic},
		AlarmRule:        rule,
	})
	p.alarmResources = append(p.alarmResources, made.AttrArn())
}

// alarmID returns AlarmIngestErrors for ingest-errors.
func alarmID(name string) string {
	id := "Alarm"
	for word := range strings.SplitSeq(name, "-") {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}
