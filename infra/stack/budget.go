package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsbudgets"
	"github.com/aws/jsii-runtime-go"
)

// addBudget watches what the whole account costs: a filter by tag would see nothing until the tag
// is activated for billing, and be silent.
func (p *parts) addBudget() {
	if p.Budget == 0 {
		return
	}
	to := awsbudgets.CfnBudget_SubscriberProperty{Address: str(p.AlarmEmail), SubscriptionType: str("EMAIL")}
	if p.AlarmTopic != "" {
		to = awsbudgets.CfnBudget_SubscriberProperty{Address: str(p.AlarmTopic), SubscriptionType: str("SNS")}
	}
	var notifications []any
	for _, spend := range []string{"ACTUAL", "FORECASTED"} {
		notifications = append(notifications, &awsbudgets.CfnBudget_NotificationWithSubscribersProperty{
			Notification: &awsbudgets.CfnBudget_NotificationProperty{
				NotificationType: str(spend), ComparisonOperator: str("GREATER_THAN"), Threshold: num(100), ThresholdType: str("PERCENTAGE"),
			},
			Subscribers: []any{&to},
		})
	}
	awsbudgets.NewCfnBudget(p.stack, str("Budget"), &awsbudgets.CfnBudgetProps{
		Budget: &awsbudgets.CfnBudget_BudgetDataProperty{
			BudgetType: str("COST"), TimeUnit: str("MONTHLY"),
			BudgetLimit: &awsbudgets.CfnBudget_SpendProperty{Amount: jsii.Number(p.Budget), Unit: str("USD")},
		},
		NotificationsWithSubscribers: notifications,
	})
}
