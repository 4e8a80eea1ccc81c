package check

import (
	"encoding/json"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

func apiLetsIn(t Template, l limits.Limits) []string {
	var f faults
	var keys []string
	for _, name := range t.names(typeRoute) {
		keys = append(keys, t.text(name, "RouteKey"))
		to := short(t.at(name, "Target"))
		f.must(to == `{"Fn::Join":["/",["integrations",{"Ref":"ApiIntegration"}]]}`, name, "goes to %s", to)
		_, path, _ := strings.Cut(t.text(name, "RouteKey"), " ")
		f.must(slices.ContainsFunc(t.names(typePermission), func(permission string) bool {
			return strings.HasSuffix(short(t.at(permission, "SourceArn")), `,{"Ref":"Api"},"/*/*`+path+`"]]}`)
		}), name, "has no permission to invoke: API Gateway would answer 500")
	}
	for _, kind := range []string{typeRoute, typeIntegration, typeAPIStage} {
		for _, name := range t.names(kind) {
			f.must(short(t.at(name, "ApiId")) == "Api", name, "is of another API")
		}
	}
	slices.Sort(keys)
	f.must(slices.Equal(keys, []string{"POST /webhooks/stripe", "POST /webhooks/stripe/{endpoint}"}), "Api", "has the routes %q", keys)
	invokers := slices.DeleteFunc(t.names(typePermission), func(p string) bool { return t.text(p, "Principal") == "events.amazonaws.com" })
	f.must(len(invokers) == len(keys), "Api", "has %d permissions to invoke for %d routes", len(invokers), len(keys))
	for _, name := range t.names(typeIntegration) {
		f.must(t.text(name, "PayloadFormatVersion") == "2.0", name, "payload format is %q, not 2.0", t.text(name, "PayloadFormatVersion"))
		f.must(t.text(name, "IntegrationType") == "AWS_PROXY", name, "changes what is signed")
		f.must(short(t.at(name, "IntegrationUri")) == ingest+".Arn", name, "goes to %s", short(t.at(name, "IntegrationUri")))
	}
	stages := t.names(typeAPIStage)
	f.must(len(stages) == 1, "Api", "has the stages %v", stages)
	for _, name := range stages {
		f.must(t.text(name, "StageName") == "$default", name, "is a stage of another name, which stands in every path")
		f.must(t.at(name, "AutoDeploy") == true, name, "deploys nothing by itself")
		rate, burst := t.number(name, "DefaultRouteSettings", "ThrottlingRateLimit"), t.number(name, "DefaultRouteSettings", "ThrottlingBurstLimit")
		want := float64(l.ReservedIngest * 10)
		f.must(rate == want && burst == want, name, "lets %v a second in, at once %v; ingest's processes answer %v", rate, burst, want)
	}
	return f
}

// logged are the variables that tell nothing which the sender wrote.
func logged() []string {
	return []string{
		"$context.requestTimeEpoch", "$context.requestId", "$context.routeKey", "$context.status", "$context.responseLatency",
		"$context.identity.sourceIp", "$context.integration.status", "$context.integration.latency", "$context.integration.error",
		"$context.integration.requestId", "$context.error.responseType",
	}
}

func accessLogIsClean(t Template, _ limits.Limits) []string {
	var f faults
	for _, name := range t.names(typeAPIStage) {
		var line map[string]string
		err := json.Unmarshal([]byte(t.text(name, "AccessLogSettings", "Format")), &line)
		f.must(err == nil && len(line) > 0, name, "its access log is no JSON")
		for member, variable := range line {
			f.must(slices.Contains(logged(), variable), name, "logs %s as %s", variable, member)
		}
		to := short(t.at(name, "AccessLogSettings", "DestinationArn"))
		f.must(to == "AccessLogs.Arn" && t.Resources["AccessLogs"].Type == typeLogGroup, name, "logs into %s", to)
	}
	return f
}
