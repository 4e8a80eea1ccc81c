package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/limits"
)

// perProcess is the number of deliveries that an ingest process answers a second at least.
// The throttle follows from it: more deliveries would find no free process.
const perProcess = 10

func (p *parts) addAPI() {
	p.api = awsapigatewayv2.NewCfnApi(p.stack, str("Api"), &awsapigatewayv2.CfnApiProps{
		Name:         str(Name(p.Stage)),
		Description:  str("Tollgate, stage " + p.Stage + ": Stripe's deliveries"),
		ProtocolType: str("HTTP"),
	})
	integration := awsapigatewayv2.NewCfnIntegration(p.stack, str("ApiIntegration"), &awsapigatewayv2.CfnIntegrationProps{
		ApiId:                p.api.Ref(),
		IntegrationType:      str("AWS_PROXY"),
		IntegrationUri:       p.ingestAlias.Ref(),
		PayloadFormatVersion: str("2.0"),
	})
	p.addRoute("Default", limits.WebhookPath, integration)
	p.addRoute("Endpoint", limits.WebhookPath+"/{endpoint}", integration)
	stage := p.addStage()
	for _, route := range p.addHistoryRoutes() {
		stage.AddResourceDependency(route, str("a stage's settings name routes that are there"))
	}
	p.addDomain(stage)
}

// addRoute lets only this route of this API invoke ingest.
func (p *parts) addRoute(id, path string, to awsapigatewayv2.CfnIntegration) {
	awsapigatewayv2.NewCfnRoute(p.stack, str(id+"Route"), &awsapigatewayv2.CfnRouteProps{
		ApiId:             p.api.Ref(),
		RouteKey:          str("POST " + path),
		AuthorizationType: str("NONE"), // the body's signature authorizes
		Target:            awscdk.Fn_Join(str("/"), &[]*string{str("integrations"), to.Ref()}),
	})
	may := awslambda.NewCfnPermission(p.stack, str(id+"RoutePermission"), &awslambda.CfnPermissionProps{
		Action:       str("lambda:InvokeFunction"),
		FunctionName: p.ingestAlias.Ref(),
		Principal:    str("apigateway.amazonaws.com"),
		SourceArn: p.stack.FormatArn(&awscdk.ArnComponents{
			Service: str("execute-api"), Resource: p.api.Ref(), ResourceName: str("*/*" + path),
		}),
	})
	to.AddResourceDependency(may, str("the API calls an alias that allows it"))
}

func (p *parts) addStage() awsapigatewayv2.CfnStage {
	rate := p.Limits.ReservedIngest * perProcess
	// Names with vendedlogs need no entry in the account's log policy, which has a size limit.
	logs := p.addLogGroup("AccessLogs", "/aws/vendedlogs/"+p.name("access"))
	p.countThrottled(logs)
	return awsapigatewayv2.NewCfnStage(p.stack, str("ApiStage"), &awsapigatewayv2.CfnStageProps{
		ApiId:      p.api.Ref(),
		StageName:  str("$default"),
		AutoDeploy: jsii.Bool(true),
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit: num(rate), ThrottlingBurstLimit: num(rate), DetailedMetricsEnabled: jsii.Bool(false),
		},
		RouteSettings: p.routeSettings(),
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: logs.AttrArn(), Format: str(accessLog(p.Stage)),
		},
	})
}

// accessLog follows a delivery without anything that its sender wrote: no body, header or
// path. API Gateway does not escape what it fills in, so it has no text of an error either, which
// may have quotes: integration is the status of Lambda's answer, answer that of ingest's.
func accessLog(stage string) string {
	return `{"stage":"` + stage + `","time":"$context.requestTimeEpoch","request":"$context.requestId","route":"$context.routeKey",` +
		`"status":"$context.status","latency":"$context.responseLatency","source":"$context.identity.sourceIp",` +
		`"integration":"$context.integration.integrationStatus","answer":"$context.integration.status","function_request":"$context.integration.requestId",` +
		`"error":"$context.error.responseType"}`
}

// countThrottled counts the 429s, of which API Gateway has no metric of its own.
func (p *parts) countThrottled(log awslogs.CfnLogGroup) {
	awslogs.NewCfnMetricFilter(p.stack, str("ThrottledFilter"), &awslogs.CfnMetricFilterProps{
		LogGroupName: log.Ref(), FilterPattern: str(p.throttledPattern()),
		MetricTransformations: []any{&awslogs.CfnMetricFilter_MetricTransformationProperty{
			MetricNamespace: str(limits.MetricNamespace), MetricName: str(limits.MetricAPIThrottled), MetricValue: str("1"), Unit: str("Count"),
			Dimensions: []any{&awslogs.CfnMetricFilter_DimensionProperty{Key: str(limits.DimensionStage), Value: str("$.stage")}},
		}},
	})
}
