package check

import (
	"encoding/json"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// domain: the URL that the command registers at Stripe reaches this API, by the API's own name or
// by a domain that is mapped to its only stage, without a path of its own. The API's own name
// stays, for endpoints at Stripe that still have it.
func (c *checker) domain() {
	url := short(c.Outputs[limits.OutputWebhookURL].Value)
	want := `{"Fn::Join":["",[{"Fn::GetAtt":["Api","ApiEndpoint"]},"` + limits.WebhookPath + `"]]}`
	c.must(c.at("Api", "DisableExecuteApiEndpoint") == nil, "Api", "has no URL of its own")
	mappings := c.names("AWS::ApiGatewayV2::ApiMapping")
	for _, name := range c.names("AWS::ApiGatewayV2::DomainName") {
		host := c.text(name, "DomainName")
		want = "https://" + host + limits.WebhookPath
		i := slices.IndexFunc(mappings, func(m string) bool { return c.text(m, "DomainName") == name })
		if i < 0 {
			c.must(false, name, "is mapped to no API")
			continue
		}
		m := mappings[i]
		c.must(c.text(m, "ApiId") == "Api" && c.text(m, "Stage") == "ApiStage" && c.at(m, "ApiMappingKey") == nil, m, "leads elsewhere than to the API's paths")
		for _, config := range items(c.at(name, "DomainNameConfigurations")) {
			c.must(short(at(config, "EndpointType")) == "REGIONAL" && strings.HasPrefix(short(at(config, "SecurityPolicy")), "TLS_1_2"), name, "is not regional with TLS 1.2 or newer")
		}
		for _, record := range c.names("AWS::Route53::RecordSet") {
			c.must(c.text(record, "Name") == name && c.text(record, "AliasTarget.DNSName") == name+".RegionalDomainName", record, "does not point to %s", name)
		}
	}
	c.must(url == want, limits.OutputWebhookURL, "is %s, not %s", url, want)
}

// throttle: the filter counts this stage's 429s from the access log that the API writes.
func (c *checker) throttle() {
	const filter, log = "ThrottledFilter", "AccessLogs"
	var line map[string]any
	err := json.Unmarshal([]byte(c.text("ApiStage", "AccessLogSettings.Format")), &line)
	c.must(err == nil && line["stage"] == c.stage() && line["status"] == "$context.status", "ApiStage", "logs no stage and status as JSON")
	c.must(c.text("ApiStage", "AccessLogSettings.DestinationArn") == log+".Arn" && c.text(filter, "LogGroupName") == log &&
		c.text(filter, "FilterPattern") == c.throttled(), filter, "does not count the 429s of the access log")
	for _, m := range items(c.at(filter, "MetricTransformations")) {
		c.must(short(at(m, "MetricName")) == limits.MetricAPIThrottled && short(at(m, "MetricNamespace")) == limits.MetricNamespace &&
			short(at(m, "Dimensions")) == `[{"Key":"`+limits.DimensionStage+`","Value":"$.stage"}]`, filter, "counts %s", short(m))
	}
}
