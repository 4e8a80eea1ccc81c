package stack

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"tollgate/pkg/limits"
)

const historyFunction = "history"

// historyRate bounds what receivers, and strangers, can use up of the API's throttle, which Stripe's
// deliveries share. There is a process for each of a burst: one without would be a 5xx of the API, on
// which an alarm pages. Routes are those of package history.
const historyRate, historyProcesses = 10, 2 * 10

func historyRoutes() []string { return []string{"GET /deliveries", "POST /deliveries/{id}/retry"} }

// asked is the function that receivers ask, as a sender to the queue of a group, if they can.
func (p *parts) asked(group string) []string {
	for _, d := range p.receivers {
		if d.Group == group && d.History {
			return []string{"History"}
		}
	}
	return nil
}

// addHistory adds the function that answers receivers, if a destination has a history. It reads, lets
// a delivery wait for its next attempt, and enqueues its job.
func (p *parts) addHistory() {
	if !p.receivers.HasHistory() {
		return
	}
	f := function{
		name: historyFunction, does: "answers receivers what was sent to them",
		timeout: limits.HistoryTimeout, reserved: historyProcesses,
		env: map[string]*string{
			"TOLLGATE_TABLE":        p.tableName,
			"TOLLGATE_SEND_DLQ_URL": p.sendDead.Ref(),
			"TOLLGATE_DESTINATIONS": str(p.destinations()),
		},
		grants: []grant{
			{on: p.tableARN, actions: []string{"dynamodb:GetItem"}},
			{on: p.tableARN, actions: []string{"dynamodb:UpdateItem"}, keys: []string{limits.KeyDelivery + "*"}},
			{on: p.index("list"), actions: []string{"dynamodb:Query"}},
		},
	}
	for i, group := range p.groups() {
		if len(p.asked(group)) > 0 {
			f.grants = append(f.grants, grant{on: p.sendQueues[i].AttrArn(), actions: []string{"sqs:SendMessage"}})
		}
	}
	p.history = p.addFunction("History", f)
}

// addHistoryRoutes adds the receivers' paths to the API. A token in the request authorizes.
func (p *parts) addHistoryRoutes() (routes []awsapigatewayv2.CfnRoute) {
	if p.history == nil {
		return nil
	}
	integration := awsapigatewayv2.NewCfnIntegration(p.stack, str("HistoryIntegration"), &awsapigatewayv2.CfnIntegrationProps{
		ApiId: p.api.Ref(), IntegrationType: str("AWS_PROXY"), IntegrationUri: p.history.AttrArn(), PayloadFormatVersion: str("2.0"),
	})
	for i, route := range historyRoutes() {
		_, path, _ := strings.Cut(route, " ")
		id := []string{"HistoryRoute", "RetryRoute"}[i]
		awslambda.NewCfnPermission(p.stack, str(id+"Permission"), &awslambda.CfnPermissionProps{
			Action: str("lambda:InvokeFunction"), FunctionName: p.history.AttrArn(), Principal: str("apigateway.amazonaws.com"),
			SourceArn: p.stack.FormatArn(&awscdk.ArnComponents{Service: str("execute-api"), Resource: p.api.Ref(), ResourceName: str("*/*" + path)}),
		})
		routes = append(routes, awsapigatewayv2.NewCfnRoute(p.stack, str(id), &awsapigatewayv2.CfnRouteProps{
			ApiId: p.api.Ref(), RouteKey: str(route), AuthorizationType: str("NONE"),
			Target: awscdk.Fn_Join(str("/"), &[]*string{str("integrations"), integration.Ref()}),
		}))
	}
	return routes
}

// routeSettings keep receivers from using up the throttle.
func (p *parts) routeSettings() any {
	if p.history == nil {
		return nil
	}
	settings := object{}
	for _, route := range historyRoutes() {
		settings[route] = object{"ThrottlingRateLimit": historyRate, "ThrottlingBurstLimit": historyRate}
	}
	return settings
}

// historyAlarm: a receiver asks again, so one error is no cause. A throttle is what the reservation is
// for.
func (p *parts) historyAlarm() alarm {
	return alarm{name: "history-errors", ticket: true, problem: "Receivers get no answer when they ask what they missed.",
		metrics: []metric{p.lambda(historyFunction, "Errors", sum)}, threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3}
}

// throttledPattern matches the access log's 429s, but for those of the receivers' own throttle.
func (p *parts) throttledPattern() string {
	pattern := `{ $.status = "429"`
	if p.history != nil {
		for _, route := range historyRoutes() {
			pattern += ` && $.route != "` + route + `"`
		}
	}
	return pattern + " }"
}

// functionNames are those of the stage's functions.
func (p *parts) functionNames() []string {
	all := []string{ingestFunction, consumerFunction, reconcileFunction}
	if len(p.receivers) > 0 {
		all = append(all, senderFunction)
	}
	if p.receivers.HasHistory() {
		all = append(all, historyFunction)
	}
	return slices.Clip(all)
}
