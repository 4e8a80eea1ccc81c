package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// perProcess is how many deliveries a second one ingest process surely answers, which
// makes the throttle of what is let in: more would only find no process free.
const perProcess = 10

// webhookPath is where the default endpoint's deliveries go.
const webhookPath = "/webhooks/stripe"

func (p *parts) addAPI() {
	p.api = awsapigatewayv2.NewCfnApi(p.stack, str("Api"), &awsapigatewayv2.CfnApiProps{
		Name:         str(Name(p.Stage)),
		Description:  str("Tollgate, stage " + p.Stage + ": Stripe's deliveries"),
		ProtocolType: str("HTTP"),
	})
	integration := awsapigatewayv2.NewCfnIntegration(p.stack, str("ApiIntegration"), &awsapigatewayv2.CfnIntegrationProps{
		ApiId:                p.api.Ref(),
		IntegrationType:      str("AWS_PROXY"),
		IntegrationUri:       p.ingest.AttrArn(),
		PayloadFormatVersion: str("2.0"),
	})
	p.addRoute("Default", webhookPath, integration)
	p.addRoute("Endpoint", webhookPath+"/{endpoint}", integration)
	p.addStage()
}

// addRoute lets this route of this API alone call ingest.
func (p *parts) addRoute(id, path string, to awsapigatewayv2.CfnIntegration) {
	awsapigatewayv2.NewCfnRoute(p.stack, str(id+"Route"), &awsapigatewayv2.CfnRouteProps{
		ApiId:             p.api.Ref(),
		RouteKey:          str("POST " + path),
		AuthorizationType: str("NONE"), // the signature over the body is the authorization
		Target:            awscdk.Fn_Join(str("/"), &[]*string{str("integrations"), to.Ref()}),
	})
	awslambda.NewCfnPermission(p.stack, str(id+"RoutePermission"), &awslambda.CfnPermissionProps{
		Action:       str("lambda:InvokeFunction"),
		FunctionName: p.ingest.AttrArn(),
		Principal:    str("apigateway.amazonaws.com"),
		SourceArn: p.stack.FormatArn(&awscdk.ArnComponents{
			Service: str("execute-api"), Resource: p.api.Ref(), ResourceName: str("*/*" + path),
		}),
	})
}

func (p *parts) addStage() {
	rate := p.Limits.ReservedIngest * perProcess
	// The name with vendedlogs keeps the account's one log policy from growing with each stack.
	logs := p.addLogGroup("AccessLogs", "/aws/vendedlogs/"+p.name("access"))
	awsapigatewayv2.NewCfnStage(p.stack, str("ApiStage"), &awsapigatewayv2.CfnStageProps{
		ApiId:      p.api.Ref(),
		StageName:  str("$default"),
		AutoDeploy: jsii.Bool(true),
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit: num(rate), ThrottlingBurstLimit: num(rate), DetailedMetricsEnabled: jsii.Bool(false),
		},
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: logs.AttrArn(), Format: str(accessLog),
		},
	})
}

// accessLog has what tells a delivery's way, and nothing that its sender wrote: no body,
// no header, no path.
const accessLog = `{"time":"$context.requestTimeEpoch","request":"$context.requestId","route":"$context.routeKey",` +
	`"status":"$context.status","latency":"$context.responseLatency","source":"$context.identity.sourceIp",` +
	`"function_status":"$context.integration.status","function_latency":"$context.integration.latency",` +
	`"function_error":"$context.integration.error","function_request":"$context.integration.requestId",` +
	`"error":"$context.error.responseType"}`
