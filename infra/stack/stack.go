// Package stack describes Tollgate on AWS: one CloudFormation stack for each stage.
//
// Times and counts that the code uses too come from package limits. Resources are
// CloudFormation's own (CDK's first level): CDK adds no grant, policy or helper function.
// Nothing is looked up in an account, and no environment is read.
//
//	options, err := stack.ReadStage("infra/stages", "live")
//	s, err := stack.New(app, options, "dist")
package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
)

// Name returns the name of a stage's stack.
func Name(stage string) string { return "tollgate-" + stage }

// New adds the stack of o.Stage to an app, with the functions' code from
// bundles/<function>/bootstrap. It fails if a bundle is missing or an option is invalid.
func New(app constructs.Construct, o Options, bundles string) (awscdk.Stack, error) {
	receivers, _ := o.receivers() // validate reports its error
	p := parts{Options: o, receivers: receivers, bundles: bundles, rules: map[string]awsevents.CfnRule{}}
	if err := errors.Join(o.validate(), checkLimits(o.Limits), checkBundles(bundles, p.functionNames())); err != nil {
		return nil, err
	}
	s := awscdk.NewStack(app, str(Name(o.Stage)), &awscdk.StackProps{
		Description: str("Tollgate, stage " + o.Stage + ": receives Stripe's webhooks and applies each event once"),
		// A production stack holds the only copy of its data: deleting it takes two decisions.
		TerminationProtection: jsii.Bool(limits.Production(o.Stage)),
	})
	p.stack = s
	p.addQueues()
	p.addSendQueues()
	p.addTable()
	p.addBackup()
	p.addSecrets()
	p.addIngest()
	p.addConsumer()
	p.addReconcile()
	p.addSender()
	p.addHistory()
	p.addEventBridge()
	p.addAPI()
	p.addTopic()
	p.addOperators()
	p.addBudget()
	p.addAlarms()
	p.addDashboard()
	p.addOutputs()
	p.addRollout()
	p.nameVersions() // of functions that nothing changes any more
	if o.Boundary != "" {
		awsiam.PermissionsBoundary_Of(s).Apply(awsiam.ManagedPolicy_FromManagedPolicyArn(s, str("Boundary"), str(o.Boundary)))
	}
	tags := awscdk.Tags_Of(s)
	// The published schema of a dashboard has no tags.
	tagged := &awscdk.TagProps{ExcludeResourceTypes: list("AWS::CloudWatch::Dashboard")}
	tags.Add(str("app"), str("tollgate"), tagged)
	tags.Add(str("stage"), str(o.Stage), tagged)
	// CloudFormation copies a stack's own tags to its resources.
	tags.Add(str("version"), str(o.Version), &awscdk.TagProps{IncludeResourceTypes: list("aws:cdk:stack")})
	return s, nil
}

func checkLimits(l limits.Limits) error {
	if err := l.Validate(); err != nil {
		return fmt.Errorf("check limits: %w", err)
	}
	if l.TimeScale != 1 {
		return errors.New("limits are scaled, AWS's clocks are not")
	}
	return nil
}

func checkBundles(bundles string, functions []string) error {
	for _, function := range functions {
		name := filepath.Join(bundles, function, "bootstrap")
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("find the code of %s, which make build makes: %w", function, err)
		}
		// The mode goes into the archive with the file, and Lambda's user is not its owner.
		if info.Mode().Perm()&0o055 != 0o055 {
			return fmt.Errorf("%s has the mode %o, with which Lambda cannot run it: chmod 755", name, info.Mode().Perm())
		}
	}
	return nil
}

// parts are the resources so far. Each add method sets its own and uses those added before
// it.
type parts struct {
	Options
	receivers destination.Set
	bundles   string
	stack     awscdk.Stack

	queue, dead    awssqs.CfnQueue
	hold           awssqs.CfnQueue
	sendDead       awssqs.CfnQueue   // nil without destinations
	sendQueues     []awssqs.CfnQueue // by group
	reader         *string           // ARNs of the policies and the role of people
	operator       *string
	erase          *string
	tableName      *string
	tableARN       *string
	webhook, key   awssecretsmanager.CfnSecret
	ingest         awslambda.CfnFunction
	ingestAlias    awslambda.CfnAlias
	consumerAlias  awslambda.CfnAlias
	releases       []release
	consumer       awslambda.CfnFunction
	reconcile      awslambda.CfnFunction
	sender         awslambda.CfnFunction
	history        awslambda.CfnFunction // nil unless a destination has one
	mapping        awslambda.CfnEventSourceMapping
	api            awsapigatewayv2.CfnApi
	domain         awsapigatewayv2.CfnDomainName // nil without an own one
	alarmTopic     *string                       // ARN
	alarmResources []*string
	rules          map[string]awsevents.CfnRule // by schedule
}

// name returns the fixed name of a resource of this stage.
func (p *parts) name(of string) string { return Name(p.Stage) + "-" + of }

func str(s string) *string { return jsii.String(s) }

func num(n int) *float64 { return jsii.Number(n) }

func seconds(d time.Duration) *float64 { return num(int(d / time.Second)) }

func list(items ...string) *[]*string { return jsii.Strings(items...) }

// object is a part of the template that CDK copies unchanged.
type object = map[string]any
