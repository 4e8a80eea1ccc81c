package stack

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// parts are the resources so far. Each add method sets its own and uses those added before
// it.
type parts struct {
	Options
	bundles string
	stack   awscdk.Stack

	queue, dead    awssqs.CfnQueue
	table          awsdynamodb.CfnTable
	webhook, key   awssecretsmanager.CfnSecret
	ingest         awslambda.CfnFunction
	consumer       awslambda.CfnFunction
	reconcile      awslambda.CfnFunction
	mapping        awslambda.CfnEventSourceMapping
	api            awsapigatewayv2.CfnApi
	alarmTopic     *string // ARN
	alarmResources []*string
}

// name returns the fixed name of a resource of this stage.
func (p *parts) name(of string) string { return Name(p.Stage) + "-" + of }

func str(s string) *string { return jsii.String(s) }

func num(n int) *float64 { return jsii.Number(n) }

func seconds(d time.Duration) *float64 { return num(int(d / time.Second)) }

func list(items ...string) *[]*string { return jsii.Strings(items...) }

// object is a part of the template that CDK copies unchanged.
type object = map[string]any
