package check

import (
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

const (
	typeVersion = "AWS::Lambda::Version"
	rolloutRole = "RolloutRole"
	group       = "RolloutGroup"
)

// releases: who calls ingest and the consumer calls the version that this deploy publishes. It is
// kept, so that the alias can be moved back to it later, unless its deploy fails.
func (c *checker) releases() {
	for _, function := range []string{ingest, consumer} {
		alias := function + "Alias"
		of := slices.DeleteFunc(c.names(typeVersion), func(v string) bool { return c.text(v, "FunctionName") != function })
		if len(of) != 1 {
			c.must(false, function, "has the versions %v, not one", of)
			continue
		}
		v := of[0]
		c.must(regexp.MustCompile("^"+function+"Version[0-9a-f]{10}$").MatchString(v), v, "has an id that does not change with its content")
		c.must(c.Resources[v].DeletionPolicy == "RetainExceptOnCreate" && c.Resources[v].UpdateReplacePolicy == "Retain", v, "is deleted by the next deploy, or kept by one that fails")
		c.must(c.text(alias, "FunctionVersion") == v+".Version" && c.text(alias, "FunctionName") == function && c.text(alias, "Name") == limits.Alias,
			alias, "is not %s of %s's new version", limits.Alias, function)
		c.must(c.at(alias, "RoutingConfig") == nil, alias, "sends calls to another version too")
	}
	for _, caller := range []struct{ resource, path, alias string }{
		{mapping, "FunctionName", consumer + "Alias"},
		{"ApiIntegration", "IntegrationUri", ingest + "Alias"},
	} {
		got := c.text(caller.resource, caller.path)
		c.must(got == caller.alias, caller.resource, "%s is %s, not %s", caller.path, got, caller.alias)
	}
	for _, permission := range []string{"DefaultRoutePermission", "EndpointRoutePermission"} {
		c.must(slices.Contains(c.Resources["ApiIntegration"].DependsOn, permission), "ApiIntegration", "calls an alias before %s allows it", permission)
	}
}

// rollout: a canary goes back by alarms of this stage, and CodeDeploy may move ingest's alias only.
func (c *checker) rollout() {
	update := c.Resources[ingest+"Alias"].UpdatePolicy["CodeDeployLambdaAliasUpdate"]
	c.must((update == nil) == (c.Resources[group].Type == ""), group, "does not move the alias of ingest")
	if update == nil {
		return
	}
	c.must(short(at(update, "DeploymentGroupName")) == group && short(at(update, "ApplicationName")) == c.text(group, "ApplicationName"), ingest+"Alias", "is moved by %s", short(update))
	c.must(strings.HasPrefix(c.text(group, "DeploymentConfigName"), "CodeDeployDefault.LambdaCanary"), group, "is no canary")
	c.must(c.at(group, "AutoRollbackConfiguration.Enabled") == true && slices.Contains(texts(c.at(group, "AutoRollbackConfiguration.Events")), "DEPLOYMENT_STOP_ON_ALARM"), group, "does not go back on an alarm")
	alarms := items(c.at(group, "AlarmConfiguration.Alarms"))
	c.must(c.at(group, "AlarmConfiguration.Enabled") == true && slices.ContainsFunc(alarms, func(a any) bool { return short(at(a, "Name")) == "AlarmIngestErrors" }), group, "watches no errors of ingest")
	for _, a := range alarms {
		c.must(c.Resources[short(at(a, "Name"))].Type == typeAlarm, group, "watches %s, no alarm of the stack", short(at(a, "Name")))
	}
	c.must(c.text(group, "ServiceRoleArn") == rolloutRole+".Arn", group, "has the role %s", c.text(group, "ServiceRoleArn"))
	for _, s := range c.statements(rolloutRole) {
		elsewhere := slices.ContainsFunc(texts(at(s, "Resource")), func(on string) bool { return !strings.Contains(on, `"`+ingest+`"`) && on != ingest+".Arn" })
		for _, action := range texts(at(s, "Action")) {
			reads := slices.Contains([]string{"cloudwatch:DescribeAlarms", "lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig"}, action)
			c.must(reads || action == "lambda:UpdateAlias" && !elsewhere, rolloutRole, "grants %s on %s", action, short(at(s, "Resource")))
		}
	}
}

// levels: Lambda drops no line with metrics, which has the level info, nor one of the function's
// own level.
func (c *checker) levels() {
	for _, function := range c.names(typeFunction) {
		want := "INFO"
		if c.text(function, variable+"LOG_LEVEL") == "debug" {
			want = "DEBUG"
		}
		c.must(c.text(function, "LoggingConfig.ApplicationLogLevel") == want, function, "has the application log level %s, not %s", c.text(function, "LoggingConfig.ApplicationLogLevel"), want)
	}
}

// boundaries: all roles have the same permissions boundary, or none has one.
func (c *checker) boundaries() {
	want := c.text(c.role(ingest), "PermissionsBoundary")
	for _, role := range c.names("AWS::IAM::Role") {
		c.must(c.text(role, "PermissionsBoundary") == want, role, "has the permissions boundary %q, that of ingest has %q", c.text(role, "PermissionsBoundary"), want)
	}
}
