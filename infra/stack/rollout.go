package stack

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodedeploy"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/limits"
)

// How a deploy moves ingest's deliveries to its new version.
const (
	allAtOnce = "all-at-once"
	canary    = "canary"
)

// canarySteps give a tenth of the deliveries to the new version for longer than the alarms of
// ingest take to notice that all of these fail.
const canarySteps = "CodeDeployDefault.LambdaCanary10Percent10Minutes"

// release is a function with the version that a deploy publishes of it.
type release struct {
	id       string
	function awslambda.CfnFunction
	version  awslambda.CfnVersion
}

// addAlias publishes a version of a function and returns the alias that its callers invoke.
// Earlier versions are kept, so that the alias can be moved back without a deploy; that of a
// deploy that failed is not, as Lambda publishes no second version of the same content.
func (p *parts) addAlias(id string, f awslambda.CfnFunction) awslambda.CfnAlias {
	version := awslambda.NewCfnVersion(p.stack, str(id+"Version"), &awslambda.CfnVersionProps{FunctionName: f.Ref(), Description: str(p.Version)})
	version.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE, nil)
	p.releases = append(p.releases, release{id, f, version})
	return awslambda.NewCfnAlias(p.stack, str(id+"Alias"), &awslambda.CfnAliasProps{
		Name: str(limits.Alias), FunctionName: f.Ref(), FunctionVersion: version.AttrVersion(),
	})
}

// nameVersions gives each version a logical id that changes with the function's code and
// configuration, and only then: CloudFormation publishes a version when it creates one.
func (p *parts) nameVersions() {
	for _, r := range p.releases {
		properties := p.stack.Resolve(r.function.CfnProperties()).(object)
		for _, unversioned := range []string{"tags", "reservedConcurrentExecutions"} {
			delete(properties, unversioned)
		}
		sum := sha256.Sum256([]byte(compact(properties)))
		r.version.OverrideLogicalId(str(r.id + "Version" + hex.EncodeToString(sum[:5])))
	}
}

// addRollout lets CodeDeploy move ingest's alias, and move it back if one of ingest's alarms is
// raised meanwhile.
func (p *parts) addRollout() {
	if p.Rollout != canary {
		return
	}
	app := awscodedeploy.NewCfnApplication(p.stack, str("Rollout"), &awscodedeploy.CfnApplicationProps{ComputePlatform: str("Lambda")})
	var alarms []any
	for _, name := range []string{"ingest-errors", "ingest-slow", "api-errors"} {
		made := p.stack.Node().FindChild(str(alarmID(name))).(awscloudwatch.CfnAlarm)
		alarms = append(alarms, &awscodedeploy.CfnDeploymentGroup_AlarmProperty{Name: made.Ref()})
	}
	group := awscodedeploy.NewCfnDeploymentGroup(p.stack, str("RolloutGroup"), &awscodedeploy.CfnDeploymentGroupProps{
		ApplicationName:      app.Ref(),
		ServiceRoleArn:       p.rolloutRole().AttrArn(),
		DeploymentConfigName: str(canarySteps),
		DeploymentStyle: &awscodedeploy.CfnDeploymentGroup_DeploymentStyleProperty{
			DeploymentType: str("BLUE_GREEN"), DeploymentOption: str("WITH_TRAFFIC_CONTROL"),
		},
		AlarmConfiguration: &awscodedeploy.CfnDeploymentGroup_AlarmConfigurationProperty{Enabled: jsii.Bool(true), Alarms: alarms},
		AutoRollbackConfiguration: &awscodedeploy.CfnDeploymentGroup_AutoRollbackConfigurationProperty{
			Enabled: jsii.Bool(true), Events: list("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"),
		},
	})
	p.ingestAlias.CfnOptions().SetUpdatePolicy(&awscdk.CfnUpdatePolicy{
		CodeDeployLambdaAliasUpdate: &awscdk.CfnCodeDeployLambdaAliasUpdate{ApplicationName: app.Ref(), DeploymentGroupName: group.Ref()},
	})
}

// rolloutRole lets CodeDeploy move the alias of ingest and read alarms.
func (p *parts) rolloutRole() awsiam.CfnRole {
	return awsiam.NewCfnRole(p.stack, str("RolloutRole"), &awsiam.CfnRoleProps{
		Description: str("Tollgate, stage " + p.Stage + ": CodeDeploy moves ingest to its new version"),
		AssumeRolePolicyDocument: policy(object{
			"Effect": "Allow", "Principal": object{"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole",
		}),
		Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: str("rollout"), PolicyDocument: policy(
			object{
				"Effect": "Allow", "Action": []string{"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"},
				// Not the alias itself, which depends on this role.
				"Resource": []*string{p.ingest.AttrArn(), awscdk.Fn_Join(str(":"), &[]*string{p.ingest.AttrArn(), str(limits.Alias)})},
			},
			object{"Effect": "Allow", "Action": []string{"cloudwatch:DescribeAlarms"}, "Resource": "*"},
		)}},
	})
}
